using System.Globalization;
using System.Text;

namespace Moshpit.Benchmarks.Load;

/// <summary>The table at the end of a load.</summary>
internal sealed class LoadReport(RunResult result, TimeSpan joining)
{
    private static readonly double[] Percentiles = [50, 90, 99, 99.9, 99.99];

    private TimeSpan? _serverCpu;
    private long _serverMemory;

    /// <summary>Adds what the server used.</summary>
    public void AddServer(TimeSpan cpu, long residentBytes)
    {
        _serverCpu = cpu;
        _serverMemory = residentBytes;
    }

    public string ToMarkdown(LoadOptions options)
    {
        var table = new StringBuilder("| | |\n|---|---:|\n");
        Row(table, "peers, channels", $"{options.Peers}, {options.Channels}");
        Row(table, "joins a second", $"{options.Peers / joining.TotalSeconds:N0}");
        Row(table, "messages", $"{result.Messages:N0}");
        Row(table, "time", $"{result.Elapsed.TotalSeconds:0.000} s");
        Row(table, "messages a second", $"{result.MessagesPerSecond:N0}");
        Row(table, "deliveries", $"{result.Delivered:N0}");
        Row(table, "deliveries a second", $"{result.DeliveriesPerSecond:N0}");
        Row(table, "lost", $"{result.Lost:N0}");
        Row(table, "out of order or twice", $"{result.Misplaced:N0}");
        Row(table, "connections ended by the server", $"{result.Ended}");
        if (result.Latency is { TotalCount: > 0 } latency)
        {
            foreach (double percentile in Percentiles)
                Row(table, $"latency p{percentile.ToString(CultureInfo.InvariantCulture)}",
                    Milliseconds(latency.GetValueAtPercentile(percentile)));
            Row(table, "latency, longest", Milliseconds(latency.GetValueAtPercentile(100)));
        }

        if (_serverCpu is { } cpu)
        {
            Row(table, "server CPU", $"{cpu.TotalSeconds:0.00} s, {cpu / result.Elapsed:P0}");
            Row(table, "server CPU per delivery", $"{cpu.TotalMicroseconds / Math.Max(1, result.Delivered):0.000} μs");
            Row(table, "server memory (RSS)", $"{_serverMemory / 1024.0 / 1024.0:0.0} MiB");
        }

        return table.ToString();
    }

    private static string Milliseconds(long nanoseconds) => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e6:0.000} ms");

    private static void Row(StringBuilder table, string name, string value) => table.Append($"| {name} | {value} |\n");
}
