using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Forms;
using Moshpit.Server.Http;
using Moshpit.Server.Sse;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>What the server does for a request: open a stream, take a message, say what is possible, or refuse. Checks stand in the order of the protocol.</summary>
internal static class Routes
{
    /// <summary>Room for a response's head and a <c>connect</c> event.</summary>
    private const int OpeningLength = 768;

    /// <summary>
    /// Room for a signal's framing, and for a few repairs that make its data longer than it was sent. For more the frame grows.
    /// </summary>
    private const int SignalOverhead = 64;

    /// <summary>What curl sends for <c>-d '{"token":…}'</c> without a header: JSON, announced as a form.</summary>
    private static readonly Rejection JsonSentAsForm = Rejections.MissingToken.With(
        "The form has no field token, but the body looks like JSON; send it with the header Content-Type: application/json.");

    /// <summary>
    /// Answers a request other than POST, counted against <paramref name="usage"/>. True: the connection has become an event stream, and is no
    /// longer the caller's, nor is the hold on <paramref name="usage"/>. Otherwise <paramref name="rejection"/>, where it is not null, is the
    /// answer, which is the caller's to write.
    /// </summary>
    public static bool TryAnswer(
        ServerState server, BufferedConnection connection, HttpRequest request, AddressUsage? usage, out Rejection? rejection)
    {
        rejection = null;
        switch (request.Method)
        {
            case HttpMethod.Options:
                ResponseWriter.WriteOptions(connection.Output, request);
                return false;
            case HttpMethod.Get:
                rejection = CheckStream(server, request, out Channel? channel) ?? OpenStream(server, connection, request, channel, usage);
                return rejection is null;
            case HttpMethod.Head:
                rejection = CheckStream(server, request, out _);
                if (rejection is not null)
                    return false;
                request.KeepAlive = false;
                ResponseWriter.WriteStreamHead(connection.Output, request, StreamStatus(request));
                return false;
            default:
                rejection = Rejections.MethodNotAllowed;
                return false;
        }
    }

    /// <summary>What is wrong with a POST by its head alone, except its length; null: nothing, and <paramref name="channel"/> is what it is for.</summary>
    public static Rejection? CheckPost(ServerState server, HttpRequest request, out Channel? channel)
    {
        channel = null;
        if (request.Target != TargetKind.Channel)
            return Rejections.UnknownTarget;
        channel = FindChannel(server, request);
        if (channel is null)
            return Rejections.UnknownChannel;
        if (request.ContentType is not (ContentType.Json or ContentType.Form))
            return Rejections.UnsupportedMediaType;
        return request.HasContentEncoding ? Rejections.UnsupportedContentEncoding : null;
    }

    /// <summary>Understands the body of a POST that <see cref="CheckPost"/> let through. Null: <paramref name="post"/> is to be delivered.</summary>
    public static Rejection? ReadPost(ServerState server, HttpRequest request, Channel channel, ReadOnlySpan<byte> body, out Post post)
    {
        post = default;
        if (channel.IsClosed)
            return Rejections.UnknownChannel;
        SharedFrame frame = server.Frames.Rent(body.Length + SignalOverhead);
        bool isComplete = false;
        try
        {
            EventWriter.BeginSignal(frame);
            Rejection? rejection = ParseBody(request, body, frame, out Message message)
                ?? Authorize(request, body, channel, message, frame, out post);
            if (rejection is null)
                EventWriter.EndSignal(frame);
            isComplete = rejection is null;
            return rejection;
        }
        finally
        {
            if (!isComplete)
                frame.Release();
        }
    }

    private static Rejection? ParseBody(HttpRequest request, ReadOnlySpan<byte> body, SharedFrame frame, out Message message)
    {
        string? error;
        if (request.ContentType == ContentType.Json)
            return JsonBody.TryParse(body, frame, out message, out error) ? null : Rejections.MalformedJson.With(error);
        return FormBody.TryParse(body, frame, out message, out error) ? null : Rejections.MalformedForm.With(error);
    }

    private static Rejection? Authorize(
        HttpRequest request, ReadOnlySpan<byte> body, Channel channel, in Message message, SharedFrame frame, out Post post)
    {
        Peer? addressee = null;
        post = default;
        if (message.TokenField == IdField.Absent)
            return request.ContentType == ContentType.Form && LooksLikeJson(body) ? JsonSentAsForm : Rejections.MissingToken;
        Peer? sender = message.TokenField == IdField.Present ? channel.FindByToken(message.Token) : null;
        if (sender is null)
            return Rejections.InvalidToken;
        if (!message.HasData)
            return Rejections.MissingData;
        if (message.CidField != IdField.Absent)
        {
            addressee = message.CidField == IdField.Present ? channel.FindByCid(message.Cid) : null;
            if (addressee is null)
                return Rejections.UnknownPeer;
        }

        post = new Post(channel, sender, addressee, frame);
        return null;
    }

