namespace Moshpit.Server.Http;

/// <summary>
/// request-line = method SP request-target SP HTTP-version (RFC 9112 section 3). The lenient reading that section 3 allows, any run of
/// whitespace as one separator, is not taken: it is how one server reads a target where another reads two.
/// </summary>
internal static class RequestLine
{
    /// <summary>
    /// Null, or why the line is refused. The request has its method, version and target afterwards, as far as they were read.
    /// </summary>
    public static Rejection? Read(ReadOnlySpan<byte> line, HttpRequest request)
    {
        int methodEnd = line.IndexOf((byte)' ');
        if (methodEnd <= 0)
            return Rejections.MalformedRequestLine;
        ReadOnlySpan<byte> method = line[..methodEnd];
        if (!Grammar.IsToken(method))
            return Rejections.MalformedMethod;
        request.Method = MethodOf(method);

        ReadOnlySpan<byte> rest = line[(methodEnd + 1)..];
        int targetEnd = rest.IndexOf((byte)' ');
        if (targetEnd <= 0)
            return Rejections.MalformedRequestLine;
        ReadOnlySpan<byte> version = rest[(targetEnd + 1)..];
        if (version.Contains((byte)' '))
            return Rejections.MalformedRequestLine;
        return ReadVersion(version, request) ?? RequestTarget.Read(rest[..targetEnd], method, request);
    }

    // RFC 9110 section 9.1: "The method token is case-sensitive".
    private static HttpMethod MethodOf(ReadOnlySpan<byte> method)
    {
        if (method.SequenceEqual("GET"u8))
            return HttpMethod.Get;
        if (method.SequenceEqual("POST"u8))
            return HttpMethod.Post;
        if (method.SequenceEqual("HEAD"u8))
            return HttpMethod.Head;
        return method.SequenceEqual("OPTIONS"u8) ? HttpMethod.Options : HttpMethod.Other;
    }

    // HTTP-version = HTTP-name "/" DIGIT "." DIGIT (RFC 9112 section 2.3), case-sensitive. A higher minor version is spoken to as
    // HTTP/1.1 (RFC 9110 section 2.5).
    private static Rejection? ReadVersion(ReadOnlySpan<byte> version, HttpRequest request)
    {
        bool wellFormed = version.Length == 8 && version.StartsWith("HTTP/"u8)
            && IsDigit(version[5]) && version[6] == '.' && IsDigit(version[7]);
        if (!wellFormed)
            return Rejections.MalformedVersion;
        if (version[5] != '1')
            return Rejections.UnsupportedVersion;
        request.IsHttp10 = version[7] == '0';
        return null;
    }

    private static bool IsDigit(byte octet) => octet is >= (byte)'0' and <= (byte)'9';
}
