namespace Moshpit.Benchmarks.Load;

/// <summary>An axis from 0 with ticks at round numbers: the top is the first tick that is not below the largest value.</summary>
internal readonly record struct PlotAxis
{
    /// <summary>With at most that many steps, the top is less than 20 % above the largest value.</summary>
    private const int MostSteps = 10;

    private readonly decimal _step;

    /// <param name="largest">The largest value, more than 0.</param>
    public PlotAxis(double largest)
    {
        // Decimals, because a binary 0.1 times 3 is more than 0.3.
        decimal value = (decimal)largest;
        _step = RoundStep(value / MostSteps);
        Steps = (int)decimal.Ceiling(value / _step);
    }

    /// <summary>How many steps the axis has.</summary>
    public int Steps { get; }

    /// <summary>The value at its end.</summary>
    public double Top => Tick(Steps);

    /// <summary>The value at a step.</summary>
    public double Tick(int step) => (double)(_step * step);

    /// <summary>The least of 1, 2, 2.5 and 5 times a power of ten that is not less than <paramref name="least"/>.</summary>
    private static decimal RoundStep(decimal least)
    {
        decimal power = 1;
        while (power > least)
            power /= 10;
        while (power * 10 <= least)
            power *= 10;
        foreach (decimal factor in (ReadOnlySpan<decimal>)[1, 2, 2.5m, 5])
        {
            if (factor * power >= least)
                return factor * power;
        }

        return 10 * power;
    }
}
