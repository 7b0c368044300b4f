using System.Globalization;

namespace Moshpit.Benchmarks.Servers;

/// <summary>What <c>/proc</c> tells of another process.</summary>
internal static class ProcessFiles
{
    /// <summary>USER_HZ, the unit of times in /proc, which is 100 on every Linux that .NET runs on.</summary>
    private const int TicksPerSecond = 100;

    private const int UserTimeField = 14;
    private const int KernelTimeField = 15;

    public static bool Exists(int processId) => Directory.Exists($"/proc/{processId}");

    /// <summary>User and kernel time of all threads, in steps of 10 ms.</summary>
    public static TimeSpan Cpu(int processId)
    {
        // The name of the program, field 2, stands in parentheses and may itself hold blanks and parentheses.
        string stat = File.ReadAllText($"/proc/{processId}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        long ticks = long.Parse(fields[UserTimeField - 3], CultureInfo.InvariantCulture)
            + long.Parse(fields[KernelTimeField - 3], CultureInfo.InvariantCulture);
        return TimeSpan.FromSeconds((double)ticks / TicksPerSecond);
    }

    /// <summary>Bytes of the process that are in memory, counted page by page (the cheaper figures in statm lag behind).</summary>
    public static long ResidentBytes(int processId)
    {
        foreach (string line in File.ReadLines($"/proc/{processId}/smaps_rollup"))
        {
            if (!line.StartsWith("Rss:", StringComparison.Ordinal))
                continue;
            string kilobytes = line["Rss:".Length..].Trim().Split(' ')[0];
            return long.Parse(kilobytes, CultureInfo.InvariantCulture) * 1024;
        }

        throw new InvalidDataException($"/proc/{processId}/smaps_rollup has no Rss line.");
    }
}
