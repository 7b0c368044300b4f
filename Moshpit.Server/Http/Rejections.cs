namespace Moshpit.Server.Http;

/// <summary>
/// The refusals of the protocol, but for those that say a limit (<see cref="RequestLimits"/>). Whatever breaks the message syntax closes
/// the connection: what follows might be read differently by others.
/// </summary>
internal static class Rejections
{
    // Lines (RFC 9112 section 2.2).
    public static readonly Rejection BareLineFeed = Broken(
        "bare-line-feed", "A line feed came without a carriage return before it; every line must end in CR LF.");

    public static readonly Rejection BareCarriageReturn = Broken(
        "bare-carriage-return", "A carriage return came without a line feed after it; every line must end in CR LF.");

    public static readonly Rejection ControlCharacter = Broken(
        "control-character", "The request holds a control character; only visible characters, spaces and tabs may stand there.");

    // The request-line (RFC 9112 section 3).
    public static readonly Rejection MalformedRequestLine = Broken(
        "malformed-request-line",
        "The request line is malformed; it must be a method, a target and a version with one space between them.");

    public static readonly Rejection MalformedMethod = Broken(
        "malformed-method", "The method is malformed; it must be a token such as GET or POST.");

    public static readonly Rejection MalformedTarget = Broken(
        "malformed-target", "The request target is malformed; it must be a path that starts with a slash, or an http URI.");

    public static readonly Rejection MalformedVersion = Broken(
        "malformed-version", "The protocol version is malformed; it must be HTTP/1.1 or HTTP/1.0.");

    public static readonly Rejection UnsupportedVersion = new(
        505, "unsupported-version", "This version of HTTP is not spoken here; use HTTP/1.1 or HTTP/1.0.", close: true);

    // Field lines, of the header and of the trailer section (RFC 9112 section 5).
    public static readonly Rejection LineFolding = Broken(
        "line-folding", "A header line starts with a blank; each field must stand on one line of its own.");

    public static readonly Rejection MissingColon = Broken(
        "missing-colon", "A header line has no colon; it must be a name, a colon and a value.");

    public static readonly Rejection BlankBeforeColon = Broken(
        "blank-before-colon", "A header name is followed by a blank; the colon must come right after the name.");

    public static readonly Rejection MalformedFieldName = Broken(
        "malformed-field-name", "A header name is empty or malformed; it must be a token such as Content-Type.");

    // Single fields.
    public static readonly Rejection MissingHost = Broken(
        "missing-host", "The Host header is missing; HTTP/1.1 requires exactly one.");

    public static readonly Rejection RepeatedHost = Broken(
        "repeated-host", "There is more than one Host header; send exactly one.");

    public static readonly Rejection MalformedHost = Broken(
        "malformed-host", "The Host header is malformed; send the server's name or address, without blanks, quotes, backslashes, ? or #.");

    public static readonly Rejection RepeatedOrigin = Broken(
        "repeated-origin", "There is more than one Origin header; send at most one.");

    public static readonly Rejection RepeatedContentType = Broken(
        "repeated-content-type", "There is more than one Content-Type header; send exactly one.");

    public static readonly Rejection ExpectationFailed = new(
        417, "expectation-failed", "This expectation can't be met; only 100-continue is understood in Expect.", close: true);

    // Where the body ends (RFC 9112 section 6): the field of request smuggling.
    public static readonly Rejection MalformedContentLength = Broken(
        "malformed-content-length", "The Content-Length is malformed; it must be one number in decimal digits.");

    public static readonly Rejection RepeatedContentLength = Broken(
        "repeated-content-length", "There is more than one Content-Length header; send at most one.");

    public static readonly Rejection LengthWithTransferEncoding = Broken(
        "length-with-transfer-encoding", "Content-Length and Transfer-Encoding exclude each other; send only one of them.");

    public static readonly Rejection TransferEncodingInHttp10 = Broken(
        "transfer-encoding-in-http-1-0", "HTTP/1.0 has no Transfer-Encoding; use Content-Length or HTTP/1.1.");

    public static readonly Rejection MalformedTransferEncoding = Broken(
        "malformed-transfer-encoding", "The Transfer-Encoding is malformed; it must be chunked.");

    public static readonly Rejection RepeatedTransferEncoding = Broken(
        "repeated-transfer-encoding", "There is more than one Transfer-Encoding header; send at most one.");

    public static readonly Rejection UnsupportedTransferEncoding = new(
        501, "unsupported-transfer-encoding", "This transfer coding is not understood; use chunked alone, or Content-Length.", close: true);

    // The chunked body (RFC 9112 section 7.1).
    public static readonly Rejection MalformedChunkSize = Broken(
        "malformed-chunk-size", "A chunk size is malformed; it must be 1 to 16 hexadecimal digits without blanks.");

    public static readonly Rejection MalformedChunkExtension = Broken(
        "malformed-chunk-extension", "A chunk extension is malformed; it must be ;name or ;name=value, without blanks.");

    public static readonly Rejection ChunkNotEnded = Broken(
        "chunk-not-ended", "A chunk does not end where its size says; CR LF must follow its last byte.");

    public static readonly Rejection ChunkOverheadTooLarge = Broken(
        "chunk-overhead-too-large", "The chunk extensions and trailers are too large; together they may have 8 KiB.");

    // The request as a whole.
    public static readonly Rejection IncompleteRequest = Broken(
        "incomplete-request", "The request ended early; send all of its head and body before you close.");

    public static readonly Rejection HeadersTimeout = new(
        408, "headers-timeout", "The request took too long; send its head without pausing.", close: true);

    public static readonly Rejection BodyTimeout = new(
        408, "body-timeout", "The request took too long; send its body without pausing.", close: true);

    private static Rejection Broken(string name, string sentence) => new(400, name, sentence, close: true);
}
