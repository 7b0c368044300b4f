using Moshpit.Server.Buffers;
using Moshpit.Server.Limits;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>
/// Peers that hear each other. The first is the owner: it is told of joins and leaves, and when it goes, the channel goes, unless it is
/// kept. Every peer sees all broadcasts in one order, and one sender's messages, broadcast or direct, in the order of its calls.
/// </summary>
internal sealed partial class Channel : ISlotted
{
    /// <summary>Up to so many peers are delivered to by the thread that publishes; a hop to another thread would cost more.</summary>
    private const int InlinePeers = 16;

    /// <summary>Where numbers begin at least; they begin at less than twice as much.</summary>
    private const long LeastSequence = 1_000_000_000;

    /// <summary>Bytes of an event about the channel, but for a roster.</summary>
    private const int NewsLength = 300;

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
    private RoomSettings _settings = RoomSettings.Default;

    /// <summary>Tells watchers of the other peers; null before there was one to tell.</summary>
    private Presence? _presence;

    /// <summary>The last owner, and what became of it, where there is none.</summary>
    private (PeerId? Was, LeaveReason Reason) _vacancy;
    private int _lastNumber;

    private bool _closed;
    private DisconnectReason _ending;

    internal Channel(ChannelId id, ChannelRegistry registry, RoomSettings settings)
    {
        Id = id;
        _registry = registry;
        _settings = settings;
        _log = new EventLog(registry.Frames);
    }

    public ChannelId Id { get; }

    /// <summary>Its slot among the channels that keep a history.</summary>
    public int Slot { get; set; }

    /// <summary>The session that created it by asking for a channel without a name, and finds it by that again; null: none did.</summary>
    public SessionKey? Creator { get; set; }

    /// <summary>
    /// The first peer, or the one that came after it. Null before the first has joined, and in a kept channel while all session peers are
    /// away.
    /// </summary>
    public Peer? Owner => Volatile.Read(ref _owner);

    public RoomSettings Settings => Volatile.Read(ref _settings);

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

    internal OwnerNews OwnerNews => _registry.OwnerNews;

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
            if (_closed || (ifUnused && _lastNumber > 0))
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
        {
            Delivery sent = addressee.Send(publication);
            publication.Several?.OnSentToOne(sent);
            return new(sent);
        }

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

    /// <summary>Sees to it that news of other peers is on its way.</summary>
    /// <param name="inline">The caller holds no lock of a peer, so that it may deliver.</param>
    internal void DrainNews(bool inline)
    {
        if (Volatile.Read(ref _presence) is not null)
            Drain(inline);
    }

