using Microsoft.Extensions.Logging;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;
using Moshpit.Server.Sse;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>
/// GET of the root or of a channel: makes the connection the event stream of a peer, in a new channel or in that one. HEAD says what GET
/// would. The checks stand in the order of the protocol.
/// </summary>
internal sealed class OpenStream : IHandler
{
    /// <summary>Room for a response's head and the first events of a plain or of a session stream.</summary>
    private const int OpeningLength = 1400;

    /// <summary>Room for the first events alone.</summary>
    private const int EventsLength = 700;

    public required ChannelRegistry Channels { get; init; }

    public required StreamTransport Streams { get; init; }

    public required ServerClock Clock { get; init; }

    public required Pace Pace { get; init; }

    public required ResponseWriter Responses { get; init; }

    public required Shutdown Shutdown { get; init; }

    public required Admission Admission { get; init; }

    public required OperatorWarnings Warnings { get; init; }

    public required ILogger Logger { get; init; }

    public ValueTask<Outcome> HandleAsync(Exchange exchange)
    {
        HttpRequest request = exchange.Request;
        SessionRequest session;
        Rejection? mistake = SessionRequest.Read(request, out session);
        if (request.Method == HttpMethod.Head)
            return new(AnswerHead(exchange, session));

        // Before all else: a source whose session is over is not to come back, not even because the server is stopping.
        if (mistake is null && session.IsSession && session.Last.IsOver)
            return new(End(exchange));
        if (CheckServer(request) is { } refusal)
            return new(refusal);
        if (mistake is not null)
            return new(mistake);
        if (session.IsSession)
            return HandleSessionAsync(exchange, session);

        ReadOnlySpan<byte> name = Router.ChannelIn(request.Path);
        Channel? channel = IsRoot(request) ? null : Channels.Find(name);
        if (channel is null && !IsRoot(request) && !MayCreate(session, name))
            return new(ApiRejections.UnknownChannel);
        NewChannel created = NewChannelFor(session, name);
        return channel?.Owner is { IsBehind: true } owner
            ? JoinWhenRoomAsync(exchange, channel, created, owner)
            : new(Open(exchange, channel, created));
    }

    /// <summary>Says what a GET would.</summary>
    private Outcome AnswerHead(Exchange exchange, in SessionRequest session)
    {
        HttpRequest request = exchange.Request;
        if (CheckServer(request) is { } refusal)
            return refusal;
        ReadOnlySpan<byte> name = Router.ChannelIn(request.Path);
        if (!IsRoot(request) && Channels.Find(name) is null && !MayCreate(session, name))
            return ApiRejections.UnknownChannel;
        request.KeepAlive = false;
        Responses.WriteStreamHead(exchange.Output, request, StatusOf(request));
        return Outcome.Answered;
    }

    /// <summary>The request creates the channel <paramref name="name"/> if there is none.</summary>
    private static bool MayCreate(in SessionRequest session, ReadOnlySpan<byte> name) => session.Creates && ChannelId.IsValidName(name);

    /// <summary>The channel that the request creates, if it does: with the name that it names, or a random one.</summary>
    private static NewChannel NewChannelFor(in SessionRequest session, ReadOnlySpan<byte> name)
    {
        ChannelId? id = session.Creates && ChannelId.IsValidName(name) && ChannelId.TryParse(name, out ChannelId chosen) ? chosen : null;
        return session.IsSession || session.Creates
            ? new NewChannel(id, session.Settings, session.IsSession ? session.SettingsMistake : null)
            : new NewChannel(null, RoomSettings.Default, null);
    }

    /// <summary>
    /// Called when a stream of a peer has ended, before the peer leaves for it. <paramref name="staysAway"/>: it does not leave yet, and
    /// goes on to count as a stream of <paramref name="usage"/>.
    /// </summary>
    public void OnEnded(Peer peer, AddressUsage? usage, SinkEnd end, bool staysAway)
    {
        Warnings.OnStreamEnded(end.Reason, usage);
        ApiLog.StreamEnded(Logger, peer.Channel.Id, peer.Cid, OperatorWarnings.NameOf(usage), end.Reason, end.Seconds, end.Bytes);

        // The owner, which is told of the leave next, may count on the peer's room.
        if (!staysAway)
            usage?.RemoveStream();
        Admission.Leave(usage, Excess.None);
    }