    private static bool LooksLikeJson(ReadOnlySpan<byte> body) => body.TrimStart(" \t\r\n"u8) is [(byte)'{' or (byte)'[', ..];

    private static Rejection? CheckStream(ServerState server, HttpRequest request, out Channel? channel)
    {
        channel = null;
        if (request.Target is not (TargetKind.Root or TargetKind.Channel))
            return Rejections.UnknownTarget;
        if (!request.AcceptsEventStream)
            return Rejections.NotAcceptable;
        if (server.Stopping)
            return Rejections.ShuttingDown;
        if (request.Target == TargetKind.Root)
            return null;
        channel = FindChannel(server, request);
        return channel is null ? Rejections.UnknownChannel : null;
    }

    /// <summary>The channel that <paramref name="request"/> names, or null.</summary>
    public static Channel? FindChannel(ServerState server, HttpRequest request) =>
        request.HasChannelId ? server.Channels.Find(request.ChannelId) : null;

    /// <summary>
    /// The original answers 201 where a channel is created. But a browser's EventSource, which says what it accepts, fails for good on
    /// anything but 200.
    /// </summary>
    private static int StreamStatus(HttpRequest request) =>
        request.Target == TargetKind.Root && !request.NamesEventStream ? 201 : 200;

    /// <summary>Makes the connection an event stream of a peer in <paramref name="channel"/>, or in a new one.</summary>
    private static Rejection? OpenStream(
        ServerState server, BufferedConnection connection, HttpRequest request, Channel? channel, AddressUsage? usage)
    {
        if (usage is not null && !usage.TryAddStream())
            return Rejections.TooManyStreams;
        bool opened = false;
        try
        {
            Rejection? rejection = OpenCountedStream(server, connection, request, channel, usage);
            opened = rejection is null;
            return rejection;
        }
        finally
        {
            if (!opened)
                usage?.RemoveStream();
        }
    }

    private static Rejection? OpenCountedStream(
        ServerState server, BufferedConnection connection, HttpRequest request, Channel? channel, AddressUsage? usage)
    {
        if (channel is not null)
            return Join(server, connection, request, channel, usage);
        if (usage is not null && !usage.TryCreateChannel(server.Clock.Now))
            return Rejections.TooManyNewChannels;
        Span<HexId> id = stackalloc HexId[1];
        HexId.Fill(id);
        channel = server.Channels.Create(new ChannelId(id[0]));
        if (channel is null)
            return Rejections.TooManyChannels;
        try
        {
            return Join(server, connection, request, channel, usage);
        }
        catch
        {
            channel.TryClose();
            throw;
        }
    }

    private static Rejection? Join(
        ServerState server, BufferedConnection connection, HttpRequest request, Channel channel, AddressUsage? usage)
    {
        Span<HexId> random = stackalloc HexId[2];
        HexId.Fill(random);
        var stream = new StreamConnection(connection.Socket, server.Streams, isChunked: !request.IsHttp10) { Usage = usage };
        var peer = new Peer(channel, new PeerId(random[0]), new Token(random[1]), stream);
        stream.Owner = peer;

        JoinOutcome outcome;
        SharedFrame opening = server.Frames.Rent(OpeningLength + connection.Output.WrittenCount);
        try
        {
            opening.Append(connection.Output.WrittenSpan);
            ResponseWriter.WriteStreamHead(opening, request, StreamStatus(request));
            EventWriter.WriteConnect(opening, channel.Id, peer.Cid, peer.Token, stream.IsChunked);
            outcome = channel.TryJoin(peer, opening);
        }
        finally
        {
            opening.Release();
        }

        if (outcome == JoinOutcome.Full)
            return Rejections.ChannelFull;
        if (outcome == JoinOutcome.Closed)
            return server.Stopping ? Rejections.ShuttingDown : Rejections.UnknownChannel;

        connection.Output.ResetWrittenCount();
        ApiLog.StreamOpened(server.Logger, channel.Id, peer.Cid);
        stream.Start();

        // Who came in just as the server began to stop still hears what is being answered, and is ended with the others. Only one that took
        // longer than requests have to finish was missed there.
        Interlocked.MemoryBarrier();
        if (server.EndingStreams)
            ServerState.Cut(stream);
        return null;
    }
}
