using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Forms;
using Moshpit.Server.Http;

namespace Moshpit.Server.Api;

/// <summary>What a POST asks for that is no message: what any peer may do, and what the owner alone may.</summary>
internal sealed class Control(ResponseWriter responses)
{
    private const long MillisecondsPerSecond = 1000;

    /// <summary>Does what <paramref name="message"/>, which has no data, asks for in the name of <paramref name="peer"/>.</summary>
    public Outcome Do(Exchange exchange, Peer peer, in Message message) => message.Verb switch
    {
        Verb.None => ApiRejections.MissingData,
        Verb.Leave => Leave(exchange, peer, message),
        Verb.Peers => ListPeers(exchange, peer, message),
        Verb.Kick => Kick(exchange, peer, message),
        Verb.Owner => HandOver(exchange, peer, message),
        Verb.Room => Change(exchange, peer, message),
        Verb.Close => peer.Channel.TryEnd(peer) ? Done(exchange) : ApiRejections.OwnerOnly,
        _ => ApiRejections.UnknownVerb,
    };

    private Outcome Leave(Exchange exchange, Peer peer, in Message message)
    {
        if (message.Stream < 0 || message.After < 0 || message.After > peer.Channel.Events.GraceSeconds)
            return ApiRejections.MalformedLeave;
        exchange.BeforeWaiting();
        long? stream = message.Stream > 0 ? message.Stream : null;
        if (message.After > 0)
            peer.LeaveLater(message.After * MillisecondsPerSecond, stream);
        else
            peer.TryLeave(stream);
        return Done(exchange);
    }

    private Outcome ListPeers(Exchange exchange, Peer peer, in Message message)
    {
        if (message.From < 0)
            return ApiRejections.MalformedFrom;
        SharedFrame list = peer.Channel.ListPeers((int)Math.Min(message.From, int.MaxValue));
        exchange.HeedShutdown();
        responses.WriteJson(exchange.Output, exchange.Request, list.Span);
        list.Release();
        return Outcome.Answered;
    }

    private Outcome Kick(Exchange exchange, Peer owner, in Message message)
    {
        if (FindOther(owner, message, out Peer? other) is { } rejection)
            return rejection;
        exchange.BeforeWaiting();
        return other!.TryKick() ? Done(exchange) : ApiRejections.UnknownPeer;
    }

    private Outcome HandOver(Exchange exchange, Peer owner, in Message message)
    {
        if (FindOther(owner, message, out Peer? heir) is { } rejection)
            return rejection;
        exchange.BeforeWaiting();
        if (heir == owner || heir!.TryTakeOver(owner))
            return Done(exchange);
        return owner.Channel.Owner != owner ? ApiRejections.OwnerOnly : ApiRejections.NoHeir;
    }

    private Outcome Change(Exchange exchange, Peer owner, in Message message)
    {
        if (owner.Channel.Owner != owner)
            return ApiRejections.OwnerOnly;
        if (message.HasMalformedChange || message.Changes.AreNone)
            return ApiRejections.MalformedChange;
        exchange.BeforeWaiting();
        return owner.Channel.TryChange(owner, message.Changes) ? Done(exchange) : ApiRejections.OwnerOnly;
    }

    /// <summary>The peer that the owner names. Null, or why there is none.</summary>
    private static Rejection? FindOther(Peer owner, in Message message, out Peer? other)
    {
        other = null;
        if (owner.Channel.Owner != owner)
            return ApiRejections.OwnerOnly;
        if (message.CidField == IdField.Absent)
            return ApiRejections.MissingCid;
        other = message.OnlyCid is { } cid ? owner.Channel.FindByCid(cid) : null;
        return other is null ? ApiRejections.UnknownPeer : null;
    }

    private Outcome Done(Exchange exchange)
    {
        exchange.HeedShutdown();
        if (exchange.Request.NamesJson)
            responses.WriteJson(exchange.Output, exchange.Request, "{}"u8);
        else
            responses.WriteOk(exchange.Output, exchange.Request);
        return Outcome.Answered;
    }
}
