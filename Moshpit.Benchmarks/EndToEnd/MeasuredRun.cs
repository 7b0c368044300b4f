using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>What some work cost the server.</summary>
/// <param name="Operations">Deliveries, messages or joins.</param>
/// <param name="Elapsed">How long it took.</param>
/// <param name="Usage">What the server used for it.</param>
internal readonly record struct MeasuredRun(long Operations, TimeSpan Elapsed, ServerUsage Usage)
{
    public static MeasuredRun operator +(MeasuredRun left, MeasuredRun right) =>
        new(left.Operations + right.Operations, left.Elapsed + right.Elapsed, left.Usage + right.Usage);

    public double PerSecond => Operations / Elapsed.TotalSeconds;

    /// <summary>Server CPU per operation.</summary>
    public double CpuMicroseconds => Usage.Cpu.TotalMicroseconds / Operations;

    /// <summary>Managed bytes allocated by the server per operation; null: not known.</summary>
    public double? AllocatedBytes => (double?)Usage.AllocatedBytes / Operations;
}
