using System.Buffers;
using System.Buffers.Binary;

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
        Span<byte> bytes = stackalloc byte[Length / 2];

        // The library takes upper case too, which would give one id several names.
        if (text.Length != Length || text.ContainsAnyInRange((byte)'A', (byte)'F')
            || Convert.FromHexString(text, bytes, out _, out _) != OperationStatus.Done)
        {
            return false;
        }

        id = BinaryPrimitives.ReadUInt128BigEndian(bytes);
        return true;
    }

    /// <summary>Writes the 32 digits of <paramref name="id"/> to the start of <paramref name="destination"/>.</summary>
    public static void Format(UInt128 id, Span<byte> destination)
    {
        Span<byte> bytes = stackalloc byte[Length / 2];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, id);
        Convert.TryToHexStringLower(bytes, destination, out _);
    }
}
