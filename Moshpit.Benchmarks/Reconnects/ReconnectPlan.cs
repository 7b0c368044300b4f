namespace Moshpit.Benchmarks.Reconnects;

/// <summary>What is cut, and what it misses.</summary>
/// <param name="Peers">Session peers in all.</param>
/// <param name="Channels">That they are spread over.</param>
/// <param name="Missed">Messages published to each channel while they are away.</param>
internal sealed record ReconnectPlan(int Peers, int Channels, int Missed)
{
    /// <summary>That of the project's target.</summary>
    public static ReconnectPlan Standard { get; } = new(Peers: 10_000, Channels: 1, Missed: 16);
}
