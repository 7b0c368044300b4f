using Moshpit.Server.Buffers;
using Moshpit.Server.Limits;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>
/// One participant of a channel. Its outlet takes what it is to hear; a peer can be without one, or be given another. It has heard the
/// channel's broadcasts up to an offset in the channel's log.
/// </summary>
internal sealed class Peer : ISlotted, ISinkOwner
{
    /// <summary>
    /// Guards the fields that follow, and the order of what the outlet is given. Taken before a channel's and a sink's lock.
    /// </summary>
    private readonly object _gate = new();
    private FrameSink? _outlet;

    /// <summary>The shard that delivers to it, as long as it is in the channel.</summary>
    private Shard? _shard;
    private long _offset;
    private long _namedTo;

    private SendRate? _rate;

    public Peer(Channel channel, PeerId cid, Token token, AddressUsage? usage = null, Session? session = null)
    {
        Usage = usage;
        Session = session;
        Channel = channel;
        Cid = cid;
        Token = token;
    }

    public Channel Channel { get; }

    /// <summary>Its public name within the channel.</summary>
    public PeerId Cid { get; }

    /// <summary>Its secret.</summary>
    public Token Token { get; }

    /// <summary>Its place in the order of joining, from 1 on; 0 before it has joined.</summary>
    public int Number { get; internal set; }

    /// <summary>What makes it outlive its streams; null: it is a plain peer.</summary>
    public Session? Session { get; }

    /// <summary>
    /// Where its first stream counts, and of a plain peer the only one, held until that ends; null for a client that is not limited.
    /// </summary>
    public AddressUsage? Usage { get; }

    /// <summary>How fast it may send, where it is limited: made when it first sends.</summary>
    public SendRate Rate => _rate ?? Interlocked.CompareExchange(ref _rate, new SendRate(), null) ?? _rate;

    /// <summary>Its slot in its shard.</summary>
    public int Slot { get; set; }

    /// <summary>Something waits for it to read.</summary>
    public bool IsBehind => Volatile.Read(ref _outlet) is { IsBehind: true };

    /// <summary>What it is sent may still arrive.</summary>
    public bool IsListening => Volatile.Read(ref _outlet) is { HasEnded: false };

    /// <summary>
    /// Up to this offset the log has events that name it: to several peers, or to all others. Set with the channel's lock held, before the
    /// log has them. May be read at any time.
    /// </summary>
    internal long NamedTo
    {
        get => Volatile.Read(ref _namedTo);
        set => Volatile.Write(ref _namedTo, value);
    }

    /// <inheritdoc cref="FrameSink.WhenRoom"/>
    public Task? WhenRoom() => Volatile.Read(ref _outlet)?.WhenRoom();

    /// <summary>
    /// Joins its channel with <paramref name="outlet"/>, which gets <paramref name="opening"/> before anything else. The first peer of a
    /// channel is its owner; the owner hears of each later one before anything that this does next. A session's first events are added to
    /// the opening.
    /// </summary>
    /// <param name="outlet">Its first outlet.</param>
    /// <param name="opening">Stays the caller's.</param>
    /// <param name="hasGap">The client of a session has had events of one that is not here any more.</param>
    public JoinOutcome Join(FrameSink outlet, SharedFrame opening, bool hasGap = false)
    {
        // First: if there is no memory for it, nothing has happened yet.
        SharedFrame? news = Channel.Owner is { Session: null } ? Channel.OwnerNews.Rent() : null;
        try
        {
            lock (_gate)
            {
                JoinOutcome outcome = Channel.TryEnter(this, outlet.IsChunked, opening, hasGap, out _shard, out _offset);
                if (outcome != JoinOutcome.Joined)
                    return outcome;
                if (news is not null)
                    Channel.OwnerNews.TellOfJoin(this, news);
                if (Session is not null)
                    Session.Usage = Usage;
                Volatile.Write(ref _outlet, outlet);
                outlet.Write(opening, 0..opening.Length);
            }
        }
        finally
        {
            news?.Release();
        }

        Channel.OnHere();
        return JoinOutcome.Joined;
    }

