using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Channels;

/// <summary>
/// Gives a channel's broadcasts to some of its peers (all of them, but in large channels), in one order.
/// <para>
/// Broadcasts form a log, and each peer has a position in it. While a peer is behind, passes go over the peers, one after the other, and give
/// each one, in one send, all that it has not had yet, what was appended a moment ago too: the busier the channel, the more messages share
/// a send, and none waits for the next pass to begin. A direct message needs no pass: it first brings its peer up to the end of the log, then
/// goes out, and the pass finds that peer served.
/// </para>
/// <para>Locks are taken in this order: a peer's sink, the channel, the fan-out. None is held while a pass goes from peer to peer.</para>
/// </summary>
internal sealed class FanOut : IThreadPoolWorkItem
{
    /// <summary>
    /// Bytes that a peer is given at once at most, unless a single message is larger. A send costs the same for 100 bytes and for thousands, but
    /// what does not fit into the socket is a backlog.
    /// </summary>
    private const int MaxStep = 64 * 1024;

    /// <summary>Peers served before the pass looks whether other work waits for the thread.</summary>
    private const int SliceLength = 64;

    private readonly Channel _channel;
    private readonly ChannelRegistry _registry;
    private readonly SlotTable<Peer> _peers = new();
    private readonly Lock _gate = new();
    private readonly BroadcastLog _log;
    private bool _running;
    private DisconnectReason _ending;
    private bool _ended;

    /// <summary>Every peer that joined before this position has been sent everything before it.</summary>
    private long _served;

    // The pass that is going on, changed only by the thread that runs it.
    private bool _passing;

    /// <summary>Where in the log every peer will be at least when the pass is over.</summary>
    private long _goal;

    /// <summary>The pass brings every peer to the end of the log and ends it.</summary>
    private bool _isLast;
    private ReadOnlyMemory<Peer?> _pass;
    private int _next;

    public FanOut(Channel channel, ChannelRegistry registry, bool isChunked)
    {
        IsChunked = isChunked;
        _channel = channel;
        _registry = registry;
        _log = new BroadcastLog(registry.Frames);
    }

    /// <summary>
    /// Its peers get chunks as they are encoded. Otherwise the chunks are taken off on the way into its log, once for all its peers: those speak
    /// HTTP/1.0, and are few.
    /// </summary>
    public bool IsChunked { get; }

    /// <summary>Peers now.</summary>
    public int Count => _peers.Count;

    /// <summary>Bytes appended and not yet given to all peers.</summary>
    public long PendingBytes => _log.End - Volatile.Read(ref _served);

    /// <summary>Adds <paramref name="peer"/>, which gets what is appended from now on. The caller holds the lock on its sink.</summary>
    public void Add(Peer peer)
    {
        lock (_gate)
        {
            _peers.Add(peer);
            peer.Position = _log.End;
            peer.FanOut = this;
        }
    }

    /// <summary>Removes <paramref name="peer"/>: neither passes nor direct messages reach it from now on.</summary>
    public void Remove(Peer peer)
    {
        lock (peer.Sink)
            peer.FanOut = null;
        _peers.Remove(peer);
    }

    /// <summary>Appends a broadcast; the caller keeps its reference. It goes out with the next <see cref="TryStart"/>, or with a run that goes on.</summary>
    public void Append(SharedFrame frame)
    {
        lock (_gate)
            _log.Append(frame, BytesOf(frame));
    }

    /// <summary>Has every peer ended, after what was appended, by the next run. Nothing is appended any more.</summary>
    public void EndAll(DisconnectReason reason)
    {
        lock (_gate)
            _ending = reason;
    }

    /// <summary>True: there is something to do and no run does it, so the caller must now call <see cref="RunInline"/> or <see cref="Schedule"/>.</summary>
    public bool TryStart()
    {
        lock (_gate)
        {
            if (_running || !HasWork())
                return false;
            _running = true;
            return true;
        }
    }

