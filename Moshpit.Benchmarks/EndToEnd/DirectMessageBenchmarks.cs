using BenchmarkDotNet.Attributes;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>
/// A thousand channels of two, where one peer speaks to the other, over many kept-alive connections: POST in, delivery out, reply out.
/// Kestrel answers the same POSTs, without even reading what they say, and delivers nothing.
/// </summary>
[EndToEnd("message", "messages")]
public class DirectMessageBenchmarks
{
    private const int Messages = 16384;
    private const int Channels = 1000;

    private ServerRig? _rig;
    private ServerUsage _before;
    private RunResult? _result;
    private string _method = "";
    private RunPlan _plan = new();

    /// <summary>Messages published and not yet delivered and answered.</summary>
    [Params(64)]
    public int Window { get; set; }

    [GlobalSetup(Target = nameof(Moshpit))]
    public void StartMoshpit() => Start(ServerKind.Moshpit, nameof(Moshpit));

    [GlobalSetup(Target = nameof(KestrelAnswersOnly))]
    public void StartKestrel() => Start(ServerKind.Kestrel, nameof(KestrelAnswersOnly));

    [GlobalSetup(Target = nameof(BareLoop))]
    public void StartBareLoop() => Start(ServerKind.Bare, nameof(BareLoop));

    [GlobalSetup(Target = nameof(CFloor))]
    public void StartCFloor() => Start(ServerKind.Floor, nameof(CFloor));

    [IterationSetup]
    public void ReadUsage() => _before = _rig!.Server.ReadUsage();

    [Benchmark(OperationsPerInvoke = Messages)]
    public void Moshpit() => Run();

    [Benchmark(OperationsPerInvoke = Messages, Baseline = true)]
    public void KestrelAnswersOnly() => Run();

    [Benchmark(OperationsPerInvoke = Messages)]
    public void BareLoop() => Run();

    [Benchmark(OperationsPerInvoke = Messages)]
    public void CFloor() => Run();

    [IterationCleanup]
    public void AddFigures()
    {
        ServerUsage usage = _rig!.Server.ReadUsage() - _before;
        RunResult result = _result!.RequireFaultless();
        _rig.Swarm.Check(_plan);
        Figures.Add(typeof(DirectMessageBenchmarks), _method, $"{Window}", new MeasuredRun(result.Messages, result.Elapsed, usage));
    }

    [GlobalCleanup]
    public void Stop() => _rig?.Dispose();

    private void Start(ServerKind kind, string method)
    {
        _method = method;
        _rig = ServerRig.StartDirect(kind, Channels);
        _plan = ServerRig.AdaptDirect(kind, new RunPlan { Messages = Messages, Window = Window, CountOnly = true });
        _rig.WarmUp(_plan);
        _rig.Swarm.Check(_plan);
    }

    private void Run() => _result = _rig!.Swarm.Run(_plan);
}
