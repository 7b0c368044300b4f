using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Engines;
using BenchmarkDotNet.Filters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>
/// How benchmarks of a whole server are run: the load in BenchmarkDotNet's own process, as the server is in another one anyway; each
/// iteration one run, long enough by itself; with the server's figures beside the time. The floor in C is left out where nothing
/// compiles it.
/// </summary>
/// <param name="operation">What is counted: a delivery, a message, a join.</param>
/// <param name="plural">Of <paramref name="operation"/>.</param>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class EndToEndAttribute(string operation, string plural) : Attribute, IConfigSource
{
    private const int Warmups = 2;
    private const int Iterations = 5;

    private static readonly TimeSpan Timeout = TimeSpan.FromHours(1);

    public IConfig Config { get; } = ManualConfig.CreateEmpty()
        .AddJob(Job.Default
            .WithToolchain(new InProcessEmitToolchain(Timeout, logOutput: true))
            .WithStrategy(RunStrategy.Monitoring)
            .WithWarmupCount(Warmups)
            .WithIterationCount(Iterations)
            .WithInvocationCount(1)
            .WithUnrollFactor(1))
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

    private static string Format(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
