using System.Globalization;
using System.Runtime.InteropServices;

namespace Moshpit.Server.Limits;

/// <summary>
/// How many connections the process's descriptors allow. Accepting until there are none left would starve whatever else needs one, down to
/// the runtime itself, which ends the process when its compiler can't get any.
/// </summary>
internal static partial class DescriptorLimit
{
    private const int LeastReserve = 32;
    private const int MostReserve = 256;

    /// <summary>One client address may take one part in so many of what the descriptors allow.</summary>
    private const int AddressesAtLeast = 4;

    private const int OpenFiles = 7; // RLIMIT_NOFILE, getrlimit(2); the number is Linux's.

    /// <summary>
    /// Raises the process's soft limit to its hard one. The soft limit is often 1024, for the sake of programs that use select(2). CoreCLR
    /// raises it by itself, a native binary does not. For the program alone: a program that embeds the server has its own reasons.
    /// If the system refuses, the limit stays as it is, and the server takes fewer connections.
    /// </summary>
    public static void Raise()
    {
        if (!OperatingSystem.IsLinux() || GetLimit(OpenFiles, out Limits limits) != 0 || limits.Soft == limits.Hard)
            return;
        limits.Soft = limits.Hard;
        _ = SetLimit(OpenFiles, limits);
    }

    /// <summary>
    /// What one client address may have of <paramref name="connections"/>: a quarter, so that others still get in beside an address that
    /// takes all it can.
    /// </summary>
    public static int ShareOf(int connections) => Math.Max(1, connections / AddressesAtLeast);

    /// <summary>
    /// The limit less what is open now and a reserve for everything else that is no connection; <see cref="int.MaxValue"/> where it is
    /// unknown (it is known on Linux).
    /// </summary>
    public static int Connections()
    {
        try
        {
            return ConnectionsOf(File.ReadAllText("/proc/self/limits"), Directory.GetFileSystemEntries("/proc/self/fd").Length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return int.MaxValue;
        }
    }

    /// <summary>
    /// As <see cref="Connections"/>, from the text of <c>/proc/PID/limits</c> (proc(5)): a table of name, soft limit, hard limit and unit.
    /// </summary>
    public static int ConnectionsOf(string limits, int open)
    {
        const string Name = "Max open files";
        string? line = limits.Split('\n').FirstOrDefault(line => line.StartsWith(Name, StringComparison.Ordinal));
        string? soft = line?[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
        return int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out int limit)
            ? Math.Max(1, limit - open - Math.Clamp(limit / 8, LeastReserve, MostReserve))
            : int.MaxValue;
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out Limits limits);

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, in Limits limits);

    /// <summary>struct rlimit; rlim_t is as wide as a pointer on Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Limits
    {
        public nuint Soft;
        public nuint Hard;
    }
}
