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
        return host[0] == '[' ? IsIpv6(host[1..^1]) || IsIpFuture(host[1..^1]) : IsRegisteredName(host);
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

    // IPv6address: eight groups, of which the last two may be an IPv4address; one "::" stands for one group or more.
    private static bool IsIpv6(ReadOnlySpan<byte> address)
    {
        int groups = 0;
        bool elided = address.StartsWith("::"u8);
        if (elided)
            address = address[2..];
        while (!address.IsEmpty)
        {
            int colon = address.IndexOf((byte)':');
            ReadOnlySpan<byte> group = colon < 0 ? address : address[..colon];
            if (colon < 0 && IsIpv4(group))
                groups++;
            else if (group.IsEmpty || group.Length > 4 || group.ContainsAnyExcept(HexDigits))
                return false;
            groups++;
            if (colon < 0)
                break;
            address = address[(colon + 1)..];
            if (address.IsEmpty)
                return false;
            if (address[0] == ':')
            {
                if (elided)
                    return false;
                elided = true;
                address = address[1..];
            }
        }

        return elided ? groups <= 7 : groups == 8;
    }

    // IPv4address = dec-octet "." dec-octet "." dec-octet "." dec-octet
    private static bool IsIpv4(ReadOnlySpan<byte> address)
    {
        int octets = 0;
        foreach (Range part in address.Split((byte)'.'))
        {
            ReadOnlySpan<byte> octet = address[part];
            if (octet.Length is 0 or > 3 || (octet.Length > 1 && octet[0] == '0'))
                return false;
            int value = 0;
            foreach (byte digit in octet)
            {
                if (!char.IsAsciiDigit((char)digit))
                    return false;
                value = value * 10 + (digit - '0');
            }

            if (value > 255)
                return false;
            octets++;
        }

        return octets == 4;
    }
}
