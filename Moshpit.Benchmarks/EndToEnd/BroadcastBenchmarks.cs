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
    private const int Messages = 256;
    private const int CheckedMessages = 64;

    private ServerRig? _rig;
    private ServerUsage _before;
    private RunResult? _result;
    private string _method = "";

    [Params(1000)]
    public int Peers { get; set; }

    /// <summary>Messages published and not yet delivered to everybody.</summary>
    [Params(1, 64)]
    public int Window { get; set; }

    [GlobalSetup(Target = nameof(Moshpit))]
    public void StartMoshpit() => Start(ServerKind.Moshpit, nameof(Moshpit));

    [GlobalSetup(Target = nameof(Kestrel))]
    public void StartKestrel() => Start(ServerKind.Kestrel, nameof(Kestrel));

    [GlobalSetup(Target = nameof(BareLoop))]
    public void StartBareLoop() => Start(ServerKind.Bare, nameof(BareLoop));

    [IterationSetup]
    public void ReadUsage() => _before = _rig!.Server.ReadUsage();

    [Benchmark(OperationsPerInvoke = Messages)]
    public void Moshpit() => Run();

    [Benchmark(OperationsPerInvoke = Messages, Baseline = true)]
    public void Kestrel() => Run();

    [Benchmark(OperationsPerInvoke = Messages)]
    public void BareLoop() => Run();

    [IterationCleanup]
    public void AddFigures()
    {
        ServerUsage usage = _rig!.Server.ReadUsage() - _before;
        RunResult result = _result!.RequireFaultless();
        Figures.Add(typeof(BroadcastBenchmarks), _method, $"{Peers},{Window}", new MeasuredRun(result.Delivered, result.Elapsed, usage));
    }

    [GlobalCleanup]
    public void Stop() => _rig?.Dispose();

    private void Start(ServerKind kind, string method)
    {
        _method = method;
        _rig = ServerRig.StartBroadcast(kind, Peers);
        RunResult check = _rig.Swarm.Run(new RunPlan { Messages = CheckedMessages, Window = Window }).RequireFaultless();
        if (check.Delivered != (long)CheckedMessages * Peers)
            throw new InvalidOperationException($"{check.Delivered} deliveries are not {CheckedMessages} times {Peers}.");
    }

    private void Run() => _result = _rig!.Swarm.Run(new RunPlan { Messages = Messages, Window = Window });
}
