using System.Globalization;
using Moshpit.Benchmarks.Compare;

namespace Moshpit.Benchmarks.Clients;

/// <summary>A line of the table of <c>client</c>: one figure, round by round.</summary>
/// <param name="Title">What is measured.</param>
/// <param name="Unit">Of the figure.</param>
/// <param name="Format">How it is written.</param>
/// <param name="Target">What the figure must be; null: it is only shown.</param>
internal sealed record ClientRow(string Title, string Unit, string Format, Target? Target = null)
{
    private readonly List<double> _samples = [];

    /// <summary>The head of the table that these are the lines of.</summary>
    public static string MarkdownHead => "| what | median | target |\n|---|---:|---|";

    public void Add(double value) => _samples.Add(value);

    /// <summary>As cells of a Markdown table. The figure is judged as it is printed: the table must not contradict itself.</summary>
    public string ToMarkdown()
    {
        string figure = Statistics.Median(_samples).ToString(Format, CultureInfo.InvariantCulture);
        double printed = double.Parse(figure, NumberStyles.Number, CultureInfo.InvariantCulture);
        return $"| {Title} | {figure}{(Unit.Length == 0 ? "" : " " + Unit)} | {Target?.Judge(printed, Unit) ?? "none"} |";
    }
}
