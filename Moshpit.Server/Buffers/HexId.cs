using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Moshpit.Server.Buffers;

/// <summary>
/// 128 random bits, on the wire 32 lower-case hex digits: what a <see cref="ChannelId"/>, a <see cref="PeerId"/> and a <see cref="Token"/>
/// are.
/// </summary>
/// <remarks>
/// As a key of a table: the server made the numbers in it at random, so any of their bits make a fair hash, and no client can crowd a
/// bucket. Looking up a guessed token tells nothing by the time it takes: which bucket is looked at depends on a secret, and a comparison
/// always looks at every bit.
/// </remarks>
internal readonly struct HexId(UInt128 bits) : IEquatable<HexId>
{
    /// <summary>Length of the wire form, in bytes.</summary>
    public const int Length = 32;

    private static readonly ulong Secret = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));

    /// <summary>Ids for the next callers, made together. Its lock guards it.</summary>
    private static readonly HexId[] Random = new HexId[64];
    private static int NextRandom = Random.Length;

    private readonly ulong _upper = (ulong)(bits >> 64);
    private readonly ulong _lower = (ulong)bits;

    /// <summary>Reads exactly 32 of <c>[0-9a-f]</c>; anything else is no id.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out HexId id)
    {
        id = default;
        Span<byte> bytes = stackalloc byte[Length / 2];

        // The library takes upper case too, which would give one id several names.
        if (text.Length != Length || text.ContainsAnyInRange((byte)'A', (byte)'F')
            || Convert.FromHexString(text, bytes, out _, out _) != OperationStatus.Done)
        {
            return false;
        }

        id = new HexId(BinaryPrimitives.ReadUInt128BigEndian(bytes));
        return true;
    }

    /// <summary>Fills <paramref name="ids"/> with new ones.</summary>
    public static void Fill(Span<HexId> ids)
    {
        // A call of the generator costs much more than the bytes that it makes.
        lock (Random)
        {
            foreach (ref HexId id in ids)
            {
                if (NextRandom == Random.Length)
                {
                    RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(Random.AsSpan()));
                    NextRandom = 0;
                }

                id = Random[NextRandom];
                Random[NextRandom++] = default;
            }
        }
    }

    /// <summary>Writes the 32 digits to the start of <paramref name="destination"/>.</summary>
    public void Format(Span<byte> destination)
    {
        Span<byte> bytes = stackalloc byte[Length / 2];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, _upper);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[sizeof(ulong)..], _lower);
        Convert.TryToHexStringLower(bytes, destination, out _);
    }

    public bool Equals(HexId other) => ((_upper ^ other._upper) | (_lower ^ other._lower)) == 0;

    public override bool Equals(object? obj) => obj is HexId other && Equals(other);

    /// <remarks>The multiplication spreads the secret over all bits (Fibonacci hashing).</remarks>
    public override int GetHashCode() => (int)((_upper ^ _lower ^ Secret) * 0x9E3779B97F4A7C15UL >> 32);

    /// <summary>The first 8 digits, for logs: a whole id is a key.</summary>
    public override string ToString() => ((uint)(_upper >> 32)).ToString("x8", CultureInfo.InvariantCulture);
}
