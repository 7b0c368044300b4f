using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>
/// Peers that hear each other. The first is the owner: it is told of joins and leaves, and when it goes, the channel goes.
/// Every peer sees all broadcasts in one order, and one sender's messages, broadcast or direct, in the order of its calls.
/// </summary>
internal sealed class Channel
{
    /// <summary>Up to so many peers are delivered to by the thread that publishes; a hop to another thread would cost more.</summary>
    private const int InlinePeers = 16;

    /// <summary>Enough for a <c>join</c> or <c>leave</c> event.</summary>
    private const int PresenceLength = 128;

    /// <summary>A channel with more peers than this is split over several threads.</summary>
    private const int PeersPerShard = 256;

    private readonly ChannelRegistry _registry;

    /// <summary>
    /// Guards all that follows, and the state of the shards. Taken after a peer's lock. Nothing is sent while it is held.
    /// </summary>
    private readonly Lock _gate = new();
    private readonly EventLog _log;
    private readonly Members _members = new();
    private readonly Queue<WaitingPublisher> _waiting = new(0);
    private Peer? _owner;
    private Shard[] _shards = [];
    private int _lastNumber;
    private bool _closed;
    private DisconnectReason _ending;

    internal Channel(ChannelId id, ChannelRegistry registry)
    {
        Id = id;
        _registry = registry;
        _log = new EventLog(registry.Frames);
    }

    public ChannelId Id { get; }

    /// <summary>The first peer; null before it has joined.</summary>
    public Peer? Owner => Volatile.Read(ref _owner);

    /// <summary>Takes no more peers and messages.</summary>
    public bool IsClosed => Volatile.Read(ref _closed);

    /// <summary>Bytes that were published and that some peers have not been given yet.</summary>
    public long PendingBytes
    {
        get
        {
            lock (_gate)
                return _log.End - _log.Floor;
        }
    }

    /// <summary>Where the log ends now.</summary>
    internal long LogEnd => _log.End;

    /// <summary>The peer whose secret <paramref name="token"/> is, or null.</summary>
    public Peer? FindByToken(Token token)
    {
        lock (_gate)
            return _members.Find(token);
    }

    /// <summary>The peer named <paramref name="cid"/>, or null.</summary>
    public Peer? FindByCid(PeerId cid)
    {
        lock (_gate)
            return _members.Find(cid);
    }

    /// <summary>Lets <paramref name="peer"/> go, which joined: its token dies, and the owner is told; with the owner, all go.</summary>
    public void Leave(Peer peer)
    {
        lock (_gate)
            _members.Remove(peer);
        peer.LeaveShard();
        if (peer != _owner)
            TellOwnerOfLeave(peer);
        else if (TryClose())
            EndAll();
    }

    /// <summary>Takes no more peers and messages, and is forgotten. False: it was closed before.</summary>
    public bool TryClose()
    {
        lock (_gate)
        {
            if (_closed)
                return false;
            _closed = true;
            while (_waiting.TryDequeue(out WaitingPublisher? waiting))
                waiting.SetResult(false);
        }

        _registry.Remove(this);
        return true;
    }

    /// <summary>
    /// Gives <paramref name="publication"/> its place in the order of what every peer gets. Broadcasts are on their way when
    /// <see cref="Drain()"/> was called. Completes at once unless too much is pending: then a broadcast waits for room, behind those that
    /// wait already. False: the channel closed, or the addressee has left.
    /// </summary>
    public ValueTask<bool> PublishAsync(in Publication publication)
    {
        if (publication.Addressee is { } addressee)
            return new(addressee.TrySend(publication.Frame));
        WaitingPublisher waiting;
        lock (_gate)
        {
            if (_closed)
                return new(false);
            if (_waiting.Count == 0 && HasRoom())
            {
                _log.Append(publication.Frame, publication.Sender.Number);
                return new(true);
            }

            waiting = new WaitingPublisher(publication);
            _waiting.Enqueue(waiting);
        }

        // Room comes from what is pending going out, and that may wait for this very thread.
        Drain(inline: false);
        return new(waiting.Task);
    }

    /// <summary>
    /// Sees to it that what was published is on its way. A sender of several messages calls it once after the last, and they go out
    /// together.
    /// </summary>
    public void Drain() => Drain(inline: true);

