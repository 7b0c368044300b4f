using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Forms;
using Moshpit.Server.Http;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Api;

/// <summary>POST to a channel: a message to all of its peers, or to one. The checks stand in the order of the protocol.</summary>
internal sealed class Publish(ChannelRegistry channels, FramePool frames, Pace pace, Control control, ResponseWriter responses) : IHandler
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
        if (Read(exchange.Request, channel!, exchange.Body, out Post post) is { } mistake)
            return mistake;
        if (post.IsRepeated)
            return Answer(exchange, new Delivery(DeliveryOutcome.Repeated), null);
        if (post.Asks is { } peer)
            return control.Do(exchange, peer, post.Verb);
        Publication publication = post.Publication;
        if ((exchange.Client is not null || publication.MustKeepUp is { IsBehind: true })
            && await WaitAsync(exchange, publication).ConfigureAwait(false) is { } excess)
        {
            return excess;
        }

        exchange.Publishes(channel!);
        Delivery delivery = await DeliverAsync(publication).ConfigureAwait(false);
        return delivery.Outcome switch
        {
            DeliveryOutcome.ChannelClosed => ApiRejections.UnknownChannel,
            DeliveryOutcome.AddresseeGone => channel!.IsClosed ? ApiRejections.UnknownChannel : ApiRejections.UnknownPeer,
            DeliveryOutcome.TooOld => ApiRejections.NumberTooOld,
            _ => Answer(exchange, delivery, publication.Several),
        };
    }

    /// <summary>Says that a message was delivered, and to a client that asks for it, how.</summary>
    private Outcome Answer(Exchange exchange, in Delivery delivery, Addressees? several)
    {
        exchange.HeedShutdown();
        if (exchange.Request.NamesJson)
        {
            int bound = Receipt.LengthBound(several);
            Span<byte> receipt = bound <= Receipt.MaxLength ? stackalloc byte[Receipt.MaxLength] : new byte[bound];
            responses.WriteJson(exchange.Output, exchange.Request, receipt[..Receipt.Write(receipt, delivery, several)]);
        }
        else
        {
            responses.WriteOk(exchange.Output, exchange.Request);
        }

        return Outcome.Answered;
    }

    /// <summary>Delivers it, and returns its frame.</summary>
    private static async ValueTask<Delivery> DeliverAsync(Publication publication)
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

    /// <summary>Understands the body. Null: <paramref name="post"/> is to be done.</summary>
    private Rejection? Read(HttpRequest request, Channel channel, ReadOnlySpan<byte> body, out Post post)
    {
        post = default;
        if (channel.IsClosed)
            return ApiRejections.UnknownChannel;
        SharedFrame frame = frames.Rent(body.Length + SignalOverhead);
        bool isComplete = false;
        try
        {
            EventWriter.BeginSignal(frame);
            Rejection? rejection = Parse(request, body, frame, out Message message)
                ?? Authorize(request, body, channel, message, frame, out post);
            isComplete = rejection is null && post.Publication.Sender is not null;
            if (isComplete)
                EventWriter.EndSignal(frame);
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
        HttpRequest request, ReadOnlySpan<byte> body, Channel channel, in Message message, SharedFrame frame, out Post post)
    {
        Peer? addressee = null;
        post = default;
        if (message.TokenField == IdField.Absent)
            return request.ContentType == ContentType.Form && LooksLikeJson(body) ? JsonSentAsForm : ApiRejections.MissingToken;
        Peer? sender = message.TokenField == IdField.Present ? channel.FindByToken(message.Token) : null;
        if (sender is null)
            return ApiRejections.InvalidToken;
        if (!message.HasData)
        {
            post = new Post { Asks = sender, Verb = message };
            return null;
        }

        long number = sender.Session is null ? 0 : message.Number;
        if (number < 0)
            return ApiRejections.MalformedNumber;
        if (message.Echo == FlagField.Malformed)
            return ApiRejections.MalformedEcho;
        if (message.Several is { AreTooMany: true })
            return ApiRejections.TooManyCids;
        DeliveryOutcome known = number > 0 ? channel.Judge(sender, number) : DeliveryOutcome.Delivered;
        if (known == DeliveryOutcome.TooOld)
            return ApiRejections.NumberTooOld;
        if (known == DeliveryOutcome.Repeated)
        {
            post = new Post { IsRepeated = true };
            return null;
        }

        Addressees? several = message.Several;
        bool isToOne = message.CidField != IdField.Absent && several is not { All.Count: > 1 };
        if (!isToOne && channel.Settings.OwnerPublishes && channel.Owner != sender)
            return ApiRejections.OwnerPublishes;
        if (isToOne)
        {
            addressee = message.OnlyCid is { } cid ? channel.FindByCid(cid) : null;
            if (addressee is null)
                return ApiRejections.UnknownPeer;
        }

        bool isToAll = message.CidField == IdField.Absent;
        post = new Post
        {
            Publication = new Publication(sender, addressee, frame, number)
            {
                Several = several, HasNoEcho = isToAll && message.Echo == FlagField.No,
            },
        };
        return null;
    }

    private static bool LooksLikeJson(ReadOnlySpan<byte> body) => body.TrimStart(" \t\r\n"u8) is [(byte)'{' or (byte)'[', ..];

    /// <summary>What a body asks for, one of three.</summary>
    private readonly record struct Post
    {
        /// <summary>A message to deliver.</summary>
        public Publication Publication { get; init; }

        /// <summary>The message was accepted before.</summary>
        public bool IsRepeated { get; init; }

        /// <summary>This peer asks for something else,</summary>
        public Peer? Asks { get; init; }

        /// <summary>namely this.</summary>
        public Message Verb { get; init; }
    }
}