    /// <summary>
    /// Has <paramref name="outlet"/> take over: it gets <paramref name="opening"/>, to which <c>connect</c> is added, a <c>gap</c> where
    /// something was lost, and what the peer has missed. The outlet so far, if there is one, ends with <c>bye</c>. If the new one is dead,
    /// or dies of being written to, nothing happens. False: the peer has left, or its channel has ended.
    /// </summary>
    /// <remarks>
    /// A limit: an outlet of the other framing needs another shard before it is written to. If it dies of that, the outlet so far ends too.
    /// </remarks>
    /// <param name="outlet">The new outlet.</param>
    /// <param name="opening">Stays the caller's.</param>
    /// <param name="last">The last event that the client has had.</param>
    /// <param name="usage">What the new outlet counts against.</param>
    public bool TryResume(FrameSink outlet, SharedFrame opening, LastEventId last, AddressUsage? usage = null)
    {
        using var replay = new Replay();
        lock (_gate)
        {
            if (_shard is null)
                return false;
            if (outlet.HasEnded || !outlet.IsConnected)
                return true;
            FrameSink? replaced = _outlet is { HasEnded: false } ? _outlet : null;
            long written = replaced is null ? 0 : Math.Max(Session!.LastAddressed, Channel.SequenceBefore(this, _offset));
            bool wasAway = _outlet is null;
            (Shard shard, long offset) = (_shard, _offset);
            long addressed = Session!.LastAddressed;
            if (!Channel.TryResume(this, last, outlet.IsChunked, opening, ref _shard, ref _offset, replay))
                return false;
            Volatile.Write(ref _outlet, outlet);
            if (wasAway)
                Session.Usage?.RemoveStream();
            replay.Write(outlet, opening);
            if (replaced is not null && _shard == shard && !outlet.IsConnected)
            {
                // No drain has passed the peer meanwhile, since its lock is held: the older outlet goes on where it was. The number of
                // the new stream stays used, since its client may have read it.
                Session.LastAddressed = addressed;
                _offset = offset;
                Volatile.Write(ref _outlet, replaced);
                return true;
            }

            Session.Usage = usage;
            if (replaced is not null)
            {
                Channel.Events.WriteBye(replaced, ByeReason.Replaced, written);
                replaced.Complete(DisconnectReason.Replaced);
            }
        }

        Channel.OnHere();
        return true;
    }

    /// <summary>
    /// Becomes the owner of its channel, and hears so with all peers that there are; the other session peers hear it too. False: it has
    /// left, or has no stream, or the channel has another owner than <paramref name="from"/>.
    /// </summary>
    /// <param name="from">The owner that hands over; null: the channel has none.</param>
    public bool TryTakeOver(Peer? from)
    {
        lock (_gate)
        {
            if (_shard is null || Session is null || _outlet is not { HasEnded: false } outlet)
                return false;
            if (!Channel.TrySetOwner(this, from, ref _offset, outlet.IsChunked, out SharedFrame? news, out long sequence))
                return false;
            Session.LastAddressed = sequence;
            WriteOnce(outlet, news);
        }

        Channel.Drain();
        return true;
    }

    /// <summary>Sends it <paramref name="news"/> of the channel; the caller keeps its reference. False: nothing takes it.</summary>
    public bool TrySend(SharedFrame news) => TrySend(new Publication(this, this, news), isNews: true, out _);

    /// <summary>Sends it <paramref name="publication"/>, after everything that was published so far.</summary>
    public Delivery Send(in Publication publication)
    {
        TrySend(publication, isNews: false, out Delivery delivery);
        return delivery;
    }

