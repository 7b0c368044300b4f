using System.Globalization;

namespace Moshpit.Benchmarks.Compare;

/// <summary>A bound that a figure must keep, itself or as a multiple of another column's figure.</summary>
internal sealed record Target
{
    private readonly bool _isAtMost;
    private readonly double _bound;

    private Target(bool isAtMost, double bound, string? other)
    {
        _isAtMost = isAtMost;
        _bound = bound;
        Other = other;
    }

    /// <summary>The column whose figure is multiplied; null: the bound is absolute.</summary>
    public string? Other { get; }

    /// <summary>The figure must not be more than <paramref name="bound"/>.</summary>
    public static Target AtMost(double bound) => new(isAtMost: true, bound, null);

    /// <summary>The figure must not be more than <paramref name="factor"/> times that of <paramref name="other"/>.</summary>
    public static Target AtMost(double factor, string other) => new(isAtMost: true, factor, other);

    /// <summary>The figure must not be less than <paramref name="bound"/>.</summary>
    public static Target AtLeast(double bound) => new(isAtMost: false, bound, null);

    /// <summary>The figure must not be less than <paramref name="factor"/> times that of <paramref name="other"/>.</summary>
    public static Target AtLeast(double factor, string other) => new(isAtMost: false, factor, other);

    /// <summary>The target and whether it is met.</summary>
    /// <param name="value">The figure, or its ratio to that of <see cref="Other"/>; null: not measured.</param>
    /// <param name="unit">The unit of the figure.</param>
    public string Judge(double? value, string unit)
    {
        string bound = Other is { } other ? $"{Text(_bound)} × {other}" : Join(Text(_bound), unit);
        return $"{(_isAtMost ? "≤" : "≥")} {bound}: {Verdict(value, unit)}";
    }

    private string Verdict(double? value, string unit)
    {
        if (value is not { } measured)
            return "not measured";
        double excess = _isAtMost ? measured - _bound : _bound - measured;
        if (excess <= 0)
            return "met";

        // There is no percentage of 0. A NaN is not met either.
        return "MISSED by " + (_bound == 0 ? Join(Text(excess), unit) : (excess / _bound).ToString("0.0 %", CultureInfo.InvariantCulture));
    }

    private static string Join(string number, string unit) => unit.Length == 0 ? number : $"{number} {unit}";

    private static string Text(double number) => number.ToString("#,0.##", CultureInfo.InvariantCulture);
}
