using Microsoft.Extensions.ObjectPool;
using Moshpit.Server.Http;

namespace Moshpit.Server.Api;

/// <summary>What understanding requests needs; pooled, since a connection gives it back when it ends or becomes a stream.</summary>
internal sealed class RequestState
{
    private RequestState(RequestLimits limits) => Parser = new RequestParser(limits);

    public RequestParser Parser { get; }

    public HttpRequest Request { get; } = new();

    public BodyReader Body { get; } = new();

    /// <summary>Makes it ready for the next request.</summary>
    public void Reset()
    {
        Parser.Reset();
        Request.Reset();
        Body.Release();
    }

    /// <summary>Makes them and has them ready for the next connection.</summary>
    internal sealed class Policy(RequestLimits limits) : IPooledObjectPolicy<RequestState>
    {
        public RequestState Create() => new(limits);

        public bool Return(RequestState state)
        {
            state.Reset();
            return true;
        }
    }
}
