using System.Globalization;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Compare;

/// <summary>A line of the comparison: one figure of several servers, round by round.</summary>
/// <param name="Title">What is measured.</param>
/// <param name="Unit">Of the figures.</param>
/// <param name="Format">How they are written.</param>
/// <param name="Target">What is wanted, in words.</param>
internal sealed record Row(string Title, string Unit, string Format, string Target)
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
        + $"| {Ratio(ServerKind.Kestrel)} | {Ratio(ServerKind.Bare)} | {Ratio(ServerKind.Floor)} | {Target} |";

    private string Cell(ServerKind server) => _samples.TryGetValue(server, out List<double>? samples)
        ? Statistics.Median(samples).ToString(Format, CultureInfo.InvariantCulture) + " " + Unit
        : "";

    private string Ratio(ServerKind other)
    {
        if (!_samples.TryGetValue(ServerKind.Moshpit, out List<double>? own) || !_samples.TryGetValue(other, out List<double>? others))
            return "";

        // What was measured in the same round had the same weather.
        double ratio = Statistics.Median(own.Zip(others, (a, b) => a / b));
        return ratio.ToString("0.###", CultureInfo.InvariantCulture);
    }
}