    private Rejection? CheckServer(HttpRequest request) =>
        !request.AcceptsEventStream ? ApiRejections.NotAcceptable : Shutdown.HasBegun ? ApiRejections.ShuttingDown : null;

    /// <summary>Opens or resumes the stream of a session.</summary>
    private ValueTask<Outcome> HandleSessionAsync(Exchange exchange, in SessionRequest session)
    {
        HttpRequest request = exchange.Request;
        var origin = SessionKey.Hash(request[KeptField.Origin]);
        SessionKey? creator = IsRoot(request) ? SessionKey.OfCreator(session.Secret) : null;
        bool isCounted = false;
        for (var wait = default(SpinWait); ; wait.SpinOnce())
        {
            ReadOnlySpan<byte> name = Router.ChannelIn(request.Path);
            Channel? channel = creator is { } key ? Channels.FindByCreator(key) : Channels.Find(name);
            if (channel is { IsClosed: true })
            {
                // It may not have been forgotten yet.
                if (creator is { } its)
                    Channels.RemoveCreator(its, channel);
                channel = null;
            }

            SessionKey? own = channel is not null ? SessionKey.Of(channel.Id, session.Secret)
                : ChannelId.TryParse(name, out ChannelId id) ? SessionKey.Of(id, session.Secret) : creator;
            Peer? peer = own is { } mine ? channel?.FindBySession(mine) : null;
            if (peer is not null)
            {
                if (!peer.Session!.Origin.Equals(origin))
                    return new(ApiRejections.OtherOrigin);
                if (session.Last.IsNegative && peer.IsListening)
                    return new(End(exchange));
                if (!isCounted && !peer.TryOpen(Clock.Now))
                    return new(ApiRejections.TooManyOpens);
                isCounted = true;
                if (Resume(exchange, peer, session.Last) is { } resumed)
                    return new(resumed);

                // The peer is leaving at this moment: it is about to be forgotten.
                continue;
            }

            if (session.Last.IsGiven && own is { } ended && Channels.Ended.Contains(ended, Clock.Now))
                return new(End(exchange));
            if (channel is null && creator is null && !MayCreate(session, name))
                return new(Channels.MayReturn ? ApiRejections.UnknownChannelYet : ApiRejections.UnknownChannel);
            var opened = new Opening(
                channel, NewChannelFor(session, name), session.Secret.ToArray(), own!.Value, creator, origin, session.Last.IsGiven,
                session.HearsAll, session.Meta);
            if (channel?.Owner is { IsBehind: true } owner)
                return JoinWhenRoomAsync(exchange, opened, owner);
            if (OpenSession(exchange, opened) is { } outcome)
                return new(outcome);
        }
    }

    /// <summary>Tells an EventSource that it is not to come back.</summary>
    private Outcome End(Exchange exchange)
    {
        Responses.WriteNoContent(exchange.Output, exchange.Request);
        return Outcome.Answered;
    }

    private async ValueTask<Outcome> JoinWhenRoomAsync(Exchange exchange, Opening opening, Peer owner)
    {
        exchange.BeforeWaiting();
        if (!await Pace.WhenRoomAsync(owner).ConfigureAwait(false))
            return ApiRejections.OwnerBehind;
        return OpenSession(exchange, opening) ?? await HandleAsync(exchange).ConfigureAwait(false);
    }

    /// <summary>Gives <paramref name="peer"/> a new stream. Null: it has just left.</summary>
    private Outcome? Resume(Exchange exchange, Peer peer, LastEventId last) => Count(exchange, peer, () =>
    {
        var stream = new EventStreamConnection(
            exchange.Socket, Streams, new SessionStream(peer, exchange.Client), isChunked: !exchange.Request.IsHttp10);
        SharedFrame opening = RentOpening(exchange, status: 200);
        try
        {
            if (!peer.TryResume(stream, opening, last, exchange.Client))
                return null;
        }
        finally
        {
            opening.Release();
        }

        Start(exchange, peer, stream);
        return Outcome.Stream;
    });

