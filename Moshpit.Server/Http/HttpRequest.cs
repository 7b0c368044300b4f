namespace Moshpit.Server.Http;

/// <summary>
/// The head of one request, reduced to what the server acts upon. Pooled: <see cref="Reset"/> makes it ready for the next request.
/// While a head is being parsed, and after it was rejected, it holds what was understood so far, which is enough to answer.
/// </summary>
internal sealed class HttpRequest
{
    private readonly RetainedBytes[] _kept = new RetainedBytes[Enum.GetValues<KeptField>().Length];
    private RetainedBytes _path;
    private RetainedBytes _query;

    public HttpMethod Method { get; set; }

    public bool IsHttp10 { get; set; }

    /// <summary>
    /// The path of the request-target, as it was sent: it begins with a slash; <c>*</c> in the asterisk-form; empty if there is none
    /// (CONNECT).
    /// </summary>
    public ReadOnlySpan<byte> Path => _path.Span;

    /// <summary>What follows the first <c>?</c> of the request-target, as it was sent; empty if there is none.</summary>
    public ReadOnlySpan<byte> Query => _query.Span;

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

    /// <summary>Accept names <c>application/json</c> itself.</summary>
    public bool NamesJson { get; set; }

    /// <summary>There is a field Moshpit-Session, which may be empty.</summary>
    public bool HasSession { get; set; }

    /// <summary>The body is compressed or otherwise encoded.</summary>
    public bool HasContentEncoding { get; set; }

    /// <summary>The value of a field that is kept, repeated ones joined by <c>", "</c>; empty if there is none.</summary>
    public ReadOnlySpan<byte> this[KeptField field] => _kept[(int)field].Span;

    /// <summary>A field says that the request came through a proxy, or for which client.</summary>
    public bool IsForwarded { get; set; }

    public void SetTarget(ReadOnlySpan<byte> path, ReadOnlySpan<byte> query)
    {
        _path.Set(path);
        _query.Set(query);
    }

    public void Keep(KeptField field, ReadOnlySpan<byte> value) => _kept[(int)field].AppendListed(value);

    public void Reset()
    {
        Method = default;
        IsHttp10 = false;
        _path.Clear();
        _query.Clear();
        Body = default;
        ContentLength = 0;
        KeepAlive = false;
        ExpectsContinue = false;
        ContentType = default;
        AcceptsEventStream = false;
        NamesEventStream = false;
        NamesJson = false;
        HasSession = false;
        HasContentEncoding = false;
        foreach (ref RetainedBytes kept in _kept.AsSpan())
            kept.Clear();
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

/// <summary>
/// The fields whose values a request keeps as they were sent. A route that needs another one names it here and in
/// <see cref="RequestFields"/>.
/// </summary>
internal enum KeptField : byte
{
    Origin,
    AccessControlRequestHeaders,

    /// <summary>The secret of a session (Moshpit-Session).</summary>
    Session,

    /// <summary>The id of the last event that an EventSource has had.</summary>
    LastEventId,

    /// <summary>What a client or a proxy claims, to be believed from known proxies alone.</summary>
    XForwardedFor,

    /// <inheritdoc cref="XForwardedFor"/>
    Forwarded,
}
