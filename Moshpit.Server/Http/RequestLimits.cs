namespace Moshpit.Server.Http;

/// <summary>How much head a client may send before it is refused.</summary>
internal sealed record RequestLimits
{
    /// <summary>Bytes of a request-line, without its CRLF. RFC 9112 section 3 recommends at least 8,000.</summary>
    public int MaxRequestLine { get; init; } = 8 * 1024;

    /// <summary>Bytes of all field lines together, each with its CRLF.</summary>
    public int MaxHeaderSection { get; init; } = 16 * 1024;

    /// <summary>Number of field lines.</summary>
    public int MaxHeaderFields { get; init; } = 100;
}
