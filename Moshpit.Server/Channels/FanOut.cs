using Moshpit.Server.Buffers;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Channels;

/// <summary>
/// Gives a channel's broadcasts to some of its peers (all of them, but in large channels), in one order.
/// <para>
/// Broadcasts form a log, counted in bytes. What was appended and not yet taken is pending. A pass takes what is pending, joined
/// into one frame, and offers it to each peer; meanwhile more becomes pending, and the next pass takes that (group commit): the busier
/// the channel, the more messages share one send. Each peer has a position in the log, so a direct message needs no
/// pass: it first brings its peer up to the end of the log, then goes out, and the pass finds that peer served.
/// </para>
/// <para>Locks are taken in this order: a peer's sink, the channel, the fan-out. None is held while a pass goes from peer to peer.</para>
/// </summary>
internal sealed class FanOut : IThreadPoolWorkItem
{
    /// <summary>Bytes that one pass joins at most, unless a single frame is larger. A send costs the same for 100 bytes and for thousands.</summary>
    private const int MaxBatch = 64 * 1024;

    /// <summary>Peers served before the pass goes to the back of the pool's queue, so that requests are answered in between.</summary>
    private const int SliceLength = 64;

    private readonly Channel _channel;
    private readonly ChannelRegistry _registry;
    private readonly SlotTable<Peer> _peers = new();
    private readonly Lock _gate = new();
    private readonly Queue<SharedFrame> _pending = new();
    private long _end;
    private bool _running;
    private DisconnectReason _ending;
    private bool _ended;

    // The pass that is going on. Only the thread that runs it changes these; others read the batch under the gate.
    private bool _passing;
    private SharedFrame? _batch;
    private long _batchStart;
    private long _batchEnd;
    private ReadOnlyMemory<Peer?> _pass;
    private int _next;

    public FanOut(Channel channel, ChannelRegistry registry)
    {
        _channel = channel;
        _registry = registry;
    }

    /// <summary>Peers now.</summary>
    public int Count => _peers.Count;

    /// <summary>Bytes appended and not yet taken by a pass.</summary>
    public long PendingBytes => Volatile.Read(ref _end) - Volatile.Read(ref _batchEnd);

    /// <summary>Adds <paramref name="peer"/>, which gets what is appended from now on. The caller holds the lock on its sink.</summary>
    public void Add(Peer peer)
    {
        lock (_gate)
        {
            peer.Position = _end;
            peer.FanOut = this;
            peer.Slot = _peers.Add(peer);
        }
    }

    /// <summary>Removes <paramref name="peer"/>: neither passes nor direct messages reach it from now on.</summary>
    public void Remove(Peer peer)
    {
        lock (peer.Sink)
            peer.FanOut = null;
        _peers.Remove(peer.Slot, peer);
    }

    /// <summary>Appends a broadcast, with a reference of the log's own. It goes out with the next <see cref="TryStart"/>, or with a run that goes on.</summary>
    public void Append(SharedFrame frame)
    {
        frame.AddReference();
        lock (_gate)
        {
            _pending.Enqueue(frame);
            Volatile.Write(ref _end, _end + frame.Length);
        }
    }

    /// <summary>Has every peer ended, after what was appended, by the next run.</summary>
    public void EndAll(DisconnectReason reason)
    {
        lock (_gate)
            _ending = reason;
    }

    /// <summary>True: there is something to do that nobody does, and the caller must now call <see cref="Run"/> or <see cref="Schedule"/>.</summary>
    public bool TryStart()
    {
        lock (_gate)
        {
            if (_running || (_pending.Count == 0 && (_ending == DisconnectReason.None || _ended)))
                return false;
            _running = true;
            return true;
        }
    }

    /// <summary>Gives <paramref name="frame"/> to one peer, after everything that was appended so far.</summary>
    public void Send(Peer peer, SharedFrame frame)
    {
        lock (peer.Sink)
        {
            if (peer.FanOut != this)
                return;
            SharedFrame? joined = CatchUp(peer, frame.Span);
            peer.Sink.Write(joined ?? frame, 0);
            joined?.Release();
        }
    }

