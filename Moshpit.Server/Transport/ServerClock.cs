using Microsoft.Extensions.Logging;

namespace Moshpit.Server.Transport;

/// <summary>
/// A coarse clock that costs a memory read, and what must happen when time passes: <see cref="Tick"/> is raised once a
/// <see cref="Period"/>, so nothing needs a timer of its own.
/// </summary>
/// <remarks>
/// One tick moves the clock by <see cref="MostPeriods"/> periods at most. A process that was stopped (SIGSTOP, a frozen container) could
/// not read its sockets meanwhile, and its first tick afterwards comes before it reads them. Without the bound, clients whose requests
/// wait there would be refused for being slow. A tick that a busy machine delays by a period stays within the bound.
/// </remarks>
internal sealed class ServerClock : IDisposable
{
    /// <summary>Periods by which one tick moves the clock at most.</summary>
    private const int MostPeriods = 2;

    private static readonly TimeSpan ShortestPeriod = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan LongestPeriod = TimeSpan.FromSeconds(1);

    private readonly ILogger _logger;
    private readonly Lock _moving = new();
    private long _moved;
    private TimeSpan _elapsed;
    private ITimer? _timer;
    private long _now;
    private int _ticking;

    /// <param name="time">The source of time.</param>
    /// <param name="finest">The shortest timeout that is to be kept; the clock ticks four times as often, within bounds.</param>
    /// <param name="logger">Told when a tick fails.</param>
    public ServerClock(TimeProvider time, TimeSpan finest, ILogger logger)
    {
        _logger = logger;
        Time = time;
        _moved = time.GetTimestamp();
        TimeSpan quarter = finest / 4;
        Period = quarter < ShortestPeriod ? ShortestPeriod : quarter > LongestPeriod ? LongestPeriod : quarter;
    }

    /// <summary>Raised on a pool thread after <see cref="Now"/> moved; never twice at once.</summary>
    public event Action? Tick;

    /// <summary>Where its time comes from, for what must be finer.</summary>
    public TimeProvider Time { get; }

    /// <summary>How often the clock moves.</summary>
    public TimeSpan Period { get; }

    /// <summary>
    /// Milliseconds since the start, as of the last tick. Of a time in which the process did not run, only a part counts.
    /// </summary>
    public long Now => Volatile.Read(ref _now);

    /// <summary>The first <see cref="Now"/> at which <paramref name="timeout"/> has certainly passed.</summary>
    public long DeadlineAfter(TimeSpan timeout) =>
        timeout == Timeout.InfiniteTimeSpan ? long.MaxValue : Now + (long)Math.Ceiling((timeout + Period).TotalMilliseconds);

    public void Start() => _timer = Time.CreateTimer(static clock => ((ServerClock)clock!).OnTimer(), this, Period, Period);

    /// <summary>Stops the clock. Completes when a tick that goes on is over.</summary>
    public ValueTask StopAsync() => _timer?.DisposeAsync() ?? default;

    public void Dispose() => _timer?.Dispose();

    private void OnTimer()
    {
        Move();

        // A tick that takes longer than a period (thousands of heartbeats) must not run beside the next one.
        if (Interlocked.Exchange(ref _ticking, 1) != 0)
            return;
        try
        {
            Tick?.Invoke();
        }
        catch (Exception e)
        {
            TransportLog.TickFailed(_logger, e);
        }
        finally
        {
            Volatile.Write(ref _ticking, 0);
        }
    }

    // Called before the guard, since the clock must go on while a tick takes long. So two callbacks may meet here.
    private void Move()
    {
        lock (_moving)
        {
            long timestamp = Time.GetTimestamp();
            TimeSpan passed = Time.GetElapsedTime(_moved, timestamp);
            TimeSpan most = MostPeriods * Period;
            _moved = timestamp;
            _elapsed += passed < most ? passed : most;
            Volatile.Write(ref _now, (long)_elapsed.TotalMilliseconds);
        }
    }
}
