namespace Moshpit.Benchmarks.Recoveries;

/// <summary>What happens to the way between a client and its server.</summary>
internal enum Scenario
{
    /// <summary>The connections are reset. New ones work at once.</summary>
    Killed,

    /// <summary>Nothing passes for some time, and nothing is lost.</summary>
    Suspended,

    /// <summary>The connections deliver nothing more, without a sign of it. New ones work at once.</summary>
    HalfOpen,

    /// <summary>The server is killed, and another one starts a second later.</summary>
    Restarted,

    /// <summary>The connections are reset, and new ones are refused for some time.</summary>
    Refused,
}

/// <summary>How long things last.</summary>
/// <param name="Suspended">A suspension.</param>
/// <param name="Refused">A time in which connections are refused.</param>
/// <param name="Bound">A client that has not recovered by then does not count as recovered.</param>
internal sealed record RecoveryTimes(TimeSpan Suspended, TimeSpan Refused, TimeSpan Bound)
{
    public static readonly RecoveryTimes Standard = new(TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(120));

    /// <summary>Shows that it works; the figures mean nothing.</summary>
    public static readonly RecoveryTimes Trial = new(TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(0.3), TimeSpan.FromSeconds(4));
}