    private bool TrySend(in Publication publication, bool isNews, out Delivery delivery)
    {
        SharedFrame frame = publication.Frame;
        delivery = new Delivery(DeliveryOutcome.AddresseeGone);
        lock (_gate)
        {
            FrameSink? outlet = _outlet is { HasEnded: false } ? _outlet : null;
            if (_shard is null || (outlet is null && (Session is null || isNews)))
                return false;
            bool isChunked = outlet is not { IsChunked: false };
            delivery = Channel.Address(publication, this, isNews, isAway: outlet is null, ref _offset, isChunked, out SharedFrame? missed);
            if (delivery.Outcome != DeliveryOutcome.Delivered)
                return false;
            if (Session is not null)
                Session.LastAddressed = delivery.Sequence;
            if (missed is not null)
                WriteOnce(outlet, missed);
            else
                outlet?.Write(frame, isChunked ? 0..frame.Length : ChunkFraming.EventIn(frame.Span));
            return true;
        }
    }

    /// <inheritdoc/>
    public void End(DisconnectReason reason)
    {
        lock (_gate)
        {
            if (_shard is null || _outlet is not { HasEnded: false } outlet)
                return;
            EndOutlet(outlet, reason == DisconnectReason.ServerStopped ? ByeReason.Stopping : ByeReason.Closed, reason);
        }
    }

    /// <summary>Counts a stream that its session asks for at <paramref name="now"/>. False: there were too many.</summary>
    public bool TryOpen(long now)
    {
        lock (_gate)
            return Session!.TryOpen(now);
    }

    /// <summary>Its session counts against <paramref name="usage"/>: a stream from there takes the place that it has.</summary>
    public bool CountsAgainst(AddressUsage usage)
    {
        lock (_gate)
            return Session!.Usage == usage;
    }

    /// <summary>
    /// Leaves at its own wish; with a <paramref name="stream"/> only if it has had no newer one than that. False: it has left, or has a
    /// newer one.
    /// </summary>
    public bool TryLeave(long? stream = null) => TryLeave(stream, ByeReason.Left, DisconnectReason.Left, LeaveReason.Left);

    /// <summary>Leaves since the owner throws it out. False: it has left.</summary>
    public bool TryKick() => TryLeave(null, ByeReason.Kicked, DisconnectReason.Kicked, LeaveReason.Kicked);

    private bool TryLeave(long? stream, ByeReason bye, DisconnectReason reason, LeaveReason told)
    {
        Shard? shard;
        bool wasAway;
        lock (_gate)
        {
            shard = _shard;
            if (shard is null || Session?.Streams > stream)
                return false;
            wasAway = _outlet is null;
            if (_outlet is { HasEnded: false } outlet)
                EndOutlet(outlet, bye, reason);
            Volatile.Write(ref _outlet, null);
            _shard = null;
        }

        Channel.OnLeft(this, shard, told, wasAway);
        return true;
    }

    /// <summary>Ends its outlet at once.</summary>
    public void Cut(DisconnectReason reason) => Volatile.Read(ref _outlet)?.Abort(reason);

    /// <summary>The end of a plain peer's outlet is its leave.</summary>
    public void OnEnded(FrameSink sink, SinkEnd end) => OnEnded(sink, end, Usage);

    /// <summary>
    /// An outlet has ended that counts against <paramref name="usage"/>. If it was the present one, a plain peer leaves, and a session peer
    /// is away for the grace.
    /// </summary>
    public void OnEnded(FrameSink sink, SinkEnd end, AddressUsage? usage)
    {
        bool isAway = false;
        Shard? left = null;
        lock (_gate)
        {
            if (sink == _outlet)
            {
                Volatile.Write(ref _outlet, null);
                isAway = Session is not null && _shard is not null && Channel.TryWaitFor(this);
                if (!isAway)
                    (left, _shard) = (_shard, null);
            }

            // Before the owner hears: it may count on the peer's room. And before a newer stream, of which it hears next.
            Channel.OnOutletEnded(this, usage, end, isAway);
            if (isAway)
                Channel.OnAway(this);
        }

        if (left is not null)
            Channel.OnLeft(this, left, LeaveReason.Lost, wasAway: false);
        else if (isAway)
            Channel.DrainNews(inline: false);
    }

