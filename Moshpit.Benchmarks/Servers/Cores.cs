using System.ComponentModel;
using System.Diagnostics;
using Moshpit.Benchmarks.Polling;

namespace Moshpit.Benchmarks.Servers;

/// <summary>
/// Which process may run on which core. A server under test and its load that share all cores take from each other, and the more a server
/// spends the less its load can ask of it; apart, each server gets the same, and what it does with it is told by what comes out.
/// </summary>
internal static class Cores
{
    /// <summary>
    /// Cores of a server under test, the first ones; the load has the others. All that there are, or more: both share them.
    /// </summary>
    public static int OfServer { get; set; } = 1;

    /// <summary>Whether server and load are apart.</summary>
    public static bool AreApart => OfServer < Environment.ProcessorCount;

    /// <summary>
    /// Starts a process on the server's cores, and sees to it that the calling thread, which is to be the load, is not there.
    /// </summary>
    public static Process StartServer(ProcessStartInfo start)
    {
        if (!AreApart)
            return Process.Start(start)!;

        // A process starts where the thread runs that starts it.
        RunOn(0, OfServer);
        try
        {
            return Process.Start(start)!;
        }
        finally
        {
            RunOn(OfServer, Environment.ProcessorCount);
        }
    }

    private static unsafe void RunOn(int first, int end)
    {
        Span<ulong> mask = stackalloc ulong[(end + 63) / 64];
        mask.Clear();
        for (int core = first; core < end; core++)
            mask[core / 64] |= 1UL << (core % 64);
        fixed (ulong* bits = mask)
        {
            if (LibC.SetAffinity(0, (nuint)(mask.Length * sizeof(ulong)), bits) != 0)
                throw new Win32Exception();
        }
    }
}
