using System.Diagnostics;
using System.Runtime;
using Moshpit.Benchmarks.EndToEnd;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Reconnects;

/// <summary>
/// Many session peers that are all reset at once, miss messages, and come back at once, while a <see cref="Bystander"/> measures how long
/// messages of another channel take.
/// </summary>
internal sealed class ReconnectScene : IDisposable
{
    /// <summary>Bytes of data in each message.</summary>
    public const int MessageSize = 64;

    /// <summary>More than the load allocates from the first reset until all are whole.</summary>
    private const long AllocationMeanwhile = 200 * 1024 * 1024;

    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(1);

    private readonly ServerRig _rig;
    private readonly ReconnectPlan _plan;
    private readonly Outage _outage;
    private readonly Bystander _bystander;

    private ReconnectScene(ServerRig rig, ReconnectPlan plan)
    {
        _rig = rig;
        _plan = plan;
        _outage = new Outage(rig.Swarm);
        _bystander = new Bystander(rig.Swarm.Server);
    }

    /// <summary>Has the peers join a server, and cuts them once, so that everything that follows has been compiled.</summary>
    /// <param name="server">Ends with the scene.</param>
    /// <param name="plan">How many peers.</param>
    public static ReconnectScene Start(ChildServer server, ReconnectPlan plan)
    {
        ServerRig rig = ServerRig.Start(server, new SessionDialect(), plan.Channels, plan.Peers, publishers: 1);
        try
        {
            var scene = new ReconnectScene(rig, plan);
            scene.Run();
            return scene;
        }
        catch
        {
            rig.Dispose();
            throw;
        }
    }

    /// <summary>Cuts all peers and has them come back.</summary>
    /// <exception cref="BenchmarkException">A peer is not whole, or the other channel lost a message.</exception>
    public ReconnectResult Run()
    {
        _rig.Server.WaitUntilQuiet();
        _bystander.Begin();
        Thread.Sleep(Rest);
        TimeSpan longestBefore = _bystander.End();

        // A collection in this process would hold up the bystander, and would pass for a delay of the server.
        GC.TryStartNoGCRegion(AllocationMeanwhile);
        ServerUsage before = _rig.Server.ReadUsage();
        _bystander.Begin();
        long began = Stopwatch.GetTimestamp();
        _outage.Cut(_plan.Peers, owners: true);
        TimeSpan back = _outage.Return(_plan.Missed, MessageSize);
        TimeSpan whole = Stopwatch.GetElapsedTime(began);
        TimeSpan longest = _bystander.End();
        ServerUsage usage = _rig.Server.ReadUsage() - before;
        if (GCSettings.LatencyMode != GCLatencyMode.NoGCRegion)
            throw new BenchmarkException("The load collected its own garbage while it measured delays.");
        GC.EndNoGCRegion();

        // Each hears it once, on the stream that it came back by.
        _rig.CheckAllHear(_plan.Peers);
        return new ReconnectResult
        {
            Whole = whole, Return = back, Cpu = usage.Cpu, LongestWait = longest, LongestWaitBefore = longestBefore,
        };
    }

    public void Dispose()
    {
        _bystander.Dispose();
        _rig.Dispose();
    }
}
