using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>A column of <see cref="Figures"/>.</summary>
internal sealed class FigureColumn(
    string name, string legend, int iterations, Func<MeasuredRun, double?> figure, Func<double, string> format)
    : IColumn
{
    public string Id => nameof(FigureColumn) + name;

    public string ColumnName => name;

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string Legend => legend;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) =>
        Figures.Median(benchmarkCase, iterations, figure) is { } value ? format(value) : "NA";

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;
}
