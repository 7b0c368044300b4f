namespace Moshpit.Server.Http;

/// <summary>How the end of a request's body is found (RFC 9112 section 6.3).</summary>
internal enum BodyKind : byte
{
    None,
    Length,
    Chunked,
}
