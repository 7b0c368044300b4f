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
    private long _messages;
    private TimeSpan _elapsed;
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
    public void ReadUsage()
    {
        _messages = 0;
        _elapsed = TimeSpan.Zero;
        _before = _rig!.Server.ReadUsage();
    }

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
        _rig.Swarm.Check(_plan);
        Figures.Add(typeof(DirectMessageBenchmarks), _method, $"{Window}", new MeasuredRun(_messages, _elapsed, usage));
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

    private void Run()
    {
        RunResult result = _rig!.Swarm.Run(_plan).RequireFaultless();
        _messages += result.Messages;
        _elapsed += result.Elapsed;
    }
}