    /// <summary>
    /// Its grace is over at <paramref name="now"/>, if it has been away since its <paramref name="absence"/>th absence began, and if that
    /// grace was not begun again meanwhile.
    /// </summary>
    public void OnGraceOver(int absence, long now) => EndAbsence(absence, now);

    /// <summary>Leaves at once if it is away.</summary>
    public void EndAbsence() => EndAbsence(null, long.MaxValue);

    private void EndAbsence(int? absence, long now)
    {
        Shard? left;
        lock (_gate)
        {
            if (_shard is null || _outlet is not null || (absence is not null && Session!.Absence != absence))
                return;
            if (now < Session!.AwayUntil)
            {
                Channel.Away.GoOnWaitingFor(this);
                return;
            }

            (left, _shard) = (_shard, null);
        }

        Channel.OnLeft(this, left, LeaveReason.Lost, wasAway: true);
    }

    /// <summary>Leaves, unless it has had a newer stream than its <paramref name="stream"/>th.</summary>
    public void OnLeaveDue(int stream) => TryLeave(stream);

    /// <summary>A stream of its session was refused for now: if it is away, its grace begins again.</summary>
    public void RenewGrace()
    {
        lock (_gate)
        {
            if (_shard is not null && _outlet is null)
                Channel.Away.RenewGrace(Session!);
        }
    }

    /// <summary>
    /// Leaves after <paramref name="delay"/> milliseconds, unless it has by then a newer stream than <paramref name="stream"/>, or than
    /// now.
    /// </summary>
    public void LeaveLater(long delay, long? stream = null)
    {
        int streams;
        lock (_gate)
            streams = Session?.Streams ?? 0;
        if (stream is null || stream >= streams)
            Channel.Away.AddLeave(this, streams, delay);
    }

    /// <summary>Delivers what it has not had, as far as the drain goes that <paramref name="shard"/> is at.</summary>
    internal void Deliver(Shard shard)
    {
        lock (_gate)
        {
            if (_shard != shard || _outlet is not { HasEnded: false } outlet)
                return;
            long to = shard.EndFor(_offset);
            if (to > _offset)
                Write(outlet, shard, to);

            if (shard.Ending != DisconnectReason.None)
                EndOutlet(outlet, ByeReason.Closed, shard.Ending);
        }
    }

    /// <summary>Ends <paramref name="outlet"/> in good order; a session is told why.</summary>
    private void EndOutlet(FrameSink outlet, ByeReason bye, DisconnectReason reason)
    {
        if (Channel.CopyMissed(this, ref _offset, outlet.IsChunked, out long last) is { } missed)
            WriteOnce(outlet, missed);
        Session?.OnWritten(last);
        if (Session is not null)
            Channel.Events.WriteBye(outlet, bye, Math.Max(Session.LastAddressed, Channel.SequenceBefore(this, _offset)));
        outlet.Complete(reason);
    }

    /// <summary>Gives <paramref name="outlet"/> what it gets of the log up to <paramref name="to"/>.</summary>
    private void Write(FrameSink outlet, Shard shard, long to)
    {
        (long from, _offset) = (_offset, to);
        if (from < NamedTo)
        {
            WriteOnce(outlet, Channel.CopyFor(Channel.ReaderAt(this, from), from, to, outlet.IsChunked, out long lastOwn));
            Session?.OnWritten(lastOwn);
            return;
        }

        SharedFrame frame = shard.Read(from, to, Channel.KindOf(this), out Range bytes, out long last);
        Write(outlet, frame, bytes);
        Session?.OnWritten(last);
    }

    private static void WriteOnce(FrameSink? outlet, SharedFrame frame)
    {
        Write(outlet, frame, 0..frame.Length);
        frame.Release();
    }

    /// <summary>Of what was published there may be nothing for this peer.</summary>
    private static void Write(FrameSink? outlet, SharedFrame frame, Range bytes)
    {
        if (!bytes.End.Equals(bytes.Start))
            outlet?.Write(frame, bytes);
    }
}