    /// <summary>Gives <paramref name="frame"/> to one peer, after everything that was appended so far. False: it has left.</summary>
    public bool TrySend(Peer peer, SharedFrame frame)
    {
        lock (peer.Sink)
        {
            if (peer.FanOut != this || peer.Sink.HasEnded)
                return false;
            Range bytes = BytesOf(frame);
            if (peer.Position == _log.End)
                peer.Sink.Write(frame, bytes);
            else
                CatchUp(peer, frame.Span[bytes]);
            return true;
        }
    }

    /// <summary>Ends one peer after everything that was appended so far.</summary>
    public void End(Peer peer, DisconnectReason reason)
    {
        lock (peer.Sink)
        {
            if (peer.FanOut != this || peer.Sink.HasEnded)
                return;
            if (peer.Position != _log.End)
                CatchUp(peer, default);
            peer.Sink.Complete(reason);
        }
    }

    /// <summary>Serves a slice of peers on the calling thread, which nearly always are all that there is to serve; the rest on a pool thread.</summary>
    public void RunInline() => Run(yields: true);

    /// <summary>Serves all peers on a pool thread.</summary>
    public void Schedule() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);

    void IThreadPoolWorkItem.Execute() => Run(yields: false);

    private void Run(bool yields)
    {
        int slice = SliceLength;
        while (_passing || TryBeginPass())
        {
            ReadOnlySpan<Peer?> peers = _pass.Span;
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
                    Serve(peer);
            }

            EndPass();
        }
    }

    /// <summary>What its peers get of <paramref name="frame"/>, which is one event.</summary>
    private Range BytesOf(SharedFrame frame) => IsChunked ? 0..frame.Length : ChunkFraming.EventIn(frame.Span);

    private bool HasWork() => _served < _log.End || (_ending != DisconnectReason.None && !_ended);

    /// <summary>False: every peer has everything, and the run is over.</summary>
    private bool TryBeginPass()
    {
        lock (_gate)
        {
            if (!HasWork())
                return _running = false;
            _goal = _log.StepFrom(_served, MaxStep);
            _isLast = _ending != DisconnectReason.None && _goal == _log.End;
            _pass = _peers.SnapshotMemory();
            _next = 0;
            return _passing = true;
        }
    }

    private void EndPass()
    {
        lock (_gate)
        {
            Volatile.Write(ref _served, _goal);
            _log.Trim(_goal);
            _ended = _isLast;
            _pass = default;
            _passing = false;
        }

        _channel.OnRoom();
    }

    private void Serve(Peer peer)
    {
        // No memory to join what it missed, for example: the peer ends, since its stream would have a gap. The others are served.
        try
        {
            Offer(peer);
        }
        catch (Exception e)
        {
            ChannelLog.ServeFailed(_registry.Logger, e);
            lock (peer.Sink)
                peer.Sink.Abort(DisconnectReason.ServerError);
        }
    }

    private void Offer(Peer peer)
    {
        lock (peer.Sink)
        {
            if (peer.FanOut != this || peer.Sink.HasEnded)
                return;
            long to = _log.End;
            if (to - peer.Position > MaxStep)
                to = _goal;
            if (to > peer.Position)
                Give(peer, to, default);
            if (_isLast)
                peer.Sink.Complete(_ending);
        }
    }

    /// <summary>Gives <paramref name="peer"/> all that was appended so far, followed by <paramref name="direct"/>, in one write.</summary>
    private void CatchUp(Peer peer, ReadOnlySpan<byte> direct) => Give(peer, _log.End, direct);

    private void Give(Peer peer, long to, ReadOnlySpan<byte> direct)
    {
        SharedFrame frame;
        Range bytes;
        lock (_gate)
            frame = _log.Read(peer.Position, to, direct, out bytes);
        peer.Position = to;
        try
        {
            peer.Sink.Write(frame, bytes);
        }
        finally
        {
            frame.Release();
        }
    }
}
