using BenchmarkDotNet.Attributes;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>
/// One channel, many peers on real sockets. The mean is the time of one message, from its POST until all peers have it, divided
/// by how many share it.
/// </summary>
[EndToEnd("delivery", "deliveries")]
public class BroadcastBenchmarks
{
    /// <summary>Of one run. With fewer, a run of window 64 is little else than its beginning and its end.</summary>
    private const int Messages = 512;

    private ServerRig? _rig;
    private ServerUsage _before;
    private long _delivered;
    private TimeSpan _elapsed;
    private string _method = "";
    private RunPlan _plan = new();

    [Params(1000)]
    public int Peers { get; set; }

    /// <summary>Messages published and not yet delivered to all peers.</summary>
    [Params(1, 64)]
    public int Window { get; set; }

    [GlobalSetup(Target = nameof(Moshpit))]
    public void StartMoshpit() => Start(ServerKind.Moshpit, nameof(Moshpit));

    [GlobalSetup(Target = nameof(Kestrel))]
    public void StartKestrel() => Start(ServerKind.Kestrel, nameof(Kestrel));

    [GlobalSetup(Target = nameof(BareLoop))]
    public void StartBareLoop() => Start(ServerKind.Bare, nameof(BareLoop));

    [GlobalSetup(Target = nameof(CFloor))]
    public void StartCFloor() => Start(ServerKind.Floor, nameof(CFloor));

    [IterationSetup]
    public void ReadUsage()
    {
        _delivered = 0;
        _elapsed = TimeSpan.Zero;
        _before = _rig!.Server.ReadUsage();
    }

    [Benchmark(OperationsPerInvoke = Messages)]
    public void Moshpit() => Run();

    [Benchmark(OperationsPerInvoke = Messages, Baseline = true)]
    public void Kestrel() => Run();

    [Benchmark(OperationsPerInvoke = Messages)]
    public void BareLoop() => Run();

    [Benchmark(OperationsPerInvoke = Messages)]
    public void CFloor() => Run();

    [IterationCleanup]
    public void AddFigures()
    {
        ServerUsage usage = _rig!.Server.ReadUsage() - _before;
        _rig.Swarm.Check(_plan);
        Figures.Add(typeof(BroadcastBenchmarks), _method, $"{Peers},{Window}", new MeasuredRun(_delivered, _elapsed, usage));
    }

    [GlobalCleanup]
    public void Stop() => _rig?.Dispose();

    private void Start(ServerKind kind, string method)
    {
        _method = method;
        _rig = ServerRig.StartBroadcast(kind, Peers);
        _plan = new RunPlan { Messages = Messages, Window = Window, CountOnly = true };
        _rig.WarmUp(_plan);
        _rig.Swarm.Check(_plan);
    }

    private void Run()
    {
        RunResult result = _rig!.Swarm.Run(_plan).RequireFaultless();
        _delivered += result.Delivered;
        _elapsed += result.Elapsed;
    }
}
