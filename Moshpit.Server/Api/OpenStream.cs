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
    /// <summary>Room for a response's head and a <c>connect</c> event.</summary>
    private const int OpeningLength = 768;

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
        if (Check(request, out Channel? channel) is { } rejection)
            return new(rejection);
        if (request.Method == HttpMethod.Head)
        {
            request.KeepAlive = false;
            Responses.WriteStreamHead(exchange.Output, request, StatusOf(request));
            return new(Outcome.Answered);
        }

        return channel?.Owner is { IsBehind: true } owner ? JoinWhenRoomAsync(exchange, channel, owner) : new(Open(exchange, channel));
    }

    /// <summary>Called when the stream of a peer has ended, before the peer leaves for it.</summary>
    public void OnEnded(Peer peer, SinkEnd end)
    {
        Warnings.OnStreamEnded(end.Reason, peer.Usage);
        ApiLog.StreamEnded(
            Logger, peer.Channel.Id, peer.Cid, OperatorWarnings.NameOf(peer.Usage), end.Reason, end.Seconds, end.Bytes);

        // The owner, which is told of the leave next, may count on the peer's room.
        peer.Usage?.RemoveStream();
        Admission.Leave(peer.Usage, Excess.None);
    }

    private Rejection? Check(HttpRequest request, out Channel? channel)
    {
        channel = null;
        if (!request.AcceptsEventStream)
            return ApiRejections.NotAcceptable;
        if (Shutdown.HasBegun)
            return ApiRejections.ShuttingDown;
        if (IsRoot(request))
            return null;
        channel = Channels.Find(Router.ChannelIn(request.Path));
        return channel is null ? ApiRejections.UnknownChannel : null;
    }

    private static bool IsRoot(HttpRequest request) => request.Path.Length == 1;

    /// <summary>
    /// The original answers 201 where a channel is created. But a browser's EventSource, which says what it accepts, fails for good on
    /// anything but 200.
    /// </summary>
    private static int StatusOf(HttpRequest request) => IsRoot(request) && !request.NamesEventStream ? 201 : 200;

    /// <summary>The owner hears of each join: one that is behind gets the time to read.</summary>
    private async ValueTask<Outcome> JoinWhenRoomAsync(Exchange exchange, Channel channel, Peer owner)
    {
        exchange.BeforeWaiting();
        return await Pace.WhenRoomAsync(owner).ConfigureAwait(false) ? Open(exchange, channel) : ApiRejections.OwnerBehind;
    }

    /// <summary>Opens the stream in <paramref name="channel"/>; null: in a new one.</summary>
    private Outcome Open(Exchange exchange, Channel? channel)
    {
        AddressUsage? usage = exchange.Client;
        if (usage is not null && !usage.TryAddStream())
            return ApiRejections.TooManyStreams;
        bool isOpen = false;
        try
        {
            Rejection? rejection = channel is null ? Create(exchange) : Join(exchange, channel);
            isOpen = rejection is null;
            return rejection is null ? Outcome.Stream : rejection;
        }
        finally
        {
            if (!isOpen)
                usage?.RemoveStream();
        }
    }

    private Rejection? Create(Exchange exchange)
    {
        if (exchange.Client is { } usage && !usage.TryCreateChannel(Clock.Now))
            return ApiRejections.TooManyNewChannels;
        Span<HexId> id = stackalloc HexId[1];
        HexId.Fill(id);
        if (Channels.Create(new ChannelId(id[0])) is not { } channel)
            return ApiRejections.TooManyChannels;
        try
        {
            return Join(exchange, channel);
        }
        catch
        {
            channel.TryClose();
            throw;
        }
    }

    private Rejection? Join(Exchange exchange, Channel channel)
    {
        Span<HexId> random = stackalloc HexId[2];
        HexId.Fill(random);
        HttpRequest request = exchange.Request;
        var peer = new Peer(channel, new PeerId(random[0]), new Token(random[1]), exchange.Client);
        var stream = new EventStreamConnection(exchange.Socket, Streams, peer, isChunked: !request.IsHttp10);

        JoinOutcome outcome;
        SharedFrame opening = Streams.Frames.Rent(OpeningLength + exchange.Output.WrittenCount);
        try
        {
            opening.Append(exchange.Output.WrittenSpan);
            Responses.WriteStreamHead(opening, request, StatusOf(request));
            EventWriter.WriteConnect(opening, channel.Id, peer.Cid, peer.Token, stream.IsChunked);
            outcome = peer.Join(stream, opening);
        }
        finally
        {
            opening.Release();
        }

        if (outcome == JoinOutcome.Full)
            return ApiRejections.ChannelFull;
        if (outcome == JoinOutcome.Closed)
            return Shutdown.HasBegun ? ApiRejections.ShuttingDown : ApiRejections.UnknownChannel;

        exchange.Output.ResetWrittenCount();
        ApiLog.StreamOpened(Logger, channel.Id, peer.Cid);
        stream.Start();

        // A peer that came in just as the server began to stop still hears what is being answered, and is ended with the others. Only one
        // that took longer than requests have to finish was missed there.
        if (Shutdown.Phase >= Phase.EndingStreams)
            stream.Abort(DisconnectReason.ServerStopped);
        return null;
    }
}
