using Moshpit.Server.Buffers;

namespace Moshpit.Server.Http;

/// <summary>
/// The head of one request, reduced to what the server acts upon. Pooled: <see cref="Reset"/> makes it ready for the next request.
/// While a head is being parsed, and after it was rejected, it holds what was understood so far, which is enough to answer.
/// </summary>
internal sealed class HttpRequest
{
    private RetainedBytes _origin;
    private RetainedBytes _requestedHeaders;
    private RetainedBytes _forwardedFor;
    private RetainedBytes _forwarded;

    public HttpMethod Method { get; set; }

    public bool IsHttp10 { get; set; }

    public TargetKind Target { get; set; }

    public ChannelId ChannelId { get; set; }

    /// <summary>The target is a channel's and its text is an id. Other <c>[a-z0-9]+</c> text simply names no channel that exists.</summary>
    public bool HasChannelId { get; set; }

    public BodyKind Body { get; set; }

    /// <summary>Announced length; <see cref="long.MaxValue"/> also stands for every number beyond it.</summary>
    public long ContentLength { get; set; }

    /// <summary>A body follows the head. One that is announced with a length of 0 does not.</summary>
    public bool HasBody => Body == BodyKind.Chunked || ContentLength > 0;

    /// <summary>
    /// Whether the connection goes on after the answer, from the version and Connection. False until the head is complete.
    /// </summary>
    public bool KeepAlive { get; set; }

    /// <summary>
    /// Seconds for which a connection that goes on may be idle, as the answer says in Keep-Alive; 0: it does not say. This belongs to the
    /// connection, so <see cref="Reset"/> leaves it.
    /// </summary>
    public int IdleSeconds { get; set; }

    /// <summary>The client holds back a body until it reads <c>100 Continue</c>. Never true without a body to come.</summary>
    public bool ExpectsContinue { get; set; }

    public ContentType ContentType { get; set; }

    /// <summary>Accept admits <c>text/event-stream</c>, by itself or in a wildcard, or there is no Accept.</summary>
    public bool AcceptsEventStream { get; set; }

    /// <summary>Accept names <c>text/event-stream</c> itself, as a browser's EventSource does.</summary>
    public bool NamesEventStream { get; set; }

    /// <summary>The body is compressed or otherwise encoded.</summary>
    public bool HasContentEncoding { get; set; }

    public bool HasOrigin => !_origin.IsEmpty;

    public ReadOnlySpan<byte> Origin => _origin.Span;

    /// <summary>Access-Control-Request-Headers, repeated fields joined by <c>", "</c>.</summary>
    public ReadOnlySpan<byte> RequestedHeaders => _requestedHeaders.Span;

    /// <summary>X-Forwarded-For, repeated fields joined by <c>", "</c>: what somebody claims, to be believed from known proxies alone.</summary>
    public ReadOnlySpan<byte> ForwardedFor => _forwardedFor.Span;

    /// <summary>As <see cref="ForwardedFor"/>, for Forwarded (RFC 7239).</summary>
    public ReadOnlySpan<byte> Forwarded => _forwarded.Span;

    /// <summary>A field says that the request came through a proxy, or for which client.</summary>
    public bool IsForwarded { get; set; }

    public void RetainOrigin(ReadOnlySpan<byte> value) => _origin.AppendListed(value);

    public void RetainRequestedHeaders(ReadOnlySpan<byte> value) => _requestedHeaders.AppendListed(value);

    public void RetainForwardedFor(ReadOnlySpan<byte> value) => _forwardedFor.AppendListed(value);

    public void RetainForwarded(ReadOnlySpan<byte> value) => _forwarded.AppendListed(value);

    public void Reset()
    {
        Method = default;
        IsHttp10 = false;
        Target = default;
        ChannelId = default;
        HasChannelId = false;
        Body = default;
        ContentLength = 0;
        KeepAlive = false;
        ExpectsContinue = false;
        ContentType = default;
        AcceptsEventStream = false;
        NamesEventStream = false;
        HasContentEncoding = false;
        _origin.Clear();
        _requestedHeaders.Clear();
        _forwardedFor.Clear();
        _forwarded.Clear();
        IsForwarded = false;
    }
}

/// <summary>The methods that have a meaning here; any other well-formed token is <see cref="Other"/> and is answered with 405.</summary>
internal enum HttpMethod : byte
{
    Other,
    Get,
    Head,
    Post,
    Options,
}

/// <summary>How the end of a request's body is found (RFC 9112 section 6.3).</summary>
internal enum BodyKind : byte
{
    None,
    Length,
    Chunked,
}

/// <summary>The media types of a body, as far as they make a difference here.</summary>
internal enum ContentType : byte
{
    /// <summary>The request names none.</summary>
    None,
    Json,
    Form,
    Other,
}
