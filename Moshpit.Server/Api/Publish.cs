using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Forms;
using Moshpit.Server.Http;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Api;

/// <summary>POST to a channel: a message to all of its peers, or to one. The checks stand in the order of the protocol.</summary>
internal sealed class Publish(ChannelRegistry channels, FramePool frames, Pace pace, ResponseWriter responses) : IHandler
{
    /// <summary>
    /// Room for a signal's framing, and for a few repairs that make its data longer than it was sent. For more the frame grows.
    /// </summary>
    private const int SignalOverhead = 64;

    /// <summary>What curl sends for <c>-d '{"token":…}'</c> without a header: JSON, announced as a form.</summary>
    private static readonly Rejection JsonSentAsForm = ApiRejections.MissingToken.With(
        "The form has no field token, but the body looks like JSON; send it with the header Content-Type: application/json.");

    public async ValueTask<Outcome> HandleAsync(Exchange exchange)
    {
        // What the head alone decides is refused before a body is invited.
        if (CheckHead(exchange.Request, out Channel? channel) is { } refusal)
            return refusal;
        if (!await exchange.ReadBodyAsync().ConfigureAwait(false))
            return exchange.BodyFailure;
        if (Read(exchange.Request, channel!, exchange.Body, out Publication publication) is { } mistake)
            return mistake;
        if ((exchange.Client is not null || publication.MustKeepUp is { IsBehind: true })
            && await WaitAsync(exchange, publication).ConfigureAwait(false) is { } excess)
        {
            return excess;
        }

        exchange.Publishes(channel!);
        if (!await DeliverAsync(publication).ConfigureAwait(false))
            return publication.Addressee is null || channel!.IsClosed ? ApiRejections.UnknownChannel : ApiRejections.UnknownPeer;
        exchange.HeedShutdown();
        responses.WriteOk(exchange.Output, exchange.Request);
        return Outcome.Answered;
    }

    /// <summary>Delivers it, and returns its frame. False: the channel closed meanwhile, or the addressee left.</summary>
    private static async ValueTask<bool> DeliverAsync(Publication publication)
    {
        try
        {
            return await publication.Channel.PublishAsync(publication).ConfigureAwait(false);
        }
        finally
        {
            publication.Frame.Release();
        }
    }

    private Rejection? CheckHead(HttpRequest request, out Channel? channel)
    {
        channel = channels.Find(Router.ChannelIn(request.Path));
        if (channel is null)
            return ApiRejections.UnknownChannel;
        if (request.ContentType is not (ContentType.Json or ContentType.Form))
            return ApiRejections.UnsupportedMediaType;
        return request.HasContentEncoding ? ApiRejections.UnsupportedContentEncoding : null;
    }

    /// <summary>Waits until <paramref name="publication"/> may be delivered. Otherwise it is refused, and its frame is returned.</summary>
    private async ValueTask<Rejection?> WaitAsync(Exchange exchange, Publication publication)
    {
        ValueTask<Rejection?> turn = pace.WhenInTurnAsync(publication, isLimited: exchange.Client is not null);
        if (!turn.IsCompleted)
            exchange.BeforeWaiting();
        Rejection? rejection = await turn.ConfigureAwait(false);
        if (rejection is not null)
            publication.Frame.Release();
        return rejection;
    }

    /// <summary>Understands the body. Null: <paramref name="publication"/> is to be delivered.</summary>
    private Rejection? Read(HttpRequest request, Channel channel, ReadOnlySpan<byte> body, out Publication publication)
    {
        publication = default;
        if (channel.IsClosed)
            return ApiRejections.UnknownChannel;
        SharedFrame frame = frames.Rent(body.Length + SignalOverhead);
        bool isComplete = false;
        try
        {
            EventWriter.BeginSignal(frame);
            Rejection? rejection = Parse(request, body, frame, out Message message)
                ?? Authorize(request, body, channel, message, frame, out publication);
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

    private static Rejection? Parse(HttpRequest request, ReadOnlySpan<byte> body, SharedFrame frame, out Message message)
    {
        if (request.ContentType == ContentType.Json)
            return JsonBody.TryParse(body, frame, out message, out string? error) ? null : ApiRejections.MalformedJson.With(error);
        FormBody.Parse(body, frame, out message);
        return null;
    }

    private static Rejection? Authorize(
        HttpRequest request, ReadOnlySpan<byte> body, Channel channel, in Message message, SharedFrame frame, out Publication publication)
    {
        Peer? addressee = null;
        publication = default;
        if (message.TokenField == IdField.Absent)
            return request.ContentType == ContentType.Form && LooksLikeJson(body) ? JsonSentAsForm : ApiRejections.MissingToken;
        Peer? sender = message.TokenField == IdField.Present ? channel.FindByToken(message.Token) : null;
        if (sender is null)
            return ApiRejections.InvalidToken;
        if (!message.HasData)
            return ApiRejections.MissingData;
        if (message.CidField != IdField.Absent)
        {
            addressee = message.CidField == IdField.Present ? channel.FindByCid(message.Cid) : null;
            if (addressee is null)
                return ApiRejections.UnknownPeer;
        }

        publication = new Publication(sender, addressee, frame);
        return null;
    }

    private static bool LooksLikeJson(ReadOnlySpan<byte> body) => body.TrimStart(" \t\r\n"u8) is [(byte)'{' or (byte)'[', ..];
}
