using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Http;

namespace Moshpit.Server.Api;

/// <summary>
/// Streams of sessions that are refused for now. An EventSource that comes back by itself is answered in a way that lets it come back
/// again, and the grace of its peer begins anew.
/// </summary>
internal sealed class Reconnects(ChannelRegistry channels, ResponseWriter responses)
{
    /// <summary>
    /// Hears that the request of <paramref name="exchange"/> is refused with <paramref name="rejection"/>. True: it is answered, as the
    /// last one of its connection.
    /// </summary>
    public bool TryAnswer(Exchange exchange, Rejection rejection)
    {
        HttpRequest request = exchange.Request;
        if (!rejection.IsTemporary || request.Method != HttpMethod.Get)
            return false;
        if (SessionRequest.Read(request, out SessionRequest session) is not null || !session.IsSession)
            return false;
        Find(request, session)?.RenewGrace();
        if (!session.IsReconnect)
            return false;
        responses.WriteComeBack(exchange.Output, request, rejection.RetryAfter, channels.SessionEvents.RandomRetry());
        return true;
    }

    private Peer? Find(HttpRequest request, in SessionRequest session)
    {
        Channel? channel = OpenStream.IsRoot(request)
            ? channels.FindByCreator(SessionKey.OfCreator(session.Secret))
            : channels.Find(Router.ChannelIn(request.Path));
        return channel?.FindBySession(SessionKey.Of(channel.Id, session.Secret));
    }
}
