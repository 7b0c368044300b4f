using Moshpit.Benchmarks.Reconnects;

namespace Moshpit.Benchmarks.Compare;

/// <summary>How much is done for a figure of <c>compare</c>.</summary>
internal sealed record CompareScale
{
    /// <summary>What the project's targets are for.</summary>
    public static CompareScale Full { get; } = new();

    /// <summary>As little as shows that everything works. The figures mean nothing.</summary>
    public static CompareScale Trial { get; } = new()
    {
        BroadcastPeers = 20,
        DirectChannels = 20,
        ManyPeers = 100,
        CrowdSize = 20,
        Crowds = 2,
        HistoryChannels = 20,
        Reconnect = new(Peers: 100, Channels: 1, Missed: 4),
        WarmupShare = 0.03,
        Warmup = TimeSpan.FromSeconds(0.1),
        CrowdWarmup = TimeSpan.FromSeconds(0.3),
        Measured = TimeSpan.FromSeconds(0.1),
        Settled = TimeSpan.FromSeconds(0.1),
        HistorySettled = TimeSpan.FromSeconds(0.1),
        LatencyMeasured = TimeSpan.FromSeconds(0.3),
    };

    /// <summary>Peers of one channel that hear broadcasts.</summary>
    public int BroadcastPeers { get; private init; } = 1000;

    /// <summary>Channels of two in which one peer speaks to the other.</summary>
    public int DirectChannels { get; private init; } = 1000;

    /// <summary>As many peers as a process may hold, or nearly.</summary>
    public int ManyPeers { get; private init; } = 15_000;

    /// <summary>Peers that join or come back together.</summary>
    public int CrowdSize { get; private init; } = 1000;

    /// <summary>How many times they do.</summary>
    public int Crowds { get; private init; } = 10;

    /// <summary>Channels that keep a history.</summary>
    public int HistoryChannels { get; private init; } = 5000;

    /// <summary>Messages that each of them keeps.</summary>
    public int HistoryMessages { get; private init; } = 16;

    /// <summary>Bytes of data in each of these messages.</summary>
    public int HistorySize { get; private init; } = 1000;

    /// <summary>Session peers that are all cut at once.</summary>
    public ReconnectPlan Reconnect { get; private init; } = ReconnectPlan.Standard;

    /// <summary>The part of its usual time that a server is warmed up for.</summary>
    public double WarmupShare { get; private init; } = 1;

    /// <summary>How long messages are published at a rate, or to very many peers, before that is measured.</summary>
    public TimeSpan Warmup { get; private init; } = TimeSpan.FromSeconds(1.5);

    /// <summary>How long crowds come and go before that is measured.</summary>
    public TimeSpan CrowdWarmup { get; private init; } = TimeSpan.FromSeconds(6);

    /// <summary>How long throughput is measured.</summary>
    public TimeSpan Measured { get; private init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a server is left alone before its memory is read.</summary>
    public TimeSpan Settled { get; private init; } = TimeSpan.FromSeconds(4);

    /// <summary>As <see cref="Settled"/>, for what a server moves together every five seconds and collects afterwards.</summary>
    public TimeSpan HistorySettled { get; private init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long latencies are recorded.</summary>
    public TimeSpan LatencyMeasured { get; private init; } = TimeSpan.FromSeconds(5);
}
