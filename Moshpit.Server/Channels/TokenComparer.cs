using System.Runtime.CompilerServices;

namespace Moshpit.Server.Channels;

/// <summary>
/// Finds tokens without telling an attacker, by the time it takes, how much of a guess was right: which bucket is looked at depends on a hash
/// seeded per process, and a comparison within it always looks at every bit.
/// </summary>
internal sealed class TokenComparer : IEqualityComparer<UInt128>
{
    public static readonly TokenComparer Instance = new();

    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.NoOptimization)]
    public bool Equals(UInt128 x, UInt128 y)
    {
        UInt128 difference = x ^ y;
        return ((ulong)(difference >> 64) | (ulong)difference) == 0;
    }

    /// <remarks><see cref="HashCode"/> is seeded with a random number per process.</remarks>
    public int GetHashCode(UInt128 token) => HashCode.Combine((ulong)(token >> 64), (ulong)token);
}