    /// <summary>Opens the first stream of a session. Null: it has just been opened by another request.</summary>
    private Outcome? OpenSession(Exchange exchange, Opening opening) => Count(exchange, resuming: null, () =>
    {
        Channel? channel = opening.Channel;
        if (channel is null && Create(exchange, opening.New, out channel) is { } refusal)
            return refusal;
        bool isIn = false;
        try
        {
            if (opening.Channel is null && opening.Creator is { } creator && !Channels.TryAddCreator(creator, channel!))
                return null;
            Rejection? rejection = Join(exchange, channel!, opening, out isIn);
            if (rejection is not null)
                return rejection;
            return isIn ? Outcome.Stream : default(Outcome?);
        }
        finally
        {
            // Another request of the session may have joined it meanwhile.
            if (!isIn && opening.Channel is null)
                channel!.TryClose(ifUnused: true);
        }
    });

    /// <summary>
    /// Counts the stream that <paramref name="open"/> opens against the client's address, if it is limited. A peer that resumes keeps the
    /// place that it has there.
    /// </summary>
    private static Outcome? Count(Exchange exchange, Peer? resuming, Func<Outcome?> open)
    {
        AddressUsage? usage = exchange.Client;
        if (usage is not null && !usage.TryAddStream(isReplacing: resuming?.CountsAgainst(usage) == true))
            return ApiRejections.TooManyStreams;
        bool isOpen = false;
        try
        {
            Outcome? outcome = open();
            isOpen = outcome is { IsStream: true };
            return outcome;
        }
        finally
        {
            if (!isOpen)
                usage?.RemoveStream();
        }
    }

    /// <summary>It asks for a new channel.</summary>
    public static bool IsRoot(HttpRequest request) => request.Path.Length == 1;

    /// <summary>
    /// The original answers 201 where a channel is created. But a browser's EventSource, which says what it accepts, fails for good on
    /// anything but 200.
    /// </summary>
    private static int StatusOf(HttpRequest request) => IsRoot(request) && !request.NamesEventStream ? 201 : 200;

    /// <summary>The owner hears of each join: one that is behind gets the time to read.</summary>
    private async ValueTask<Outcome> JoinWhenRoomAsync(Exchange exchange, Channel channel, NewChannel created, Peer owner)
    {
        exchange.BeforeWaiting();
        return await Pace.WhenRoomAsync(owner).ConfigureAwait(false) ? Open(exchange, channel, created) : ApiRejections.OwnerBehind;
    }

    /// <summary>Opens a plain stream in <paramref name="channel"/>; null: in a new one.</summary>
    private Outcome Open(Exchange exchange, Channel? channel, NewChannel opens)
    {
        AddressUsage? usage = exchange.Client;
        if (usage is not null && !usage.TryAddStream())
            return ApiRejections.TooManyStreams;
        bool isIn = false;
        try
        {
            while (true)
            {
                Channel? created = null;
                if (channel is null && Create(exchange, opens, out created) is { } refusal)
                    return refusal;
                Rejection? rejection;
                try
                {
                    rejection = Join(exchange, channel ?? created!, session: null, out isIn);
                }
                finally
                {
                    if (!isIn)
                        created?.TryClose(ifUnused: true);
                }

                if (rejection is null)
                    return Outcome.Stream;
                if (rejection != ApiRejections.UnknownChannel || opens.Name is null)
                    return rejection;
                channel = null; // the one of that name has just ended
            }
        }
        finally
        {
            if (!isIn)
                usage?.RemoveStream();
        }
    }

    private Rejection? Create(Exchange exchange, NewChannel opens, out Channel? channel)
    {
        channel = null;
        if (opens.Mistake is not null)
            return opens.Mistake;
        if (exchange.Client is { } usage && !usage.TryCreateChannel(Clock.Now))
            return ApiRejections.TooManyNewChannels;
        channel = Channels.Create(opens.Name ?? RandomId(), opens.Settings);
        return channel is null ? ApiRejections.TooManyChannels : null;
    }

    private static ChannelId RandomId()
    {
        Span<HexId> id = stackalloc HexId[1];
        HexId.Fill(id);
        return new ChannelId(id[0]);
    }