    /// <summary>Ends one peer after everything that was appended so far.</summary>
    public void End(Peer peer, DisconnectReason reason)
    {
        lock (peer.Sink)
        {
            if (peer.FanOut != this)
                return;
            if (CatchUp(peer, default) is { } rest)
            {
                peer.Sink.Write(rest, 0);
                rest.Release();
            }

            peer.Sink.Complete(reason);
        }
    }

    /// <summary>Runs passes until nothing is pending; after a slice of many peers, the rest runs on a pool thread.</summary>
    public void Run()
    {
        int slice = SliceLength;
        while (_passing || TryBeginPass())
        {
            ReadOnlySpan<Peer?> peers = _pass.Span;
            while (_next < peers.Length)
            {
                if (slice-- == 0)
                {
                    Schedule();
                    return;
                }

                if (peers[_next++] is { } peer)
                    Serve(peer);
            }

            EndPass();
        }
    }

    /// <summary>Starts <see cref="Run"/> on a pool thread.</summary>
    public void Schedule() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);

    void IThreadPoolWorkItem.Execute() => Run();

    /// <summary>Takes what is pending, or, when that is nothing, begins the last pass, which ends the peers. False: the run is over.</summary>
    private bool TryBeginPass()
    {
        lock (_gate)
        {
            if (_pending.Count > 0)
                TakeBatch();
            else if (_ending != DisconnectReason.None && !_ended)
                _ended = true;
            else
                return _running = false;
            _pass = _peers.SnapshotMemory();
            _next = 0;
            _passing = true;
        }

        _channel.OnRoom();
        return true;
    }

    private void TakeBatch()
    {
        SharedFrame first = _pending.Dequeue();
        SharedFrame batch = first;
        if (_pending.TryPeek(out SharedFrame? second) && first.Length + second.Length <= MaxBatch)
        {
            batch = _registry.Frames.Rent((int)Math.Min(_end - _batchEnd, MaxBatch));
            batch.Append(first.Span);
            first.Release();
            while (_pending.TryPeek(out SharedFrame? next) && batch.Length + next.Length <= MaxBatch)
            {
                batch.Append(next.Span);
                _pending.Dequeue().Release();
            }
        }

        _batch = batch;
        _batchStart = _batchEnd;
        Volatile.Write(ref _batchEnd, _batchEnd + batch.Length);
    }

    private void Serve(Peer peer)
    {
        // One peer that can't be served must not keep the others from it, nor end the process.
        try
        {
            Offer(peer);
        }
        catch (Exception e)
        {
            ChannelLog.ServeFailed(_registry.Logger, e);
        }
    }

    private void Offer(Peer peer)
    {
        lock (peer.Sink)
        {
            if (_batch is null)
            {
                peer.Sink.Complete(_ending);
            }
            else if (peer.Position < _batchEnd)
            {
                int offset = (int)Math.Max(0, peer.Position - _batchStart);
                peer.Position = _batchEnd;
                peer.Sink.Write(_batch, offset);
            }
        }
    }

    private void EndPass()
    {
        lock (_gate)
        {
            _batch?.Release();
            _batch = null;
            _pass = default;
            _passing = false;
        }
    }

    /// <summary>What <paramref name="peer"/> has not been given yet, followed by <paramref name="direct"/>, in one frame; null when it has everything.</summary>
    private SharedFrame? CatchUp(Peer peer, ReadOnlySpan<byte> direct)
    {
        if (peer.Position == Volatile.Read(ref _end))
            return null;
        lock (_gate)
        {
            SharedFrame joined = _registry.Frames.Rent((int)(_end - peer.Position) + direct.Length);
            if (peer.Position < _batchEnd)
                joined.Append(_batch!.Span[(int)Math.Max(0, peer.Position - _batchStart)..]);
            long start = _batchEnd;
            foreach (SharedFrame frame in _pending)
            {
                if (start + frame.Length > peer.Position)
                    joined.Append(frame.Span[(int)Math.Max(0, peer.Position - start)..]);
                start += frame.Length;
            }

            peer.Position = _end;
            joined.Append(direct);
            return joined;
        }
    }
}
