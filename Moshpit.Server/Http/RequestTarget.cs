using System.Buffers;

namespace Moshpit.Server.Http;

/// <summary>
/// request-target = origin-form / absolute-form / authority-form / asterisk-form (RFC 9112 section 3.2). Nothing is decoded and no dot
/// segment is resolved: a path that is not literally one of ours names nothing of ours.
/// </summary>
internal static class RequestTarget
{
    // VCHAR without "#": a fragment is never sent (RFC 9112 section 3.2), and proxies differ in what they make of one.
    private static readonly SearchValues<byte> TargetBytes = SearchValues.Create(
        "!\"$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"u8);

    /// <summary>Null, or why the target is refused. <paramref name="method"/> decides which forms are allowed.</summary>
    public static Rejection? Read(ReadOnlySpan<byte> target, ReadOnlySpan<byte> method, HttpRequest request)
    {
        // authority-form: "only used for CONNECT", and CONNECT has no other (section 3.2.3). It is refused later, as a method.
        if (method.SequenceEqual("CONNECT"u8))
            return IsAuthorityForm(target) ? null : Rejections.MalformedTarget;
        if (target.ContainsAnyExcept(TargetBytes))
            return Rejections.MalformedTarget;
        if (target[0] == '/')
        {
            ReadPath(target, request);
            return null;
        }

        // asterisk-form: "only used for a server-wide OPTIONS request" (section 3.2.4).
        if (target.SequenceEqual("*"u8) && request.Method == HttpMethod.Options)
        {
            request.SetTarget(target, default);
            return null;
        }

        return ReadAbsoluteForm(target, request);
    }

    // The port may not be left out (RFC 9110 section 9.3.6).
    private static bool IsAuthorityForm(ReadOnlySpan<byte> target)
    {
        int port = target.LastIndexOf((byte)':') + 1;
        return port > 0 && port < target.Length && target[^1] != ']' && Authority.IsValid(target);
    }

    // Section 3.2.2: "a server MUST accept the absolute-form in requests". Host is still required, and checked by itself.
    private static Rejection? ReadAbsoluteForm(ReadOnlySpan<byte> target, HttpRequest request)
    {
        int schemeEnd = target.IndexOf("://"u8);
        if (schemeEnd < 0 || !(Grammar.Is(target[..schemeEnd], "http"u8) || Grammar.Is(target[..schemeEnd], "https"u8)))
            return Rejections.MalformedTarget;
        ReadOnlySpan<byte> rest = target[(schemeEnd + 3)..];
        int authorityEnd = rest.IndexOfAny((byte)'/', (byte)'?');
        if (authorityEnd < 0)
            authorityEnd = rest.Length;
        if (!Authority.IsValid(rest[..authorityEnd]))
            return Rejections.MalformedTarget;
        ReadPath(rest[authorityEnd..], request);
        return null;
    }

    private static void ReadPath(ReadOnlySpan<byte> pathAndQuery, HttpRequest request)
    {
        int mark = pathAndQuery.IndexOf((byte)'?');
        ReadOnlySpan<byte> path = mark < 0 ? pathAndQuery : pathAndQuery[..mark];

        // RFC 9110 section 4.2.3: an empty path component is equivalent to "/".
        request.SetTarget(path.IsEmpty ? "/"u8 : path, mark < 0 ? default : pathAndQuery[(mark + 1)..]);
    }
}