    /// <summary>The event that tells the owner of <paramref name="peer"/>; null: it is to be the owner itself.</summary>
    internal SharedFrame? EncodeJoin(Peer peer) => Owner is null ? null : EncodePresence(peer, joined: true);

    /// <summary>Sends the owner <paramref name="news"/>.</summary>
    internal void TellOwner(SharedFrame news)
    {
        try
        {
            _owner!.TrySend(news);
        }
        catch (OutOfMemoryException e)
        {
            // An owner that missed a join or a leave would be wrong about its channel from now on.
            CutForError(_owner!, e);
        }
    }

    /// <summary>
    /// Makes <paramref name="peer"/> a member, which has had everything up to <paramref name="offset"/>. The peer's lock is held.
    /// </summary>
    internal JoinOutcome TryEnter(Peer peer, bool isChunked, out Shard? shard, out long offset)
    {
        lock (_gate)
        {
            shard = null;
            offset = _log.End;
            if (_closed)
                return JoinOutcome.Closed;
            if (_members.Count >= _registry.MaxPeersPerChannel)
                return JoinOutcome.Full;
            try
            {
                _members.Add(peer);
                Shard chosen = ChooseShard(isChunked);
                chosen.Add(peer);
                shard = chosen;
            }
            catch
            {
                // No memory for larger tables: the peer is in none of them.
                _members.Remove(peer);
                throw;
            }

            peer.Number = ++_lastNumber;
            _owner ??= peer;
            return JoinOutcome.Joined;
        }
    }

    /// <summary>
    /// Has <paramref name="peer"/>, whose lock is held, hear again what follows the event with the number <paramref name="sequence"/>.
    /// False: the log does not hold all of it any more.
    /// </summary>
    internal bool TrySetBack(Peer peer, bool isChunked, long sequence, ref Shard shard, out long offset)
    {
        lock (_gate)
        {
            if (!_log.TryFindAfter(sequence, out offset))
                return false;
            if (shard.IsChunked != isChunked)
            {
                Shard other = ChooseShard(isChunked);
                shard.Remove(peer);
                other.Add(peer);
                shard = other;
            }

            shard.SetBack(offset);
            return true;
        }
    }

    /// <summary>
    /// Gives <paramref name="direct"/>, a message to the peer at <paramref name="offset"/> alone, its number; it goes out after everything
    /// that was published so far. Null: the peer has had that. Otherwise what it has missed and the message, in a frame of the caller's.
    /// </summary>
    internal SharedFrame? TakeNumber(ref long offset, SharedFrame direct, bool isChunked)
    {
        lock (_gate)
        {
            _log.TakeNumber();
            SharedFrame? missed = CopyFrom(ref offset, direct.Length, isChunked);
            missed?.Append(isChunked ? direct.Span : direct.Span[ChunkFraming.EventIn(direct.Span)]);
            return missed;
        }
    }

    /// <summary>
    /// What a peer at <paramref name="offset"/> has missed, in a frame of the caller's; null: nothing. It counts as delivered.
    /// </summary>
    internal SharedFrame? CopyMissed(ref long offset, bool isChunked)
    {
        lock (_gate)
            return CopyFrom(ref offset, 0, isChunked);
    }

    /// <summary>Copies events, beginning in or after <paramref name="segment"/>.</summary>
    internal SharedFrame Copy(EventSegment segment, long from, long to, bool isChunked, int more = 0)
    {
        SharedFrame copy = _registry.Frames.Rent((int)(to - from) + more);
        segment.CopyTo(copy, from, to, isChunked);
        return copy;
    }

    /// <summary>
    /// Called by <paramref name="shard"/> between two drains: what all peers have had is given back, and publishers that wait get its room.
    /// </summary>
    /// <returns>False: there is nothing more to deliver.</returns>
    internal bool TryBeginDrain(Shard shard)
    {
        bool published, goesOn;
        lock (_gate)
        {
            shard.EndDrain();
            Trim();
            published = PublishWaiting();
            goesOn = shard.TryBeginDrain(_log, _ending);
        }

        if (published)
            Drain(inline: false);
        return goesOn;
    }

