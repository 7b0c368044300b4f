using System.Globalization;

namespace Moshpit.Tests.Soak;

/// <summary>How long soaks take, and what repeats the choices of a run, as far as scheduling allows.</summary>
internal static class SoakSettings
{
    private const int DefaultSeconds = 5;

    /// <summary><c>MOSHPIT_SOAK_SECONDS</c>.</summary>
    public static int Seconds => Read("MOSHPIT_SOAK_SECONDS") ?? DefaultSeconds;

    /// <summary><c>MOSHPIT_SOAK_SEED</c>.</summary>
    public static int Seed => Read("MOSHPIT_SOAK_SEED") ?? Environment.TickCount;

    private static int? Read(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
