using BenchmarkDotNet.Attributes;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>
/// Session peers of one channel that lost their connections and resume, each over a new one. The mean is that of one, until it has its
/// first event. None has missed a message. The owner stays and is told of each.
/// </summary>
[EndToEnd("resume", "resumes", isLong: true)]
public class ResumeBenchmarks
{
    private ResumeCrowds? _crowds;

    [GlobalSetup]
    public void Start()
    {
        _crowds = ResumeCrowds.Start(ResumeCrowds.DefaultSize);
        CutAndReadUsage();
        Moshpit();
        _crowds.Check();
    }

    [IterationSetup]
    public void CutAndReadUsage() => _crowds!.Cut();

    [Benchmark(OperationsPerInvoke = ResumeCrowds.DefaultSize)]
    public void Moshpit() => _crowds!.Resume();

    [IterationCleanup]
    public void AddFigures()
    {
        Figures.Add(typeof(ResumeBenchmarks), nameof(Moshpit), "", _crowds!.ReadRun());
        _crowds.Check();
    }

    [GlobalCleanup]
    public void Stop() => _crowds?.Dispose();
}
