using System.Diagnostics;
using Moshpit.Benchmarks.EndToEnd;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Compare;

/// <summary>What several rows of <c>compare</c> measure, for other servers or other peers.</summary>
/// <param name="scale">How much is done.</param>
/// <param name="binary">A published moshpit, for its memory; null: the benchmarks' own child process.</param>
internal sealed class Measurements(CompareScale scale, FileInfo? binary)
{
    private const int PublishingWindow = 64;

    /// <summary>Enough that what publishing needs is compiled before memory is read.</summary>
    private const int CompilingMessages = 4000;

    /// <summary>Warms a server up, and does a run that only counts deliveries, between two that check them.</summary>
    public (RunResult Result, ServerUsage Usage) WarmUpAndMeasure(ServerRig rig, RunPlan plan)
    {
        rig.WarmUp(plan, scale.WarmupShare);
        return rig.Measure(plan with { Duration = scale.Measured });
    }

    /// <summary>A run of broadcasts to the peers of <paramref name="rig"/>, in deliveries.</summary>
    public MeasuredRun Broadcast(ServerRig rig, int window)
    {
        (RunResult result, ServerUsage usage) = WarmUpAndMeasure(rig, new RunPlan { Window = window });
        return new MeasuredRun(result.Delivered, result.Elapsed, usage);
    }

    /// <summary>Crowds of plain peers join a channel.</summary>
    public MeasuredRun Joins(ServerKind kind)
    {
        using var rig = ServerRig.StartBroadcast(kind, 1);
        return Repeat(() => ComeAndGo(rig));
    }

    /// <summary>Crowds of session peers that were cut come back to a channel.</summary>
    public MeasuredRun Resumes()
    {
        using var crowds = ResumeCrowds.Start(scale.CrowdSize);
        return Repeat(() =>
        {
            crowds.Cut();
            crowds.Resume();
            MeasuredRun run = crowds.ReadRun();
            crowds.Check();
            return run;
        });
    }

    /// <summary>The bytes that the server's memory grows by from the first of many peers to the last.</summary>
    public long Growth(Dialect dialect, int channels) => Growth(dialect, channels, scale.ManyPeers);

    /// <summary>The bytes that the server's memory grows by from the first of many channels of one plain peer each to the last.</summary>
    public long ChannelGrowth() => Growth(new MoshpitDialect(), scale.HistoryChannels, scale.HistoryChannels);

    /// <summary>
    /// The bytes that the server's memory grows by from the first channel with a history to the last, less those of the events. In each
    /// channel there is one session peer.
    /// </summary>
    public long HistoryGrowth()
    {
        int channels = scale.HistoryChannels;
        using ServerRig rig = StartWithOnePeer(new SessionDialect(), channels);
        var plan = new RunPlan { Window = PublishingWindow, Size = scale.HistorySize };
        using var compiling = new Swarm(rig.Swarm.Server, new SessionDialect(), channels: 1);
        compiling.Join(1);
        compiling.Run(plan with { Messages = CompilingMessages }).RequireFaultless();
        long before = ReadSettledBytes(rig.Server, scale.HistorySettled);
        rig.Swarm.Join(channels - 1);
        rig.Swarm.Run(plan with { Messages = (long)channels * scale.HistoryMessages }).RequireFaultless();
        long growth = ReadSettledBytes(rig.Server, scale.HistorySettled) - before;

        // All of the history must still be there, or its memory means nothing.
        new Outage(rig.Swarm).ReplayAll(scale.HistoryMessages);
        return growth - (long)channels * scale.HistoryMessages * rig.Swarm.EventLength;
    }

    private long Growth(Dialect dialect, int channels, int peers)
    {
        using ServerRig rig = StartWithOnePeer(dialect, channels);
        long before = rig.Server.ReadResidentBytes();
        rig.Swarm.Join(peers - 1);
        long growth = ReadSettledBytes(rig.Server, scale.Settled) - before;

        // The streams must be alive, or their memory means nothing.
        rig.CheckAllHear(peers);
        return growth;
    }

    private ServerRig StartWithOnePeer(Dialect dialect, int channels)
    {
        ServerRig rig = ServerRig.Start(ChildServer.StartMoshpit(binary), dialect, channels, peers: 1, publishers: 1);
        rig.Server.WaitUntilQuiet();
        return rig;
    }

    private static long ReadSettledBytes(ChildServer server, TimeSpan settled)
    {
        server.WaitUntilQuiet();

        // The program collects what joining left behind once it is calm.
        Thread.Sleep(settled);
        return server.ReadResidentBytes();
    }

    /// <summary>Peers join, hear a message, and leave; what their joins cost.</summary>
    private MeasuredRun ComeAndGo(ServerRig rig)
    {
        ServerUsage before = rig.Server.ReadUsage();
        long began = Stopwatch.GetTimestamp();
        rig.Swarm.Join(scale.CrowdSize);
        TimeSpan elapsed = Stopwatch.GetElapsedTime(began);
        ServerUsage usage = rig.Server.ReadUsage() - before;
        rig.CheckAllHear(scale.CrowdSize + 1);
        rig.Swarm.Leave(owners: false);
        rig.Server.WaitUntilQuiet();
        return new MeasuredRun(scale.CrowdSize, elapsed, usage);
    }

    /// <summary>Repeats <paramref name="crowd"/> until the server is warm, and then so often that the sum is measured well.</summary>
    private MeasuredRun Repeat(Func<MeasuredRun> crowd)
    {
        long began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began) < scale.CrowdWarmup)
            crowd();
        MeasuredRun sum = crowd();
        for (int i = 1; i < scale.Crowds; i++)
            sum += crowd();
        return sum;
    }
}