    /// <summary>
    /// Makes <paramref name="peer"/> a member, which has had everything up to <paramref name="offset"/>. A session's first events are added
    /// to <paramref name="opening"/>. The peer's lock is held.
    /// </summary>
    internal JoinOutcome TryEnter(
        Peer peer, bool isChunked, SharedFrame opening, bool hasGap, out Shard? shard, out long offset)
    {
        lock (_gate)
        {
            shard = null;
            offset = _log.End;
            JoinOutcome outcome = MayEnter(peer);
            if (outcome != JoinOutcome.Joined)
                return outcome;
            peer.Number = _lastNumber + 1;
            bool takesOver = _lastNumber == 0 || IsFirstHere(peer);
            long joined;
            try
            {
                _members.Add(peer);
                AddSession(peer);
                Shard chosen = _shards.Choose(this, isChunked, _registry.MaxShards);
                chosen.EnsureRoom();
                EnsureRoom(opening, peer, takesOver);
                joined = _log.Sequence + 1;
                if (Watched() is not { } presence || !presence.TryTellJoin(peer))
                    joined = _log.TakeNumber();
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
            if (takesOver)
                Volatile.Write(ref _owner, peer);
            offset = _log.End;
            if (peer.Session is { } session)
            {
                session.Begin(joined);
                Events.WriteConnect(opening, peer, _members, resumed: false, hasGap ? 0 : joined, isChunked);
                if (hasGap)
                    EventWriter.WriteGap(opening, Id, after: -1, joined, isChunked);
            }

            return JoinOutcome.Joined;
        }
    }

    /// <summary>
    /// Collects in <paramref name="replay"/> what <paramref name="peer"/> has missed since <paramref name="last"/>; it is at the log's end
    /// then. The first events of its new stream are added to <paramref name="opening"/>. The peer's lock is held. False: the channel is
    /// closed, and its streams are being ended.
    /// </summary>
    internal bool TryResume(
        Peer peer, LastEventId last, bool isChunked, SharedFrame opening, ref Shard shard, ref long offset, Replay replay)
    {
        lock (_gate)
        {
            if (_closed)
                return false;
            Session session = peer.Session!;
            bool takesOver = IsFirstHere(peer);
            Resumption resumption = _log.History!.Resume(session, peer.Number, last, replay);
            EnsureRoom(opening, peer, takesOver);
            if (shard.IsChunked != isChunked)
            {
                Shard other = _shards.Choose(this, isChunked, _registry.MaxShards);

                // From here on nothing may fail.
                other.EnsureRoom();
                shard.Remove(peer);
                other.Add(peer);
                shard = other;
            }

            if (session.IsAway)
            {
                // Before the client reads connect: a message that it sends then counts no peer as away that is not.
                _sessions!.SetAway(session, false);
                Watched()?.TellBack(peer);
            }

            if (takesOver)
                Volatile.Write(ref _owner, peer);
            offset = _log.End;
            session.Resume(resumption.Last);
            Events.WriteConnect(opening, peer, _members, resumption.IsUsable, resumption.ConnectId, isChunked);
            if (resumption.GapId > 0)
                EventWriter.WriteGap(opening, Id, resumption.IsUsable ? resumption.After : -1, resumption.GapId, isChunked);
            return true;
        }
    }

    /// <summary>The number of the last event of the log before <paramref name="offset"/> that was for <paramref name="peer"/>.</summary>
    internal long SequenceBefore(Peer peer, long offset)
    {
        lock (_gate)
            return _log.SequenceBefore(offset, new Reader(peer.Number, KindOf(peer)));
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
            SharedFrame? copy = isAway ? null : CopyFrom(addressee, ref end, frame.Length, isChunked, out _);
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
    internal SharedFrame? CopyMissed(Peer peer, ref long offset, bool isChunked, out long last)
    {
        lock (_gate)
            return CopyFrom(peer, ref offset, 0, isChunked, out last);
    }

    /// <summary>Whether what stands from <paramref name="offset"/> on is for all, as far as a reader has seen the log's end.</summary>
    internal bool IsForAll(long offset) => offset >= _log.SelectiveTo;

    /// <summary>Copies events that are for all, beginning in or after <paramref name="segment"/>.</summary>
    internal SharedFrame Copy(EventSegment segment, long from, long to, bool isChunked)
    {
        SharedFrame copy = _registry.Frames.Rent((int)(to - from));
        segment.CopyTo(copy, from, to, isChunked);
        return copy;
    }

    /// <summary>How the events from <paramref name="offset"/> on tell <paramref name="peer"/> from others.</summary>
    internal Reader ReaderAt(Peer peer, long offset) => new(offset < peer.NamedTo ? peer.Number : 0, KindOf(peer));

    /// <summary>
    /// Copies the events that <paramref name="reader"/> is to get. <paramref name="last"/>: as of <see cref="EventLog.Copy"/>.
    /// </summary>
    internal SharedFrame CopyFor(Reader reader, long from, long to, bool isChunked, out long last)
    {
        lock (_gate)
            return _log.Copy(reader, from, to, isChunked, more: 0, out last);
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
        lock (_gate)
        {
            if (_sessions!.Find(peer.Session!.Key) != peer)
                return;
            _sessions.SetAway(peer.Session, true);
            if (_closed)
                return;
            Watched()?.TellAway(peer);
            if (_owner is null)
                FindOwnerLater();
        }
    }

    /// <summary>
    /// <paramref name="peer"/> has left, of <paramref name="shard"/>: its token dies, and others are told. With the owner all go, unless
    /// the channel is kept and a session peer can become its owner.
    /// </summary>
    internal void OnLeft(Peer peer, Shard shard, LeaveReason reason, bool wasAway)
    {
        bool ends, isOver, isVacant = false;
        lock (_gate)
        {
            // Before the removal: a request that finds no peer of the session must find that the session is over.
            if (reason != LeaveReason.Lost)
                RememberEnd(peer);
            _members.Remove(peer);
            RemoveSession(peer);
            if (peer == _owner && Settings.IsKept)
            {
                Volatile.Write(ref _owner, null);

                // An owner that kicks itself has left: an owner event has no reason "kicked".
                _vacancy = (peer.Cid, reason == LeaveReason.Kicked ? LeaveReason.Left : reason);
                isVacant = true;
            }

            // With the owner, so that no peer joins a channel that is about to end. Its sessions are over from this moment on.
            ends = !_closed && (peer == _owner || (_owner is null && _sessions is not { Count: > 0 }));
            if (ends)
                CloseForGood();
            else if (!_closed)
                Watched()?.TellLeave(peer, reason);

            // The end of the channel is no leave of its peers.
            isOver = _ending != DisconnectReason.None;
        }

        shard.Remove(peer);
        if (wasAway)
            peer.Session!.Usage?.RemoveStream();
        if (!isOver)
            OwnerNews.TellOfLeave(peer);
        if (ends)
        {
            _registry.Remove(this);
            EndAll();
            return;
        }

        if (isVacant)
            FindOwnerLater();
        DrainNews(inline: false);
    }

    /// <summary>What <paramref name="peer"/> hears of the others.</summary>
    internal ReaderKind KindOf(Peer peer) =>
        peer.Session is not { } session ? ReaderKind.Plain
        : session.HearsAll || peer == Owner ? ReaderKind.Watcher
        : ReaderKind.Session;

    /// <summary>Tells watchers how many peers there are, if that is due at <paramref name="now"/>. False: it is, but not yet.</summary>
    internal bool TryTellCount(long now)
    {
        bool isTold;
        lock (_gate)
            isTold = _closed || _presence is not { } presence || presence.TryTellCount(now);
        Drain(inline: false);
        return isTold;
    }

    /// <summary>Watchers are to be told how many peers there are.</summary>
    internal void OnCountDue() => _registry.CountDue.TryAdd(this, 0);

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

    /// <summary>Takes no more peers and messages, and its sessions are over. The lock is held.</summary>
    private void CloseForGood()
    {
        foreach (Peer peer in _sessions is not null ? _sessions.All : [])
            RememberEnd(peer);
        Close();
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
        if (publication.Several is { } several)
            return AppendFor(several, publication);
        Peer sender = publication.Sender;
        Audience audience = publication.HasNoEcho ? Audience.AllBut(sender.Number) : Audience.All;
        long sequence = AddId(publication);
        if (publication.HasNoEcho)
            sender.NamedTo = _log.End + publication.Frame.Length;
        _log.Append(publication.Frame, sequence, [audience]);
        publication.Accept();
        int to = _members.Count, away = _sessions?.Away ?? 0;
        if (publication.HasNoEcho && _members.Find(sender.Cid) is not null)
        {
            to--;
            away -= sender.Session is { IsAway: true } ? 1 : 0;
        }

        return new Delivery(DeliveryOutcome.Delivered, IdOf(sequence), sender.Number, to, away);
    }

    /// <summary>Gives a message to several peers, of which one at least is here, its number. The lock is held.</summary>
    private Delivery AppendFor(Addressees several, in Publication publication)
    {
        Span<Audience> audiences = stackalloc Audience[Addressees.Most];
        int count = several.Find(_members, audiences);
        if (count == 0)
            return new Delivery(DeliveryOutcome.AddresseeGone);
        long sequence = AddId(publication);
        foreach (Addressee addressee in several.All)
        {
            if (addressee.Peer is { } peer)
                peer.NamedTo = _log.End + publication.Frame.Length;
        }

        _log.Append(publication.Frame, sequence, audiences[..count]);
        publication.Accept();
        return new Delivery(DeliveryOutcome.Delivered, IdOf(sequence), publication.Sender.Number, count);
    }

    /// <summary>The number that a message gets next, which is added to its event if peers are told numbers.</summary>
    private long AddId(in Publication publication)
    {
        long sequence = _log.Sequence + 1;
        if (_sessions is not null)
            EventWriter.AddId(publication.Frame, sequence, publication.Sender.Number, publication.Sender.Cid);
        return sequence;
    }

    /// <summary>Whether <paramref name="peer"/>, which is no member yet, may become one.</summary>
    private JoinOutcome MayEnter(Peer peer)
    {
        RoomSettings settings = Settings;
        return _closed ? JoinOutcome.Closed
            : peer.Session is { } session && _sessions?.Find(session.Key) is not null ? JoinOutcome.SessionIsHere
            : settings.IsLocked ? JoinOutcome.Locked
            : settings.Max > 0 && _members.Count >= settings.Max ? JoinOutcome.RoomFull
            : _members.Count >= _registry.MaxPeersPerChannel || _lastNumber == Audience.MaxNumber ? JoinOutcome.Full
            : JoinOutcome.Joined;
    }

    /// <summary>The channel has no owner, and <paramref name="peer"/> becomes it by coming: all other session peers are away.</summary>
    private bool IsFirstHere(Peer peer) =>
        _owner is null && peer.Session is not null && (_sessions is null || _sessions.FirstHere() is null);

    /// <summary>
    /// Makes room in <paramref name="opening"/> for the first events of <paramref name="peer"/>: when it has joined or come back, nothing
    /// may fail any more.
    /// </summary>
    private void EnsureRoom(SharedFrame opening, Peer peer, bool becomesOwner)
    {
        if (peer.Session is not { } session)
            return;
        bool hasRoster = session.HearsAll || becomesOwner || peer == _owner;
        opening.GetSpan(SessionEvents.OpeningLength + (hasRoster ? Roster.LengthBound(_members, from: 1) : 0));
    }

    /// <summary>What tells watchers of the other peers; null: there is no watcher.</summary>
    private Presence? Watched() => _sessions is { Hearers: > 0 } || _owner?.Session is not null
        ? _presence ??= new Presence(this, _log, _members, _registry.Frames)
        : null;

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

    private SharedFrame? CopyFrom(Peer peer, ref long offset, int more, bool isChunked, out long last)
    {
        last = 0;
        if (offset == _log.End)
            return null;
        SharedFrame copy = _log.Copy(ReaderAt(peer, offset), offset, _log.End, isChunked, more, out last);
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

    /// <summary>The owner has locked the channel.</summary>
    Locked,

    /// <summary>The channel has as many peers as its creator or owner allows.</summary>
    RoomFull,

    /// <summary>The channel has as many peers as the server allows.</summary>
    Full,

    /// <summary>The session has just joined by another request.</summary>
    SessionIsHere,
}
