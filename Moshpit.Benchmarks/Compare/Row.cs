using System.Globalization;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Compare;

/// <summary>A line of a table: one figure, side by side for each column, round by round.</summary>
/// <param name="Title">What is measured.</param>
/// <param name="Unit">Of the figures.</param>
/// <param name="Format">How they are written.</param>
/// <param name="Targets">What the figure of the first column must be; none: it is only shown.</param>
internal sealed record Row(string Title, string Unit, string Format, params Target[] Targets)
{
    private readonly Dictionary<string, List<double>> _samples = [];

    /// <summary>The columns of the table that this is a line of.</summary>
    public Columns Columns { get; init; } = Columns.Servers;

    /// <summary>Whether anything was measured.</summary>
    public bool HasSamples => _samples.Count > 0;

    public void Add(ServerKind server, double value) => Add(Columns.Of(server), value);

    /// <summary>Adds what was measured for a column.</summary>
    public void Add(string column, double value)
    {
        if (!_samples.TryGetValue(column, out List<double>? samples))
            _samples.Add(column, samples = []);
        samples.Add(value);
    }

    /// <summary>Adds what was measured for the first column.</summary>
    public void Add(double value) => Add(Columns.First, value);

    /// <summary>As cells of a Markdown table: each column's median, and the median of the ratios within the rounds.</summary>
    public string ToMarkdown()
    {
        IEnumerable<string?> cells =
            [Title, Cell(Columns.First), .. Columns.Others.Select(Cell), .. Columns.Others.Select(Ratio), Verdicts()];
        return $"| {string.Join(" | ", cells)} |";
    }

    private string Cell(string column) => Figure(column) is { } figure ? $"{figure} {Unit}".TrimEnd() : "";

    private string? Figure(string column) => _samples.TryGetValue(column, out List<double>? samples)
        ? Statistics.Median(samples).ToString(Format, CultureInfo.InvariantCulture)
        : null;

    private string Verdicts() =>
        Targets.Length == 0 ? "none" : string.Join("; ", Targets.Select(target => target.Judge(Judged(target), Unit)));

    /// <summary>The figure or the ratio as it is printed: the table must not contradict itself.</summary>
    private double? Judged(Target target)
    {
        string? printed = target.Other is { } other ? Ratio(other) : Figure(Columns.First);
        return printed is null ? null : double.Parse(printed, NumberStyles.Number, CultureInfo.InvariantCulture);
    }

    private string? Ratio(string other)
    {
        if (!_samples.TryGetValue(Columns.First, out List<double>? own) || !_samples.TryGetValue(other, out List<double>? others))
            return null;

        // What was measured in the same round had the same weather.
        double ratio = Statistics.Median(own.Zip(others, (a, b) => a / b));
        return ratio.ToString("0.###", CultureInfo.InvariantCulture);
    }
}