    /// <summary>Ends <paramref name="peer"/>, whose stream would have a gap.</summary>
    internal void CutForError(Peer peer, Exception e)
    {
        ChannelLog.DeliveryFailed(_registry.Logger, e);
        peer.Cut(DisconnectReason.ServerError);
    }

    /// <summary>Tells of the end of an outlet of <paramref name="peer"/>.</summary>
    internal void OnOutletEnded(Peer peer, in SinkEnd end) => _registry.OutletEnded?.Invoke(peer, end);

    /// <summary>Ends every stream, after what was published.</summary>
    private void EndAll()
    {
        lock (_gate)
            _ending = DisconnectReason.ChannelClosed;
        Drain(inline: false);
    }

    private void Drain(bool inline)
    {
        // Only ever replaced, and what is published after that is drained by its own publisher.
        Shard[] shards = Volatile.Read(ref _shards);
        int peers = 0;
        foreach (Shard shard in shards)
            peers += shard.Count;
        inline &= peers <= InlinePeers;
        foreach (Shard shard in shards)
        {
            lock (_gate)
            {
                if (!shard.TryStart(_log, _ending))
                    continue;
            }

            if (inline)
                shard.RunInline();
            else
                shard.Schedule();
        }
    }

    private bool HasRoom() => _log.End - _log.Floor < _registry.PendingLimit;

    private void Trim()
    {
        long floor = _log.End;
        foreach (Shard shard in _shards)
            floor = Math.Min(floor, shard.Offset);
        if (floor != _log.Floor)
            _log.Trim(floor);
    }

    /// <summary>Publishes for those that wait, in their order, as long as there is room. True: for at least one.</summary>
    private bool PublishWaiting()
    {
        bool published = false;
        while (_waiting.Count > 0 && HasRoom())
        {
            WaitingPublisher first = _waiting.Dequeue();
            try
            {
                _log.Append(first.Publication.Frame, first.Publication.Sender.Number);
                first.SetResult(true);
                published = true;
            }
            catch (Exception e)
            {
                first.SetException(e);
            }
        }

        return published;
    }

    /// <summary>Of the shards with or without chunks the one with the fewest peers, or one more when all have enough.</summary>
    private Shard ChooseShard(bool isChunked)
    {
        Shard? fewest = null;
        int count = 0;
        foreach (Shard shard in _shards)
        {
            if (shard.IsChunked != isChunked)
                continue;
            count++;
            if (fewest is null || shard.Count < fewest.Count)
                fewest = shard;
        }

        if (fewest is not null && (fewest.Count < PeersPerShard || count == _registry.MaxShards))
            return fewest;
        var added = new Shard(this, isChunked, _log.End);
        Volatile.Write(ref _shards, [.. _shards, added]);
        return added;
    }

    private SharedFrame? CopyFrom(ref long offset, int more, bool isChunked)
    {
        if (offset == _log.End)
            return null;
        SharedFrame copy = Copy(_log.Find(offset)!, offset, _log.End, isChunked, more);
        offset = _log.End;
        return copy;
    }

    private SharedFrame EncodePresence(Peer peer, bool joined)
    {
        SharedFrame frame = _registry.Frames.Rent(PresenceLength);
        if (joined)
            EventWriter.WriteJoin(frame, Id, peer.Cid);
        else
            EventWriter.WriteLeave(frame, Id, peer.Cid);
        return frame;
    }

    private void TellOwnerOfLeave(Peer peer)
    {
        if (!_owner!.IsListening)
            return;
        try
        {
            SharedFrame news = EncodePresence(peer, joined: false);
            TellOwner(news);
            news.Release();
        }
        catch (OutOfMemoryException e)
        {
            CutForError(_owner, e);
        }
    }

    /// <summary>A broadcast that waits for room. Its frame is held by the publisher, which awaits the task.</summary>
    private sealed class WaitingPublisher(Publication publication)
        : TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public Publication Publication { get; } = publication;
    }
}

/// <summary>How an attempt to join a channel went.</summary>
internal enum JoinOutcome : byte
{
    Joined,

    /// <summary>The channel has just closed.</summary>
    Closed,

    /// <summary>The channel has as many peers as it may have.</summary>
    Full,
}
