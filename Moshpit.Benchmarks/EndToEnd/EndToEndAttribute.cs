using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Engines;
using BenchmarkDotNet.Filters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Moshpit.Benchmarks.Servers;
using Perfolizer.Horology;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>
/// How benchmarks of a whole server are run: the load in BenchmarkDotNet's own process, as the server is in another one anyway; each
/// iteration as many runs as fill its time, because a shorter one shows little but what else the machine does; with the server's
/// figures beside the time. The floor in C is left out where nothing compiles it.
/// </summary>
/// <param name="operation">What is counted: a delivery, a message, a join.</param>
/// <param name="plural">Of <paramref name="operation"/>.</param>
/// <param name="isLong">One run is long enough for an iteration, and can't be repeated within it.</param>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class EndToEndAttribute(string operation, string plural, bool isLong = false) : Attribute, IConfigSource
{
    private const int Warmups = 2;
    private const int Iterations = 5;

    /// <summary>The pilot raises the number of runs in an iteration until they take that long together.</summary>
    private static readonly TimeInterval IterationTime = TimeInterval.FromMilliseconds(500);
    private static readonly TimeSpan Timeout = TimeSpan.FromHours(1);

    public IConfig Config { get; } = ManualConfig.CreateEmpty()
        .AddJob(CreateJob(isLong))
        .AddFilter(new SimpleFilter(benchmark =>
            benchmark.Descriptor.WorkloadMethod.Name != nameof(DirectMessageBenchmarks.CFloor) || FloorProgram.Path is not null))
        .HideColumns(Column.Error, Column.StdDev, Column.RatioSD, Column.AllocRatio)
        .AddColumn(
            new FigureColumn(
                $"{plural}/s",
                $"Median {plural} a second",
                Iterations,
                run => run.PerSecond,
                value => Format(value, "N0")),
            new FigureColumn(
                $"CPU/{operation}",
                $"Median server CPU time (user and kernel, all threads) per {operation}",
                Iterations,
                run => run.CpuMicroseconds,
                value => Format(value, "0.000") + " μs"),
            new FigureColumn(
                $"Alloc/{operation}",
                $"Median managed bytes allocated by the server per {operation}",
                Iterations,
                run => run.AllocatedBytes,
                value => Format(value, "0.00") + " B"));

    private static Job CreateJob(bool isLong)
    {
        Job job = Job.Default
            .WithToolchain(new InProcessEmitToolchain(Timeout, logOutput: true))
            .WithStrategy(RunStrategy.Throughput)
            .WithEvaluateOverhead(false)
            .WithWarmupCount(Warmups)
            .WithIterationCount(Iterations)
            .WithUnrollFactor(1);
        return isLong ? job.WithInvocationCount(1) : job.WithMinIterationTime(IterationTime).WithMinInvokeCount(1);
    }

    private static string Format(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
