using System.Globalization;

namespace Moshpit.Benchmarks.Servers;

/// <summary>What a server process used up since its start.</summary>
/// <param name="Cpu">User and kernel time of all its threads.</param>
/// <param name="AllocatedBytes">On the managed heap; null where the process can't be asked.</param>
internal readonly record struct ServerUsage(TimeSpan Cpu, long? AllocatedBytes)
{
    private const string Prefix = "usage ";

    /// <summary>The current process's.</summary>
    public static ServerUsage OfThisProcess() => new(Environment.CpuUsage.TotalTime, GC.GetTotalAllocatedBytes(precise: true));

    public static ServerUsage operator +(ServerUsage left, ServerUsage right) =>
        new(left.Cpu + right.Cpu, left.AllocatedBytes + right.AllocatedBytes);

    public static ServerUsage operator -(ServerUsage left, ServerUsage right) =>
        new(left.Cpu - right.Cpu, left.AllocatedBytes - right.AllocatedBytes);

    /// <summary>The line that <see cref="FromLine"/> reads.</summary>
    public string ToLine() => string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Cpu.Ticks} {AllocatedBytes}");

    public static ServerUsage FromLine(string line)
    {
        string[] fields = line.StartsWith(Prefix, StringComparison.Ordinal) ? line[Prefix.Length..].Split(' ') : [];
        if (fields.Length != 2)
            throw new InvalidDataException($"The server process said '{line}' where its usage was expected.");
        return new(
            TimeSpan.FromTicks(long.Parse(fields[0], CultureInfo.InvariantCulture)), long.Parse(fields[1], CultureInfo.InvariantCulture));
    }
}
