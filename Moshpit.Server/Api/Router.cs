using System.Buffers;
using System.Text;
using Moshpit.Server.Http;

namespace Moshpit.Server.Api;

/// <summary>Maps the method and the path of a request to its handler.</summary>
internal sealed class Router
{
    /// <summary>The path of every channel: one or more slashes and <c>[a-z0-9]+</c>, whether or not there is such a channel.</summary>
    public const string Channel = "/{channel}";

    /// <summary>Every path, and <c>*</c>.</summary>
    public const string Any = "{any}";

    private static readonly SearchValues<byte> ChannelBytes = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789"u8);

    private readonly List<Route> _routes = [];

    /// <summary>Adds a route. The first one that fits a request has it.</summary>
    /// <param name="method">The method; a request with one that no route has is answered with 405.</param>
    /// <param name="path">The path as it stands in a request, or <see cref="Channel"/>, or <see cref="Any"/>.</param>
    /// <param name="handler">What answers.</param>
    public Router Map(HttpMethod method, string path, IHandler handler)
    {
        _routes.Add(new Route(method, path, Encoding.ASCII.GetBytes(path), handler));
        return this;
    }

    /// <summary>The handler of <paramref name="request"/>; null: there is none, for the reason given.</summary>
    public IHandler? Find(HttpRequest request, out Rejection? rejection)
    {
        rejection = ApiRejections.MethodNotAllowed;
        foreach (Route route in _routes)
        {
            if (route.Method != request.Method)
                continue;
            if (route.Fits(request.Path))
            {
                rejection = null;
                return route.Handler;
            }

            rejection = ApiRejections.UnknownTarget;
        }

        return null;
    }

    /// <summary>What stands for a channel in <paramref name="path"/>; empty if it is no path of a channel.</summary>
    public static ReadOnlySpan<byte> ChannelIn(ReadOnlySpan<byte> path)
    {
        ReadOnlySpan<byte> text = path.TrimStart((byte)'/');
        return text.Length < path.Length && !text.ContainsAnyExcept(ChannelBytes) ? text : default;
    }

    private readonly record struct Route(HttpMethod Method, string Pattern, byte[] Path, IHandler Handler)
    {
        public bool Fits(ReadOnlySpan<byte> path) => Pattern switch
        {
            Any => true,
            Channel => !ChannelIn(path).IsEmpty,
            _ => path.SequenceEqual(Path),
        };
    }
}
