using System.Buffers.Binary;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// The text of a message: a mark, its number in eight letters from <c>a</c> to <c>p</c> (base 16), and padding. No server has a reason to
/// escape any of it, and a receiver reads the number in a few instructions.
/// </summary>
internal static class Payload
{
    /// <summary>Length without padding.</summary>
    public const int MinLength = 1 + NumberLength;

    private const int NumberLength = 8;
    private const byte Mark = (byte)'m';
    private const byte Padding = (byte)'x';
    private const ulong AllZero = 0x6161_6161_6161_6161;

    /// <summary>Fills <paramref name="text"/> with a payload numbered 0.</summary>
    public static void Fill(Span<byte> text)
    {
        text.Fill(Padding);
        text[0] = Mark;
        WriteNumber(text, 0);
    }

    public static void WriteNumber(Span<byte> text, uint number)
    {
        ulong spread = number;
        spread = (spread | (spread << 16)) & 0x0000_FFFF_0000_FFFF;
        spread = (spread | (spread << 8)) & 0x00FF_00FF_00FF_00FF;
        spread = (spread | (spread << 4)) & 0x0F0F_0F0F_0F0F_0F0F;
        BinaryPrimitives.WriteUInt64BigEndian(text[1..], AllZero + spread);
    }

    /// <summary>
    /// The number in <paramref name="text"/>; false when that is not an intact payload of <paramref name="length"/> bytes.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> text, int length, out uint number)
    {
        number = 0;
        if (text.Length != length || text[0] != Mark || text[MinLength..].IndexOfAnyExcept(Padding) >= 0)
            return false;
        ulong digits = BinaryPrimitives.ReadUInt64BigEndian(text[1..]) - AllZero;
        if ((digits & 0xF0F0_F0F0_F0F0_F0F0) != 0)
            return false;
        digits = (digits | (digits >> 4)) & 0x00FF_00FF_00FF_00FF;
        digits = (digits | (digits >> 8)) & 0x0000_FFFF_0000_FFFF;
        digits |= digits >> 16;
        number = (uint)digits;
        return true;
    }
}
