using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>A server under test in its own process, alone on the machine but for the load, whose peers have joined.</summary>
internal sealed class ServerRig : IDisposable
{
    private const int DirectPublishers = 64;
    private const int CheckWindow = 64;

    private static readonly TimeSpan CheckedWarmup = TimeSpan.FromSeconds(1.5);

    /// <summary>On a core that is busy, a just-in-time compiled server takes that long to become as fast as it will be.</summary>
    private static readonly TimeSpan CountedWarmup = TimeSpan.FromSeconds(6);

    private ServerRig(ChildServer server, Swarm swarm)
    {
        Server = server;
        Swarm = swarm;
    }

    public ChildServer Server { get; }

    public Swarm Swarm { get; }

    /// <summary>One channel, which <paramref name="peers"/> listen to and one connection posts to.</summary>
    public static ServerRig StartBroadcast(ServerKind kind, int peers) =>
        Start(ChildServer.Start(kind), SpeaksMoshpit(kind) ? new MoshpitDialect() : PathDialect.Broadcast, 1, peers, 1);

    /// <summary>
    /// Many channels of two, where one speaks to the other, posted to by many connections. Kestrel gets the same POSTs and answers them,
    /// but no peer listens there.
    /// </summary>
    public static ServerRig StartDirect(ServerKind kind, int channels) => kind switch
    {
        ServerKind.Bare => Start(ChildServer.Start(kind), PathDialect.Direct, channels, channels * 2, DirectPublishers),
        ServerKind.Kestrel => Start(ChildServer.Start(kind), new UnheardDialect(), channels, 0, DirectPublishers),
        _ => StartDirect(ChildServer.Start(kind), channels),
    };

    /// <summary>The same on a moshpit that runs already.</summary>
    public static ServerRig StartDirect(ChildServer server, int channels) =>
        Start(server, new MoshpitDialect(), channels, channels * 2, DirectPublishers);

    /// <summary>As <paramref name="plan"/> says, where no peer listens, and so none can be addressed.</summary>
    public static RunPlan AdaptDirect(ServerKind kind, RunPlan plan) => plan with { Direct = kind != ServerKind.Kestrel };

    /// <summary>One channel of a server that runs already.</summary>
    public static ServerRig Start(ChildServer server, Dialect dialect, int channels, int peers, int publishers)
    {
        var rig = new ServerRig(server, new Swarm(LoadTarget.Of(server.EndPoint), dialect, channels, publishers));
        try
        {
            rig.Swarm.Join(peers);
            return rig;
        }
        catch
        {
            rig.Dispose();
            throw;
        }
    }

    /// <summary>Does a run, and fails unless every peer got every message; in order, where <paramref name="plan"/> lets look.</summary>
    public (RunResult Result, ServerUsage Usage) Run(RunPlan plan)
    {
        ServerUsage before = Server.ReadUsage();
        RunResult result = Swarm.Run(plan).RequireFaultless();
        return (result, Server.ReadUsage() - before);
    }

    /// <summary>
    /// Has everything compiled well that <paramref name="plan"/> needs: under the check first, which takes its time too, then as it is
    /// measured.
    /// </summary>
    /// <param name="plan">What is going to be measured.</param>
    /// <param name="share">The part of the usual time.</param>
    public void WarmUp(RunPlan plan, double share = 1)
    {
        plan = plan with { Messages = long.MaxValue };
        Run(plan with { Duration = CheckedWarmup * share, CountOnly = false });
        Run(plan with { Duration = CountedWarmup * share, CountOnly = true });
    }

    /// <summary>Does a run that only counts deliveries, between two that check them.</summary>
    public (RunResult Result, ServerUsage Usage) Measure(RunPlan plan)
    {
        Swarm.Check(plan);
        (RunResult Result, ServerUsage Usage) measured = Run(plan with { CountOnly = true });
        Swarm.Check(plan);
        return measured;
    }

    /// <summary>A message to each channel reaches that many peers.</summary>
    /// <exception cref="BenchmarkException">It does not, or it reaches one twice.</exception>
    public void CheckAllHear(int peers)
    {
        RunResult check = Swarm.Run(new RunPlan { Messages = Swarm.Channels.Length, Window = CheckWindow }).RequireFaultless();
        if (check.Delivered != peers)
            throw new BenchmarkException($"{check.Delivered} peers heard a message, not {peers}.");
    }

    public void Dispose()
    {
        Swarm.Dispose();
        Server.Dispose();
    }

    private static bool SpeaksMoshpit(ServerKind kind) => kind is ServerKind.Moshpit or ServerKind.Floor;
}
