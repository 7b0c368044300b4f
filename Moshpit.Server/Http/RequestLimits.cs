namespace Moshpit.Server.Http;

/// <summary>How much a client may send in a request, and the refusals of more, which say the limits in force.</summary>
internal sealed class RequestLimits
{
    /// <param name="maxRequestLine">Bytes of a request-line, without its CRLF. RFC 9112 section 3 recommends at least 8,000.</param>
    /// <param name="maxHeaderSection">Bytes of all field lines together, each with its CRLF.</param>
    /// <param name="maxHeaderFields">Number of field lines.</param>
    /// <param name="maxBody">Bytes of a body.</param>
    public RequestLimits(
        int maxRequestLine = 8 * 1024, int maxHeaderSection = 16 * 1024, int maxHeaderFields = 100, int maxBody = 10 * 1024)
    {
        MaxRequestLine = maxRequestLine;
        MaxHeaderSection = maxHeaderSection;
        MaxHeaderFields = maxHeaderFields;
        MaxBody = maxBody;
        TargetTooLong = new(
            414, "target-too-long",
            $"The request target is too long; the whole request line may have {maxRequestLine} bytes.", close: true);
        HeaderSectionTooLarge = new(
            431, "header-section-too-large",
            $"The header fields are too large; together they may have {maxHeaderSection} bytes.", close: true);
        TooManyFields = new(431, "too-many-fields", $"There are too many header fields; send at most {maxHeaderFields}.", close: true);
        BodyTooLarge = new(413, "body-too-large", $"The body is too large; send at most {maxBody} bytes.", close: true);
    }

    public int MaxRequestLine { get; }

    public int MaxHeaderSection { get; }

    public int MaxHeaderFields { get; }

    public int MaxBody { get; }

    public Rejection TargetTooLong { get; }

    public Rejection HeaderSectionTooLarge { get; }

    public Rejection TooManyFields { get; }

    public Rejection BodyTooLarge { get; }
}
