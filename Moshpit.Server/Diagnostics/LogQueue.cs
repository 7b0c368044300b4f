using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Moshpit.Server.Diagnostics;

/// <summary>
/// A logger that never blocks and never throws. It queues what is logged, and a thread of its own passes that on to the logger of the
/// program. That logger may block (a terminal that is not read, a slow disk) or throw (a full disk, a bug): connections, the clock and a
/// stop go on. A full queue drops what is new and counts it; when the logger has caught up, one warning tells the count. A logger that
/// stamps entries with the time does so when it gets them.
/// </summary>
internal sealed class LogQueue : ILogger
{
    /// <summary>Entries that may wait; as many again may be on their way to the logger.</summary>
    public const int Capacity = 1024;

    /// <summary>How long an end waits for the entries that are queued.</summary>
    private static readonly TimeSpan FlushTimeout = TimeSpan.FromSeconds(1);

    /// <summary>How often the logger is asked again which levels it wants.</summary>
    private static readonly TimeSpan LevelPeriod = TimeSpan.FromSeconds(1);

    private readonly ILogger _logger;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _knowsLevels = new();

    // An object and not a Lock: the thread waits on it for entries.
    private readonly object _gate = new();
    private Queue<Entry> _waiting = new();
    private long _dropped;
    private bool _closed;

    // The thread's own.
    private Queue<Entry> _batch = new();
    private long _levelsAskedAt;

    /// <summary>A bit for each level that the logger wants. Until it has answered: warnings and what is graver.</summary>
    private volatile int _levels = Bit(LogLevel.Warning) | Bit(LogLevel.Error) | Bit(LogLevel.Critical);

    /// <summary>The end has not waited any longer: what is queued is forgotten.</summary>
    private volatile bool _abandoned;

    /// <param name="logger">Called on one thread only.</param>
    public LogQueue(ILogger logger)
    {
        _logger = logger;
        if (logger is NullLogger)
        {
            _levels = 0;
            _ended.SetResult();
            return;
        }

        new Thread(Run) { IsBackground = true, Name = "Moshpit log" }.Start();

        // A logger answers at once. One that does not is not waited for.
        _knowsLevels.Wait(FlushTimeout);
    }

    public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None && (_levels & Bit(logLevel)) != 0;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        lock (_gate)
        {
            if (_closed)
                return;
            if (_waiting.Count == Capacity)
            {
                _dropped++;
                return;
            }

            _waiting.Enqueue(new Entry<TState>(logLevel, eventId, state, exception, formatter));
            if (_waiting.Count == 1)
                Monitor.Pulse(_gate);
        }
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <summary>
    /// Takes no more entries and passes on those that wait, for a second at most: real time, since the logger may be a disk or a terminal.
    /// </summary>
    public async Task CloseAsync()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.Pulse(_gate);
        }

        try
        {
            await _ended.Task.WaitAsync(FlushTimeout).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _abandoned = true;
        }
    }

    private static int Bit(LogLevel level) => 1 << (int)level;

    private void Run()
    {
        AskLevels();
        _knowsLevels.Set();
        while (!_abandoned && Take(out long dropped))
        {
            while (!_abandoned && _batch.TryDequeue(out Entry? entry))
                Pass(entry);
            if (dropped > 0)
                Tell(dropped);
            if (Stopwatch.GetElapsedTime(_levelsAskedAt) >= LevelPeriod)
                AskLevels();
        }

        _ended.TrySetResult();
    }

    /// <summary>Waits for entries, not for long, and makes them the batch. False: there will be no more.</summary>
    private bool Take(out long dropped)
    {
        lock (_gate)
        {
            if (_waiting.Count == 0 && !_closed)
                Monitor.Wait(_gate, LevelPeriod);
            (_waiting, _batch) = (_batch, _waiting);
            (dropped, _dropped) = (_dropped, 0);
            return _batch.Count > 0 || !_closed;
        }
    }

    private void Pass(Entry entry)
    {
        try
        {
            entry.PassTo(_logger);
        }
        catch (Exception)
        {
            // A logger that fails has no one to tell.
        }
    }

    private void Tell(long dropped)
    {
        try
        {
            ServerLog.EntriesDropped(_logger, dropped);
        }
        catch (Exception)
        {
            // As above.
        }
    }

    private void AskLevels()
    {
        int levels = 0;
        for (LogLevel level = LogLevel.Trace; level < LogLevel.None; level++)
        {
            try
            {
                levels |= _logger.IsEnabled(level) ? Bit(level) : 0;
            }
            catch (Exception)
            {
                // As above; and what it can't answer for it does not want.
            }
        }

        _levels = levels;
        _levelsAskedAt = Stopwatch.GetTimestamp();
    }

    private abstract class Entry
    {
        public abstract void PassTo(ILogger logger);
    }

    /// <summary>What was logged; it becomes text on the thread of the queue.</summary>
    private sealed class Entry<TState>(
        LogLevel level, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> formatter) : Entry
    {
        public override void PassTo(ILogger logger) => logger.Log(level, id, state, exception, formatter);
    }
}