    /// <summary>
    /// Lets a new peer into <paramref name="channel"/>; <paramref name="session"/> is null for a plain one. Neither refused nor
    /// <paramref name="isIn"/>: a peer of that session is there already.
    /// </summary>
    private Rejection? Join(Exchange exchange, Channel channel, Opening? session, out bool isIn)
    {
        Span<HexId> random = stackalloc HexId[2];
        HexId.Fill(random);
        HttpRequest request = exchange.Request;
        Session? state = session is { } s
            ? new Session(SessionKey.Of(channel.Id, s.Secret), s.Creator, s.Origin, s.HearsAll, s.Meta)
            : null;
        var peer = new Peer(channel, new PeerId(random[0]), new Token(random[1]), exchange.Client, state);
        ISinkOwner owner = state is null ? peer : new SessionStream(peer, exchange.Client);
        var stream = new EventStreamConnection(exchange.Socket, Streams, owner, isChunked: !request.IsHttp10);

        JoinOutcome outcome;
        SharedFrame opening = RentOpening(exchange, session is null ? StatusOf(request) : 200);
        try
        {
            if (session is null)
                EventWriter.WriteConnect(opening, channel.Id, peer.Cid, peer.Token, stream.IsChunked);
            outcome = peer.Join(stream, opening, hasGap: session is { HasGap: true });
        }
        finally
        {
            opening.Release();
        }

        isIn = outcome == JoinOutcome.Joined;
        if (outcome is JoinOutcome.Full or JoinOutcome.RoomFull or JoinOutcome.Locked)
        {
            return outcome == JoinOutcome.Full ? ApiRejections.ChannelFull
                : outcome == JoinOutcome.RoomFull ? ApiRejections.RoomFull
                : ApiRejections.Locked;
        }

        if (outcome == JoinOutcome.Closed && (session?.Creator is not null || session?.New.Name is not null) && !Shutdown.HasBegun)
            return null; // the session's own channel, or the one of that name, has just ended: it gets a new one
        if (outcome == JoinOutcome.Closed)
            return Shutdown.HasBegun ? ApiRejections.ShuttingDown : ApiRejections.UnknownChannel;
        if (isIn)
        {
            if (session is { } joined)
            {
                Channels.Ended.Remove(joined.Asked);

                // It is the session that created this channel: it is remembered by that key too.
                if (channel.Creator is { } creator && creator.Equals(SessionKey.OfCreator(joined.Secret)))
                    Channels.Ended.Remove(creator);
            }

            Start(exchange, peer, stream);
        }

        return null;
    }

    /// <summary>A frame with the answers to earlier requests, and the head of the response.</summary>
    private SharedFrame RentOpening(Exchange exchange, int status)
    {
        SharedFrame opening = Streams.Frames.Rent(OpeningLength + exchange.Output.WrittenCount);
        try
        {
            opening.Append(exchange.Output.WrittenSpan);
            Responses.WriteStreamHead(opening, exchange.Request, status);

            // For the first events: when the peer has joined, nothing may fail any more.
            opening.GetSpan(EventsLength);
            return opening;
        }
        catch
        {
            opening.Release();
            throw;
        }
    }

    private void Start(Exchange exchange, Peer peer, EventStreamConnection stream)
    {
        exchange.Output.ResetWrittenCount();
        ApiLog.StreamOpened(Logger, peer.Channel.Id, peer.Cid);
        stream.Start();

        // A peer that came in just as the server began to stop still hears what is being answered, and is ended with the others. Only one
        // that took longer than requests have to finish was missed there.
        if (Shutdown.Phase >= Phase.EndingStreams)
            stream.Abort(DisconnectReason.ServerStopped);
    }

    /// <summary>A channel that is to be created, if it is not there.</summary>
    /// <param name="Name">Its name; null: a random id.</param>
    /// <param name="Settings">What its creator asks for.</param>
    /// <param name="Mistake">Why it is not created; null: it may be.</param>
    private readonly record struct NewChannel(ChannelId? Name, RoomSettings Settings, Rejection? Mistake);

    /// <summary>The first stream of a session, that is to be opened.</summary>
    /// <param name="Channel">Where; null: in a new channel.</param>
    /// <param name="New">That channel.</param>
    /// <param name="Secret">The session's secret.</param>
    /// <param name="Asked">By which it is remembered if it was ended before.</param>
    /// <param name="Creator">By which the session finds a new channel again; null where it joins one, or creates one with a name.</param>
    /// <param name="Origin">The hash of the Origin that it comes from.</param>
    /// <param name="HasGap">The client has had events of a session that is not here any more.</param>
    /// <param name="HearsAll">It asks to hear of all other peers.</param>
    /// <param name="Meta">What it says about itself; null: nothing.</param>
    private readonly record struct Opening(
        Channel? Channel, NewChannel New, byte[] Secret, SessionKey Asked, SessionKey? Creator, HexId Origin, bool HasGap, bool HearsAll,
        byte[]? Meta);
}
