using System.Security.Cryptography;

namespace Moshpit.Server.Channels;

/// <summary>
/// An id, cid or token as a key. The ids in a table are random numbers that the server made, so any of their bits make a fair hash and nobody
/// can crowd a bucket. Looking up a guessed token tells nothing by the time it takes: which bucket is looked at depends on a secret, and a
/// comparison always looks at every bit.
/// </summary>
internal readonly struct IdKey(UInt128 id) : IEquatable<IdKey>
{
    private static readonly ulong Secret = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));

    private readonly ulong _upper = (ulong)(id >> 64);
    private readonly ulong _lower = (ulong)id;

    public bool Equals(IdKey other) => ((_upper ^ other._upper) | (_lower ^ other._lower)) == 0;

    public override bool Equals(object? obj) => obj is IdKey other && Equals(other);

    /// <remarks>The multiplication spreads the secret over all bits (Fibonacci hashing).</remarks>
    public override int GetHashCode() => (int)((_upper ^ _lower ^ Secret) * 0x9E3779B97F4A7C15UL >> 32);
}
