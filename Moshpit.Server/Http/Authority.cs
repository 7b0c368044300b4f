using System.Buffers;
using System.Text;

namespace Moshpit.Server.Http;

/// <summary>
/// uri-host [ ":" port ], the middle of an absolute-form target and all of an authority-form one (RFC 9112 sections 3.2.2 and 3.2.3,
/// RFC 3986 section 3.2.2). A host must not be empty, as in every http URI (RFC 9110 section 4.2.1), and userinfo has no place in it.
/// </summary>
internal static class Authority
{
    private static readonly SearchValues<byte> HexDigits = SearchValues.Create("0123456789abcdefABCDEF"u8);

    // unreserved / sub-delims
    private static readonly SearchValues<byte> NameBytes = SearchValues.Create(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~!$&'()*+,;="u8);

    private static readonly SearchValues<byte> FutureBytes = SearchValues.Create(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~!$&'()*+,;=:"u8);

    public static bool IsValid(ReadOnlySpan<byte> text)
    {
        int hostEnd = text.StartsWith("["u8) ? text.IndexOf((byte)']') + 1 : text.IndexOf((byte)':');
        if (hostEnd < 0)
            hostEnd = text.Length;
        ReadOnlySpan<byte> host = text[..hostEnd];
        return IsHost(host) && IsPortSuffix(text[hostEnd..]);
    }

    private static bool IsHost(ReadOnlySpan<byte> host)
    {
        if (host.IsEmpty)
            return false;
        return host[0] == '[' ? AddressText.IsIPv6(host[1..^1]) || IsIpFuture(host[1..^1]) : IsRegisteredName(host);
    }

    // [ ":" *DIGIT ]
    private static bool IsPortSuffix(ReadOnlySpan<byte> text) =>
        text.IsEmpty || (text[0] == ':' && !text[1..].ContainsAnyExceptInRange((byte)'0', (byte)'9'));

    // reg-name = *( unreserved / pct-encoded / sub-delims ); every IPv4address is one, too.
    private static bool IsRegisteredName(ReadOnlySpan<byte> name)
    {
        for (int odd; (odd = name.IndexOfAnyExcept(NameBytes)) >= 0; name = name[(odd + 3)..])
        {
            if (name[odd] != '%' || name.Length < odd + 3 || name.Slice(odd + 1, 2).ContainsAnyExcept(HexDigits))
                return false;
        }

        return true;
    }

    // IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
    private static bool IsIpFuture(ReadOnlySpan<byte> address)
    {
        int dot = address.IndexOf((byte)'.');
        return dot >= 2 && Ascii.EqualsIgnoreCase(address[..1], "v"u8) && !address[1..dot].ContainsAnyExcept(HexDigits)
            && dot + 1 < address.Length && !address[(dot + 1)..].ContainsAnyExcept(FutureBytes);
    }
}
