using System.Buffers;
using System.Net;
using System.Net.Sockets;

namespace Moshpit.Server.Http;

/// <summary>
/// IPv4address and IPv6address, spelled as in RFC 3986 section 3.2.2. The framework reads more than these: "10.1", octal and hexadecimal
/// numbers, brackets, ports and zones. All of that is refused here: limits depend on addresses, so their meaning must not be guessed.
/// </summary>
internal static class AddressText
{
    // "255.255.255.255"
    private const int MaxIPv4Length = 15;

    private static readonly SearchValues<byte> IPv6Bytes = SearchValues.Create("0123456789abcdefABCDEF:."u8);

    /// <summary>The address that <paramref name="text"/> spells; null if it spells none.</summary>
    public static IPAddress? ReadIPv4(ReadOnlySpan<byte> text)
    {
        // The grammar allows one spelling of an address, which is the one that the framework writes.
        Span<byte> spelling = stackalloc byte[MaxIPv4Length];
        return IPAddress.TryParse(text, out IPAddress? address) && address.AddressFamily == AddressFamily.InterNetwork
            && address.TryFormat(spelling, out int length) && text.SequenceEqual(spelling[..length])
            ? address
            : null;
    }

    /// <summary>The address that <paramref name="text"/>, without brackets, spells; null if it spells none.</summary>
    public static IPAddress? ReadIPv6(ReadOnlySpan<byte> text) => IsIPv6(text) ? IPAddress.Parse(text) : null;

    /// <summary>Whether <see cref="ReadIPv6"/> would find an address.</summary>
    public static bool IsIPv6(ReadOnlySpan<byte> text)
    {
        int colon = text.LastIndexOf((byte)':');
        if (colon < 0 || text.ContainsAnyExcept(IPv6Bytes) || !IPAddress.IsValidUtf8(text))
            return false;

        // The last two groups may be an IPv4address. The framework lets a leading zero through there, as in "::1.0.0.01".
        ReadOnlySpan<byte> end = text[(colon + 1)..];
        return !end.Contains((byte)'.') || ReadIPv4(end) is not null;
    }
}
