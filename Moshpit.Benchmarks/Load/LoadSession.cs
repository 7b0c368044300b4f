using System.Diagnostics;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Load;

/// <summary>A load from joining to the report.</summary>
internal sealed class LoadSession(LoadOptions options)
{
    private const int Faulty = 1;

    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(500);

    private long _lastProgress;
    private long _began;

    /// <summary>The exit code: 0 if every peer got every message in order (or, where they are counted, as many bytes).</summary>
    public int Run()
    {
        if (options.PlotPath is not null)
            WritePlot("");
        LoadTarget server = LoadTarget.Resolve(options.Server, options.TrustsAll);
        using var swarm = new Swarm(server, options.Dialect, options.Channels, options.Publishers);
        _lastProgress = _began = Stopwatch.GetTimestamp();
        swarm.Join(options.Peers, joined => Progress(() => $"{joined} of {options.Peers} peers joined"));
        TimeSpan joining = Stopwatch.GetElapsedTime(_began);

        if (options.Plan.CountOnly)
            swarm.Check(options.Plan);
        TimeSpan cpu = options.ProcessId is { } before ? ProcessFiles.Cpu(before) : default;
        _began = Stopwatch.GetTimestamp();
        RunResult result = swarm.Run(options.Plan, inFlight => Progress(() => Describe(inFlight)));
        ClearProgress();
        var report = new LoadReport(result, joining);
        if (options.ProcessId is { } after && ProcessFiles.Exists(after))
            report.AddServer(ProcessFiles.Cpu(after) - cpu, ProcessFiles.ResidentBytes(after));
        Console.Write(report.ToMarkdown(options));
        if (options.Plan.CountOnly && result.IsFaultless)
            swarm.Check(options.Plan);
        if (options.PlotPath is not null && result.Latency is { TotalCount: > 0 } latency)
            WritePlot(LatencyPlot.Draw(options.Server.ToString(), options.Description, latency));
        return result.IsFaultless ? 0 : Faulty;
    }

    private string Describe(InFlight inFlight)
    {
        double seconds = Stopwatch.GetElapsedTime(_began).TotalSeconds;
        return $"{seconds,5:0.0} s  {inFlight.Published:N0} of {options.Plan.Messages:N0} messages, "
            + $"{inFlight.Delivered:N0} deliveries, {inFlight.Delivered / seconds:N0} a second";
    }

    /// <summary>Called once with nothing before the work is done, to find out whether there is a place for its result.</summary>
    private void WritePlot(string svg)
    {
        try
        {
            File.WriteAllText(options.PlotPath!, svg);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BenchmarkException(e.Message);
        }
    }

    /// <summary>One line that overwrites itself; only on a terminal.</summary>
    private void Progress(Func<string> text)
    {
        if (Stopwatch.GetElapsedTime(_lastProgress) < ProgressInterval)
            return;
        _lastProgress = Stopwatch.GetTimestamp();
        if (Console.IsErrorRedirected)
            Console.Error.WriteLine(text());
        else
            Console.Error.Write($"\r\e[K{text()}");
    }

    private static void ClearProgress()
    {
        if (!Console.IsErrorRedirected)
            Console.Error.Write("\r\e[K");
    }
}
