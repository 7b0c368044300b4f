using Moshpit.Benchmarks.Compare;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The last column of the tables of <c>compare</c> and <c>client</c>.</summary>
public sealed class TargetTests
{
    [TestCase(1299.0, "met")]
    [TestCase(1300.0, "met")]
    [TestCase(1430.0, "MISSED by 10.0 %")]
    [TestCase(double.NaN, "MISSED by NaN")]
    [TestCase(null, "not measured")]
    public void A_figure_meets_a_bound_that_it_does_not_exceed(double? figure, string verdict)
    {
        Assert.That(Target.AtMost(1300).Judge(figure, "B"), Is.EqualTo($"≤ 1,300 B: {verdict}"));
    }

    [TestCase(501.0, "met")]
    [TestCase(500.0, "met")]
    [TestCase(450.0, "MISSED by 10.0 %")]
    public void A_figure_meets_a_bound_that_it_reaches(double figure, string verdict)
    {
        Assert.That(Target.AtLeast(500).Judge(figure, ""), Is.EqualTo($"≥ 500: {verdict}"));
    }

    [TestCase(41.0, "met")]
    [TestCase(40.0, "met")]
    [TestCase(38.0, "MISSED by 5.0 %")]
    [TestCase(null, "not measured")]
    public void A_ratio_meets_a_bound_that_it_reaches(double? ratio, string verdict)
    {
        Assert.That(Target.AtLeast(40, Columns.Floor).Judge(ratio, ""), Is.EqualTo($"≥ 40 × C floor: {verdict}"));
    }

    [TestCase(0.0, "met")]
    [TestCase(0.25, "MISSED by 0.25 B")]
    public void A_target_of_none_is_missed_by_an_amount(double figure, string verdict)
    {
        Assert.That(Target.AtMost(0).Judge(figure, "B"), Is.EqualTo($"≤ 0 B: {verdict}"));
    }

    [Test]
    public void A_row_judges_the_median_of_the_ratios_within_the_rounds()
    {
        var row = new Row("sends", "μs", "0.000", Target.AtMost(1.10, Columns.Floor), Target.AtLeast(2, Columns.Kestrel));
        double[][] rounds = [[1.05, 1], [2.4, 2], [3.3, 3]];
        foreach (double[] round in rounds)
        {
            row.Add(ServerKind.Moshpit, round[0]);
            row.Add(ServerKind.Floor, round[1]);
        }

        Assert.That(row.ToMarkdown(), Is.EqualTo(
            "| sends | 2.400 μs |  |  | 2.000 μs |  |  | 1.1 | ≤ 1.1 × C floor: met; ≥ 2 × Kestrel: not measured |"));
    }

    [Test]
    public void A_figure_is_judged_as_it_is_printed()
    {
        var row = new Row("memory", "B", "N0", Target.AtMost(1300));
        row.Add(ServerKind.Moshpit, 1300.4);
        Assert.That(row.ToMarkdown(), Does.Contain("| 1,300 B |").And.EndsWith("| ≤ 1,300 B: met |"));
    }

    [Test]
    public void A_row_of_one_figure_judges_its_median_as_it_is_printed()
    {
        var row = new Row("messages", "", "N0", Target.AtLeast(500)) { Columns = Columns.Median };
        double[] rounds = [900, 499.6, 17];
        foreach (double round in rounds)
            row.Add(round);
        Assert.That(row.ToMarkdown(), Is.EqualTo("| messages | 500 | ≥ 500: met |"));
    }

    [Test]
    public void A_row_without_a_target_says_so()
    {
        var row = new Row("joins", "ms", "0.0");
        row.Add(ServerKind.Moshpit, 1);
        Assert.That(row.ToMarkdown(), Does.EndWith("| none |"));
    }
}
