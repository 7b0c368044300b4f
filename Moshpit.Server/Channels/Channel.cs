using Moshpit.Server.Buffers;
using Moshpit.Server.Limits;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>
/// Peers that hear each other. The first is the owner: it is told of joins and leaves, and when it goes, the channel goes.
/// Every peer sees all broadcasts in one order, and one sender's messages, broadcast or direct, in the order of its calls.
/// </summary>
internal sealed class Channel : ISlotted
{
    /// <summary>Up to so many peers are delivered to by the thread that publishes; a hop to another thread would cost more.</summary>
    private const int InlinePeers = 16;

    /// <summary>Where numbers begin at least; they begin at less than twice as much.</summary>
    private const long LeastSequence = 1_000_000_000;

    private readonly ChannelRegistry _registry;

    /// <summary>
    /// Guards all that follows, and the state of the shards. Taken after a peer's lock. Nothing is sent while it is held.
    /// </summary>
    private readonly Lock _gate = new();
    private readonly EventLog _log;
    private readonly Members _members = new();
    private readonly ShardList _shards = new();

    /// <summary>Broadcasts that wait for room; null before the first one.</summary>
    private Queue<WaitingPublisher>? _waiting;

    /// <summary>The session peers; null before the first one.</summary>
    private SessionPeers? _sessions;
    private Peer? _owner;
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

    /// <summary>Its slot among the channels that keep a history.</summary>
    public int Slot { get; set; }

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

    internal Presence Presence => _registry.Presence;

    internal SessionEvents Events => _registry.SessionEvents;

    internal AwayPeers Away => _registry.Away;

    /// <summary>Where the log ends now.</summary>
    internal long LogEnd => _log.End;

    /// <summary>The number of the newest event.</summary>
    internal long Sequence
    {
        get
        {
            lock (_gate)
                return _log.Sequence;
        }
    }

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

    /// <summary>Whether a message that <paramref name="sender"/> gave the number <paramref name="number"/> is to be delivered.</summary>
    public DeliveryOutcome Judge(Peer sender, long number)
    {
        lock (_gate)
            return sender.Session?.Judge(number) ?? DeliveryOutcome.Delivered;
    }

    /// <summary>The session peer with the key <paramref name="key"/>, or null. A closed channel has none.</summary>
    public Peer? FindBySession(SessionKey key)
    {
        lock (_gate)
            return _closed ? null : _sessions?.Find(key);
    }

    /// <summary>Takes no more peers and messages, and is forgotten. False: it was closed before.</summary>
    /// <param name="ifUnused">Only if no peer has joined; otherwise false.</param>
    public bool TryClose(bool ifUnused = false)
    {
        lock (_gate)
        {
            if (_closed || (ifUnused && _owner is not null))
                return false;
            Close();
        }

        _registry.Remove(this);
        return true;
    }

    /// <summary>
    /// Gives <paramref name="publication"/> its place in the order of what every peer gets. Broadcasts are on their way when
    /// <see cref="Drain()"/> was called. Completes at once unless too much is pending: then a broadcast waits for room, behind those that
    /// wait already.
    /// </summary>
    public ValueTask<Delivery> PublishAsync(in Publication publication)
    {
        if (publication.Addressee is { } addressee)
            return new(addressee.Send(publication));
        WaitingPublisher waiting;
        lock (_gate)
        {
            if (_closed)
                return new(new Delivery(DeliveryOutcome.ChannelClosed));
            if (_waiting is not { Count: > 0 } && HasRoom())
                return new(Append(publication));
            waiting = new WaitingPublisher(publication);
            (_waiting ??= new()).Enqueue(waiting);
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
            if (peer.Session is { } session && _sessions?.Find(session.Key) is not null)
                return JoinOutcome.SessionIsHere;
            if (_members.Count >= _registry.MaxPeersPerChannel)
                return JoinOutcome.Full;
            peer.Number = _lastNumber + 1;
            try
            {
                _members.Add(peer);
                AddSession(peer);
                Shard chosen = _shards.Choose(this, isChunked, _registry.MaxShards);
                chosen.Add(peer);
                shard = chosen;
            }
            catch
            {
                // No memory for larger tables: the peer is in none of them.
                _members.Remove(peer);
                RemoveSession(peer);
                throw;
            }

            _lastNumber = peer.Number;
            _owner ??= peer;
            long joined = _log.TakeNumber();
            if (peer.Session is not null)
                peer.Session.Joined = joined;
            return JoinOutcome.Joined;
        }
    }

    /// <summary>
    /// Collects in <paramref name="replay"/> what <paramref name="peer"/> has missed since <paramref name="last"/>; it is at the log's end
    /// then. The peer's lock is held. False: the channel is closed, and its streams are being ended.
    /// </summary>
    internal bool TryResume(
        Peer peer, LastEventId last, bool isChunked, ref Shard shard, ref long offset, Replay replay, out Resumption resumption)
    {
        resumption = default;
        lock (_gate)
        {
            if (_closed)
                return false;
            resumption = _log.History!.Resume(peer.Session!, peer.Number, last, replay);
            if (shard.IsChunked != isChunked)
            {
                Shard other = _shards.Choose(this, isChunked, _registry.MaxShards);

                // From here on nothing may fail.
                other.EnsureRoom();
                shard.Remove(peer);
                other.Add(peer);
                shard = other;
            }

            offset = _log.End;
            return true;
        }
    }

