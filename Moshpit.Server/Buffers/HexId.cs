namespace Moshpit.Server.Buffers;

/// <summary>The wire form of an <c>id</c>, <c>cid</c> or <c>token</c>: 128 bits as 32 lower-case hex digits.</summary>
internal static class HexId
{
    /// <summary>Length of the wire form, in bytes.</summary>
    public const int Length = 32;

    /// <summary>Reads exactly 32 of <c>[0-9a-f]</c>; anything else is no id.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out UInt128 id)
    {
        id = default;
        if (text.Length != Length || !TryParseHalf(text[..16], out ulong upper) || !TryParseHalf(text[16..], out ulong lower))
            return false;
        id = new UInt128(upper, lower);
        return true;
    }

    /// <summary>Writes the 32 digits of <paramref name="id"/> to the start of <paramref name="destination"/>.</summary>
    public static void Format(UInt128 id, Span<byte> destination)
    {
        FormatHalf((ulong)(id >> 64), destination[..16]);
        FormatHalf((ulong)id, destination[16..Length]);
    }

    private static bool TryParseHalf(ReadOnlySpan<byte> digits, out ulong value)
    {
        value = 0;
        foreach (byte digit in digits)
        {
            uint nibble = (uint)digit - '0';
            if (nibble > 9)
            {
                nibble = (uint)digit - 'a';
                if (nibble > 5)
                    return false;
                nibble += 10;
            }

            value = value << 4 | nibble;
        }

        return true;
    }

    private static void FormatHalf(ulong value, Span<byte> destination)
    {
        for (int i = 0; i < 16; i++, value <<= 4)
            destination[i] = "0123456789abcdef"u8[(int)(value >> 60)];
    }
}
