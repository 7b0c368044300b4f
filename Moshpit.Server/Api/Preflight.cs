using Moshpit.Server.Http;

namespace Moshpit.Server.Api;

/// <summary>OPTIONS: says what is possible, to a browser's CORS preflight or to any client that asks.</summary>
internal sealed class Preflight(ResponseWriter responses) : IHandler
{
    public ValueTask<Outcome> HandleAsync(Exchange exchange)
    {
        responses.WriteOptions(exchange.Output, exchange.Request);
        return new(Outcome.Answered);
    }
}