    /// <summary>The number of the last broadcast before <paramref name="offset"/>.</summary>
    internal long SequenceBefore(long offset)
    {
        lock (_gate)
            return _log.SequenceBefore(offset);
    }

    /// <summary>
    /// Gives <paramref name="publication"/>, for <paramref name="addressee"/> at <paramref name="offset"/> alone, its number; it goes out
    /// after everything that was published so far. A session peer's is kept. The addressee's lock is held.
    /// </summary>
    /// <param name="publication">The message, or news of the channel, which are not kept.</param>
    /// <param name="addressee">The peer that gets it.</param>
    /// <param name="isNews">It is no message of a peer.</param>
    /// <param name="isAway">The addressee has no outlet.</param>
    /// <param name="offset">Up to where the addressee has had the broadcasts.</param>
    /// <param name="isChunked">What its outlet is.</param>
    /// <param name="missed">Null: the peer has had that. Otherwise what it has missed and the message, in a frame of the caller's.</param>
    internal Delivery Address(
        in Publication publication, Peer addressee, bool isNews, bool isAway, ref long offset, bool isChunked, out SharedFrame? missed)
    {
        missed = null;
        SharedFrame frame = publication.Frame;
        lock (_gate)
        {
            DeliveryOutcome verdict = isNews ? DeliveryOutcome.Delivered : publication.Judge();
            if (verdict != DeliveryOutcome.Delivered)
                return new Delivery(verdict);
            long sequence = _log.Sequence + 1;
            int sender = isNews ? 0 : publication.Sender.Number;
            if (_sessions is not null)
                EventWriter.AddId(frame, sequence, sender, publication.Sender.Cid);
            long end = offset;
            SharedFrame? copy = isAway ? null : CopyFrom(ref end, frame.Length, isChunked);
            copy?.Append(isChunked ? frame.Span : frame.Span[ChunkFraming.EventIn(frame.Span)]);
            try
            {
                if (addressee.Session is null || isNews || _log.History is null)
                    _log.TakeNumber();
                else
                    _log.AppendAddressed(frame, sequence, addressee.Number);
            }
            catch
            {
                copy?.Release();
                throw;
            }

            (offset, missed) = (end, copy);
            if (!isNews)
                publication.Accept();
            return new Delivery(DeliveryOutcome.Delivered, IdOf(sequence), sender, 1, isAway ? 1 : 0);
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

    /// <summary>Tells of the end of an outlet of <paramref name="peer"/>, which counted against <paramref name="usage"/>.</summary>
    internal void OnOutletEnded(Peer peer, AddressUsage? usage, in SinkEnd end, bool staysAway) =>
        _registry.OutletEnded?.Invoke(peer, usage, end, staysAway);

    /// <summary>Begins the grace of <paramref name="peer"/>, whose lock is held. False: there is none for it.</summary>
    internal bool TryWaitFor(Peer peer)
    {
        if (IsClosed || Away.Grace == 0)
            return false;
        try
        {
            Away.Add(peer);
            return true;
        }
        catch (OutOfMemoryException)
        {
            // Without a deadline it would never leave: it leaves now.
            return false;
        }
    }

    /// <summary>A session peer has lost its outlet.</summary>
    internal void OnAway(Peer peer)
    {
        _sessions!.CountAway(1);
        Presence.TellOfAway(peer);
    }

    /// <summary>
    /// <paramref name="peer"/> has left, of <paramref name="shard"/>: its token dies, and the owner is told; with the owner, all go.
    /// </summary>
    internal void OnLeft(Peer peer, Shard shard, LeaveReason reason, bool wasAway)
    {
        bool ends;
        lock (_gate)
        {
            // Before the removal: a request that finds no peer of the session must find that the session is over.
            if (reason == LeaveReason.Left)
                RememberEnd(peer);
            _members.Remove(peer);
            RemoveSession(peer);

            // With the owner, so that no peer joins a channel that is about to end. Its sessions are over from this moment on.
            ends = peer == _owner && !_closed;
            foreach (Peer other in ends && _sessions is not null ? _sessions.All : [])
                RememberEnd(other);
            if (ends)
                Close();
        }

        shard.Remove(peer);
        if (wasAway)
            OnAwayEnded(peer.Session!.Usage);
        if (peer != _owner)
            Presence.TellOfLeave(peer, reason);
        if (!ends)
            return;
        _registry.Remove(this);
        EndAll();
    }

    /// <summary>How many peers there are, and the highest number that was accepted from <paramref name="session"/>.</summary>
    internal (int Peers, long Highest) CountFor(Session session)
    {
        lock (_gate)
            return (_members.Count, session.Numbers.Highest);
    }

    /// <summary>
    /// Drops what is more than may be kept, and gives back room. <paramref name="halfTime"/>: half of the time that anything is kept has
    /// passed.
    /// </summary>
    internal void TrimHistory(bool halfTime)
    {
        lock (_gate)
        {
            if (_log.History is not { } history)
                return;
            history.HeedLimit();
            if (halfTime)
                history.OnHalfTime();
            history.Compact();
        }
    }

    /// <summary>Takes no more peers and messages. The lock is held.</summary>
    private void Close()
    {
        _closed = true;
        while (_waiting?.TryDequeue(out WaitingPublisher? waiting) is true)
            waiting.SetResult(new Delivery(DeliveryOutcome.ChannelClosed));
        EndHistory();
    }

    /// <summary>Ends every stream, after what was published.</summary>
    private void EndAll()
    {
        Peer[] sessions;
        lock (_gate)
        {
            _ending = DisconnectReason.ChannelClosed;
            sessions = _sessions is null ? [] : [.. _sessions.All];
        }

        foreach (Peer peer in sessions)
            peer.EndAbsence();

        Drain(inline: false);
    }

    /// <summary>Gives a broadcast its number. The lock is held.</summary>
    private Delivery Append(in Publication publication)
    {
        DeliveryOutcome verdict = publication.Judge();
        if (verdict != DeliveryOutcome.Delivered)
            return new Delivery(verdict);
        long sequence = _log.Sequence + 1;
        int sender = publication.Sender.Number;
        if (_sessions is not null)
            EventWriter.AddId(publication.Frame, sequence, sender, publication.Sender.Cid);
        _log.Append(publication.Frame, sequence);
        publication.Accept();
        return new Delivery(DeliveryOutcome.Delivered, IdOf(sequence), sender, _members.Count, _sessions?.Away ?? 0);
    }

    /// <summary>The number as peers are told it; 0: they are not.</summary>
    private long IdOf(long sequence) => _sessions is null ? 0 : sequence;

    private void AddSession(Peer peer)
    {
        if (peer.Session is null)
            return;
        if (_sessions is null)
        {
            // A random beginning: an id of another life of the channel is noticed.
            _log.StartAt(Random.Shared.NextInt64(LeastSequence, 2 * LeastSequence));
            _sessions = new SessionPeers();
        }

        _sessions.Add(peer);
        if (_log.History is not null)
            return;
        _log.BeginHistory(new History(_log, _registry.Frames, _registry.History, _sessions.OnDropped));
        _registry.WithHistory.Add(this);
    }

    private void RemoveSession(Peer peer)
    {
        if (peer.Session is null || _sessions is null)
            return;
        _sessions.Remove(peer);
        if (_sessions.Count == 0)
            EndHistory();
    }

    private void EndHistory()
    {
        if (_log.History is null)
            return;
        _log.EndHistory();
        _registry.WithHistory.Remove(this);
    }

    /// <summary>A session peer that counted as a stream of <paramref name="usage"/> is not away any more.</summary>
    internal void OnAwayEnded(AddressUsage? usage)
    {
        _sessions!.CountAway(-1);
        usage?.RemoveStream();
    }

    /// <summary>The session of <paramref name="peer"/>, if it has one, is over for good. The lock is held.</summary>
    private void RememberEnd(Peer peer)
    {
        try
        {
            if (peer.Session is { } session)
                _sessions!.RememberEnd(session, _registry.Ended, _registry.Now());
        }
        catch (OutOfMemoryException)
        {
            // A session that is not remembered may join anew. The peer leaves all the same.
        }
    }

    private void Drain(bool inline)
    {
        inline &= _shards.CountPeers() <= InlinePeers;
        foreach (Shard shard in _shards.Snapshot())
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
        long floor = _shards.Floor(_log.End);
        if (floor != _log.Floor)
            _log.Trim(floor);
    }

    /// <summary>Publishes for those that wait, in their order, as long as there is room. True: for at least one.</summary>
    private bool PublishWaiting()
    {
        bool published = false;
        while (_waiting is { Count: > 0 } && HasRoom())
        {
            WaitingPublisher first = _waiting.Dequeue();
            try
            {
                Delivery delivery = Append(first.Publication);
                first.SetResult(delivery);
                published |= delivery.Outcome == DeliveryOutcome.Delivered;
            }
            catch (Exception e)
            {
                first.SetException(e);
            }
        }

        return published;
    }

    private SharedFrame? CopyFrom(ref long offset, int more, bool isChunked)
    {
        if (offset == _log.End)
            return null;
        SharedFrame copy = Copy(_log.Find(offset)!, offset, _log.End, isChunked, more);
        offset = _log.End;
        return copy;
    }

    /// <summary>A broadcast that waits for room. Its frame is held by the publisher, which awaits the task.</summary>
    private sealed class WaitingPublisher(Publication publication)
        : TaskCompletionSource<Delivery>(TaskCreationOptions.RunContinuationsAsynchronously)
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

    /// <summary>The session has just joined by another request.</summary>
    SessionIsHere,
}
