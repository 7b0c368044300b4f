using BenchmarkDotNet.Running;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>
/// What the servers used during each iteration, for the columns that BenchmarkDotNet, which sees nothing but the load, can't fill.
/// These benchmarks run in its process, so that this can stay in memory.
/// </summary>
internal static class Figures
{
    private static readonly Dictionary<string, List<MeasuredRun>> Runs = [];

    /// <summary>Adds an iteration of the case that runs <paramref name="method"/> of <paramref name="type"/>.</summary>
    public static void Add(Type type, string method, string parameters, MeasuredRun run)
    {
        string key = Key(type, method, parameters);
        if (!Runs.TryGetValue(key, out List<MeasuredRun>? runs))
            Runs.Add(key, runs = []);
        runs.Add(run);
    }

    /// <summary>
    /// The median of what was measured in the last iterations of a case, which are those after its warm-up; null: it failed.
    /// </summary>
    public static double? Median(BenchmarkCase benchmark, int iterations, Func<MeasuredRun, double?> figure)
    {
        string parameters = string.Join(
            ',', benchmark.Parameters.Items.OrderBy(item => item.Name, StringComparer.Ordinal).Select(item => item.Value));
        string key = Key(benchmark.Descriptor.Type, benchmark.Descriptor.WorkloadMethod.Name, parameters);
        if (!Runs.TryGetValue(key, out List<MeasuredRun>? runs) || runs.Count < iterations)
            return null;
        return Statistics.Median(runs.TakeLast(iterations).Select(run => figure(run) ?? double.NaN));
    }

    private static string Key(Type type, string method, string parameters) => $"{type.Name}.{method}({parameters})";
}
