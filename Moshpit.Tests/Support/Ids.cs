using System.Globalization;
using System.Text;
using Moshpit.Server.Buffers;

namespace Moshpit.Tests.Support;

/// <summary>Ids from their 32 digits, by another way than the server's own, and from small numbers.</summary>
internal static class Ids
{
    public static HexId Hex(string digits) => new(UInt128.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture));

    public static string Digits(HexId id)
    {
        byte[] digits = new byte[HexId.Length];
        id.Format(digits);
        return Encoding.ASCII.GetString(digits);
    }

    public static ChannelId Channel(string digits) => new(Hex(digits));

    public static ChannelId Channel(UInt128 number) => new(new HexId(number));

    public static PeerId Peer(string digits) => new(Hex(digits));

    public static PeerId Peer(UInt128 number) => new(new HexId(number));

    public static Token Token(string digits) => new(Hex(digits));

    public static Token Token(UInt128 number) => new(new HexId(number));
}
