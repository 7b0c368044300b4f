using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>Peers that join one channel, each over a connection of its own. The mean is that of one, until it is in.</summary>
[EndToEnd("join", "joins", isLong: true)]
public class JoinBenchmarks
{
    /// <summary>
    /// Of one run, which takes about 200 ms. The owner is told of each peer that leaves, and the load does not read meanwhile. A moshpit
    /// would cut the owner if there were twice as many.
    /// </summary>
    private const int Joins = 2000;

    private ServerRig? _rig;
    private ServerUsage _before;
    private TimeSpan _elapsed;
    private string _method = "";

    [GlobalSetup(Target = nameof(Moshpit))]
    public void StartMoshpit() => Start(ServerKind.Moshpit, nameof(Moshpit));

    [GlobalSetup(Target = nameof(Kestrel))]
    public void StartKestrel() => Start(ServerKind.Kestrel, nameof(Kestrel));

    [GlobalSetup(Target = nameof(BareLoop))]
    public void StartBareLoop() => Start(ServerKind.Bare, nameof(BareLoop));

    [IterationSetup]
    public void ReadUsage() => _before = _rig!.Server.ReadUsage();

    [Benchmark(OperationsPerInvoke = Joins)]
    public void Moshpit() => Run();

    [Benchmark(OperationsPerInvoke = Joins, Baseline = true)]
    public void Kestrel() => Run();

    [Benchmark(OperationsPerInvoke = Joins)]
    public void BareLoop() => Run();

    [IterationCleanup]
    public void AddFigures()
    {
        ServerUsage usage = _rig!.Server.ReadUsage() - _before;
        CheckAndLeave();
        Figures.Add(typeof(JoinBenchmarks), _method, "", new MeasuredRun(Joins, _elapsed, usage));
    }

    [GlobalCleanup]
    public void Stop() => _rig?.Dispose();

    private void Start(ServerKind kind, string method)
    {
        _method = method;
        _rig = ServerRig.StartBroadcast(kind, 1);
        Run();
        CheckAndLeave();
    }

    private void Run()
    {
        long began = Stopwatch.GetTimestamp();
        _rig!.Swarm.Join(Joins);
        _elapsed = Stopwatch.GetElapsedTime(began);
    }

    /// <summary>
    /// All that joined hear a message. Then all but the owner go, and the server has done with them before the next is timed.
    /// </summary>
    private void CheckAndLeave()
    {
        _rig!.CheckAllHear(Joins + 1);
        _rig.Swarm.Leave(owners: false);
        _rig.Server.WaitUntilQuiet();
    }
}
