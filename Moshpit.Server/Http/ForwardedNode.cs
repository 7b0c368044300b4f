using System.Buffers;
using System.Net;

namespace Moshpit.Server.Http;

/// <summary>
/// A client as a proxy names it, in Forwarded and in X-Forwarded-For (RFC 7239 section 6):
/// node = nodename [ ":" node-port ]; nodename = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
/// </summary>
internal static class ForwardedNode
{
    private const int MostPortDigits = 5;

    private static readonly SearchValues<byte> ObfuscatedBytes = SearchValues.Create(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-"u8);

    /// <summary>
    /// The address that <paramref name="text"/> names, with or without a port. Null: it is malformed, or names no address ("unknown",
    /// "_hidden"). An IPv6 address may stand without brackets, and then without a port, as proxies write it in X-Forwarded-For.
    /// </summary>
    public static IPAddress? ReadAddress(ReadOnlySpan<byte> text)
    {
        if (text.StartsWith("["u8))
        {
            int end = text.IndexOf((byte)']');
            return end > 0 && IsPort(text[(end + 1)..]) ? ReadIPv6(text[1..end]) : null;
        }

        int colon = text.IndexOf((byte)':');
        if (colon < 0)
            return AddressText.ReadIPv4(text);
        if (text[(colon + 1)..].Contains((byte)':'))
            return ReadIPv6(text);
        return IsPort(text[colon..]) ? AddressText.ReadIPv4(text[..colon]) : null;
    }

    // Empty, or ":" and 1*5DIGIT or an obfuscated port.
    private static bool IsPort(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
            return true;
        if (text[0] != ':')
            return false;
        ReadOnlySpan<byte> port = text[1..];
        if (port.StartsWith("_"u8))
            return port.Length > 1 && !port.ContainsAnyExcept(ObfuscatedBytes);
        int number = 0;
        foreach (byte digit in port.Length > MostPortDigits ? default : port)
        {
            if (!char.IsAsciiDigit((char)digit))
                return false;
            number = number * 10 + digit - '0';
        }

        return port.Length is > 0 and <= MostPortDigits && number <= ushort.MaxValue;
    }

    // A zone (RFC 4007 section 11) says which of the proxy's own links; it is dropped.
    private static IPAddress? ReadIPv6(ReadOnlySpan<byte> text)
    {
        int zone = text.IndexOf((byte)'%');
        return AddressText.ReadIPv6(zone < 0 ? text : text[..zone]);
    }
}
