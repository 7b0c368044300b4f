using System.Globalization;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Compare;

/// <summary>A line of the comparison: one figure of several servers, round by round.</summary>
/// <param name="Title">What is measured.</param>
/// <param name="Unit">Of the figures.</param>
/// <param name="Format">How they are written.</param>
/// <param name="Targets">What the figure must be; none: it is only shown.</param>
internal sealed record Row(string Title, string Unit, string Format, params Target[] Targets)
{
    private readonly Dictionary<ServerKind, List<double>> _samples = [];

    /// <summary>The head of the table that these are the lines of.</summary>
    public static string MarkdownHead =>
        "| what | moshpit | Kestrel | bare loop | C floor | moshpit/Kestrel | moshpit/bare loop | moshpit/C floor | target |\n"
        + "|---|---:|---:|---:|---:|---:|---:|---:|---|";

    /// <summary>Whether anything was measured.</summary>
    public bool HasSamples => _samples.Count > 0;

    public void Add(ServerKind server, double value)
    {
        if (!_samples.TryGetValue(server, out List<double>? samples))
            _samples.Add(server, samples = []);
        samples.Add(value);
    }

    /// <summary>As cells of a Markdown table: each server's median, and the median of the ratios within the rounds.</summary>
    public string ToMarkdown() =>
        $"| {Title} | {Cell(ServerKind.Moshpit)} | {Cell(ServerKind.Kestrel)} | {Cell(ServerKind.Bare)} | {Cell(ServerKind.Floor)} "
        + $"| {Ratio(ServerKind.Kestrel)} | {Ratio(ServerKind.Bare)} | {Ratio(ServerKind.Floor)} | {Verdicts()} |";

    private string Cell(ServerKind server) => Figure(server) is { } figure ? $"{figure} {Unit}" : "";

    private string? Figure(ServerKind server) => _samples.TryGetValue(server, out List<double>? samples)
        ? Statistics.Median(samples).ToString(Format, CultureInfo.InvariantCulture)
        : null;

    private string Verdicts() =>
        Targets.Length == 0 ? "none" : string.Join("; ", Targets.Select(target => target.Judge(Judged(target), Unit)));

    /// <summary>The figure or the ratio as it is printed: the table must not contradict itself.</summary>
    private double? Judged(Target target)
    {
        string? printed = target.Other is { } other ? Ratio(other) : Figure(ServerKind.Moshpit);
        return printed is null ? null : double.Parse(printed, NumberStyles.Number, CultureInfo.InvariantCulture);
    }

    private string? Ratio(ServerKind other)
    {
        if (!_samples.TryGetValue(ServerKind.Moshpit, out List<double>? own) || !_samples.TryGetValue(other, out List<double>? others))
            return null;

        // What was measured in the same round had the same weather.
        double ratio = Statistics.Median(own.Zip(others, (a, b) => a / b));
        return ratio.ToString("0.###", CultureInfo.InvariantCulture);
    }
}
