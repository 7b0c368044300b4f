using Moshpit.Benchmarks.Load;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The vertical axis of the plot of <c>load</c>.</summary>
public sealed class PlotAxisTests
{
    [Test]
    public void The_axis_ends_less_than_a_fifth_above_the_largest_value_and_not_below_it()
    {
        for (double largest = 0.0011; largest < 120_000; largest *= 1.0137)
        {
            var axis = new PlotAxis(largest);
            Assert.That(axis.Top, Is.InRange(largest, largest * 1.2), $"{largest}");
            Assert.That(axis.Steps, Is.InRange(5, 10), $"{largest}");
        }
    }

    [TestCase(5.01, new[] { 0, 1, 2, 3, 4, 5, 6.0 })]
    [TestCase(0.3, new[] { 0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3 })]
    [TestCase(41.5, new[] { 0, 5, 10, 15, 20, 25, 30, 35, 40, 45.0 })]
    [TestCase(100, new[] { 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100.0 })]
    [TestCase(120, new[] { 0, 20, 40, 60, 80, 100, 120.0 })]
    [TestCase(201, new[] { 0, 25, 50, 75, 100, 125, 150, 175, 200, 225.0 })]
    public void Ticks_are_round_numbers(double largest, double[] ticks)
    {
        var axis = new PlotAxis(largest);
        Assert.That(Enumerable.Range(0, axis.Steps + 1).Select(axis.Tick), Is.EqualTo(ticks));
    }
}
