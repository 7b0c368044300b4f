using System.Diagnostics;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.EndToEnd;

/// <summary>
/// Session peers of one channel that are cut and resume, a crowd at a time. The crowds take turns, because a session may have ten streams
/// within ten seconds.
/// </summary>
internal sealed class ResumeCrowds : IDisposable
{
    /// <summary>As many as join in <see cref="JoinBenchmarks"/>.</summary>
    public const int DefaultSize = 2000;

    private const int Crowds = 4;

    private readonly ServerRig _rig;
    private readonly Outage _outage;
    private readonly int _size;
    private ServerUsage _before;
    private TimeSpan _elapsed;

    private ResumeCrowds(ServerRig rig, int size)
    {
        _rig = rig;
        _size = size;
        _outage = new Outage(rig.Swarm);
    }

    /// <summary>Starts a server with crowds of <paramref name="size"/> peers.</summary>
    public static ResumeCrowds Start(int size) =>
        new(ServerRig.Start(ChildServer.Start(ServerKind.Moshpit), new SessionDialect(), 1, 1 + Crowds * size, 1), size);

    /// <summary>Cuts the next crowd, and waits until the server has done with it.</summary>
    public void Cut()
    {
        _outage.Cut(_size, owners: false);
        _rig.Server.WaitUntilQuiet();
        _before = _rig.Server.ReadUsage();
    }

    /// <summary>Has the crowd come back, as many peers at a time as join.</summary>
    public void Resume()
    {
        long began = Stopwatch.GetTimestamp();
        _outage.Resume(atOnce: false);
        _elapsed = Stopwatch.GetElapsedTime(began);
    }

    /// <summary>What the last <see cref="Resume"/> cost.</summary>
    public MeasuredRun ReadRun() => new(_size, _elapsed, _rig.Server.ReadUsage() - _before);

    /// <summary>All hear a message, once.</summary>
    public void Check() => _rig.CheckAllHear(1 + Crowds * _size);

    public void Dispose() => _rig.Dispose();
}
