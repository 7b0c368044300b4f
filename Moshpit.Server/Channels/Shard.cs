using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>
/// Some of a channel's peers (all of them, but in large channels), and the drains that bring the channel's events to them.
/// <para>
/// While a peer of the shard is behind, drains go over the peers, one after the other, and deliver to each one, in one send, all that it
/// has not had yet, what was published a moment ago too: the busier the channel, the more messages share a send, and none waits for the
/// next drain to begin. A direct message needs no drain: it first brings its peer up to the end of the log, then goes out, and the drain
/// finds nothing left to deliver.
/// </para>
/// </summary>
internal sealed class Shard : IThreadPoolWorkItem
{
    /// <summary>
    /// Bytes that a peer is given at once at most, unless a single message is larger. A send costs the same for 100 bytes and for
    /// thousands, but what does not fit into the socket waits in a send queue.
    /// </summary>
    private const int MaxStep = 64 * 1024;

    /// <summary>Peers delivered to before the drain looks whether other work waits for the thread.</summary>
    private const int SliceLength = 64;

    private readonly Channel _channel;
    private readonly SlotTable<Peer> _peers = new();

    // Guarded by the channel's lock.
    private bool _isRunning;
    private bool _isDraining;

    // The drain that goes on: set under the channel's lock when it begins, then changed only by the thread that it runs on.
    private long _from;
    private long _goal;
    private EventSegment? _segment;
    private ReadOnlyMemory<Peer?> _drained;
    private int _next;

    /// <summary>
    /// What does not lie together in the log, or not for all, or lies there in chunks that its peers do not know: a copy, shared by all
    /// peers that miss just that.
    /// </summary>
    private SharedFrame? _copy;
    private long _copyFrom;
    private long _copyTo;
    private ReaderKind _copyKind;
    private long _copyLast;

    /// <summary>The caller holds the channel's lock, as for all members down to <see cref="EndDrain"/>.</summary>
    public Shard(Channel channel, bool isChunked, long offset)
    {
        _channel = channel;
        IsChunked = isChunked;
        Offset = offset;
    }

    /// <summary>
    /// Its peers get chunks as they are encoded. Otherwise the chunks are taken off, once for all its peers: those speak HTTP/1.0, and are
    /// few.
    /// </summary>
    public bool IsChunked { get; }

    /// <summary>Peers now. May be read at any time.</summary>
    public int Count => _peers.Count;

    /// <summary>Every peer has had everything before this offset of the log.</summary>
    public long Offset { get; private set; }

    /// <summary>Its peers were ended.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>With the drain that goes on every peer ends, for this reason, if it is one.</summary>
    public DisconnectReason Ending { get; private set; }

    /// <summary>Sees to it that the next <see cref="Add"/> needs no memory.</summary>
    public void EnsureRoom() => _peers.EnsureRoom();

    /// <summary>Adds <paramref name="peer"/>, which has had everything so far.</summary>
    public void Add(Peer peer) => _peers.Add(peer);

    /// <summary>
    /// True: there is something to deliver and no thread does it, so the caller must now call <see cref="RunInline"/> or
    /// <see cref="Schedule"/>.
    /// </summary>
    public bool TryStart(EventLog log, DisconnectReason ending)
    {
        if (_isRunning || !HasWork(log, ending))
            return false;
        return _isRunning = true;
    }

    /// <summary>False: every peer has everything, and its thread is to stop.</summary>
    public bool TryBeginDrain(EventLog log, DisconnectReason ending)
    {
        if (!HasWork(log, ending))
            return _isRunning = false;
        _from = Offset;
        _segment = log.Find(_from);
        _goal = _segment?.StepFrom(_from, log.End, MaxStep) ?? _from;
        Ending = _goal == log.End ? ending : DisconnectReason.None;
        _drained = _peers.SnapshotMemory();
        _next = 0;
        return _isDraining = true;
    }

    /// <summary>Ends the drain that goes on, if one does.</summary>
    public void EndDrain()
    {
        if (!_isDraining)
            return;
        _isDraining = false;
        Offset = _goal;
        HasEnded = Ending != DisconnectReason.None;
        _segment = null;
        _drained = default;
    }

    /// <summary>Removes <paramref name="peer"/>, which has left.</summary>
    public void Remove(Peer peer) => _peers.Remove(peer);

    /// <summary>
    /// Delivers to a slice of peers on the calling thread, which nearly always are all that there is to do; the rest on a pool thread.
    /// </summary>
    public void RunInline() => Run(yields: true);

    /// <summary>Delivers to all peers on a pool thread.</summary>
    public void Schedule() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);

    void IThreadPoolWorkItem.Execute() => Run(yields: false);

    /// <summary>Up to where the drain that goes on brings a peer at <paramref name="offset"/>.</summary>
    public long EndFor(long offset)
    {
        long end = _channel.LogEnd;
        return end - offset <= MaxStep ? end : _goal;
    }

    /// <summary>
    /// What peers that no event names get of <paramref name="from"/> to <paramref name="to"/>: bytes of a frame that stays the shard's or
    /// the log's. <paramref name="last"/>: as of <see cref="EventLog.Copy"/>.
    /// </summary>
    public SharedFrame Read(long from, long to, ReaderKind kind, out Range bytes, out long last)
    {
        last = 0;
        bool isForAll = _channel.IsForAll(from);
        if (_segment!.TryRead(from, to, out SharedFrame frame, out bytes) && IsChunked && isForAll)
            return frame;
        if (_copy is null || _copyFrom != from || _copyTo != to || (_copyKind != kind && !isForAll))
        {
            ReleaseCopy();
            _copyLast = 0;
            _copy = isForAll
                ? _channel.Copy(_segment, from, to, IsChunked)
                : _channel.CopyFor(new Reader(0, kind), from, to, IsChunked, out _copyLast);
            (_copyFrom, _copyTo, _copyKind) = (from, to, kind);
        }

        bytes = 0.._copy.Length;
        last = _copyLast;
        return _copy;
    }

    private void Run(bool yields)
    {
        int slice = SliceLength;
        while (_next < _drained.Length || _channel.TryBeginDrain(this))
        {
            ReadOnlySpan<Peer?> peers = _drained.Span;
            while (_next < peers.Length)
            {
                if (slice-- == 0)
                {
                    // A hop to another thread costs more than many peers do: only when other work waits for this one.
                    if (yields || ThreadPool.PendingWorkItemCount > 0)
                    {
                        Schedule();
                        return;
                    }

                    slice = SliceLength;
                }

                if (peers[_next++] is { } peer)
                    Deliver(peer);
            }

            ReleaseCopy();
        }
    }

    private void Deliver(Peer peer)
    {
        // No memory to join what it missed, for example: the peer ends, since its stream would have a gap. The others are not affected.
        try
        {
            peer.Deliver(this);
        }
        catch (Exception e)
        {
            _channel.CutForError(peer, e);
        }
    }

    private void ReleaseCopy()
    {
        _copy?.Release();
        _copy = null;
    }

    private bool HasWork(EventLog log, DisconnectReason ending) => Offset < log.End || (ending != DisconnectReason.None && !HasEnded);
}
