using System.ComponentModel;
using System.Net.Sockets;
using Moshpit.Benchmarks.Load;

namespace Moshpit.Benchmarks.Reconnects;

/// <summary>
/// A plain peer in a channel of its own and a publisher that speaks to it on a schedule. Both run on a thread of their own, so that what
/// holds up other peers of the load holds up none of their messages.
/// </summary>
internal sealed class Bystander : IDisposable
{
    private const double MessagesPerSecond = 200;

    private readonly Swarm _swarm;
    private CancellationTokenSource? _stop;
    private Thread? _thread;
    private RunResult? _result;
    private Exception? _failure;

    public Bystander(LoadTarget server)
    {
        _swarm = new Swarm(server, new MoshpitDialect(), channels: 1);
        _swarm.Join(1);
    }

    /// <summary>Publishes until <see cref="End"/>.</summary>
    public void Begin()
    {
        _stop = new CancellationTokenSource();
        _thread = new Thread(Run) { IsBackground = true, Name = "bystander" };
        _thread.Start();
    }

    /// <summary>The longest time from when a message was due to be published until the peer had it.</summary>
    /// <exception cref="BenchmarkException">A message was lost or came out of order.</exception>
    public TimeSpan End()
    {
        Stop();
        if (_failure is not null)
            throw new BenchmarkException($"A peer of another channel failed: {_failure.Message}");
        long nanoseconds = _result!.RequireFaultless().Latency!.GetValueAtPercentile(100);
        return TimeSpan.FromMicroseconds(nanoseconds / 1e3);
    }

    public void Dispose()
    {
        Stop();
        _swarm.Dispose();
    }

    private void Stop()
    {
        _stop?.Cancel();
        _thread?.Join();
        _stop?.Dispose();
        (_stop, _thread) = (null, null);
    }

    private void Run()
    {
        try
        {
            _result = _swarm.Run(new RunPlan { Rate = MessagesPerSecond, RecordLatency = true, Stop = _stop!.Token });
        }
        catch (Exception e) when (e is BenchmarkException or SocketException or Win32Exception)
        {
            _failure = e;
        }
    }
}
