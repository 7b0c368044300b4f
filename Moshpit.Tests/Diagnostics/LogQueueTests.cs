using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Moshpit.Server.Diagnostics;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Diagnostics;

/// <summary>What stands between the server and a logger that may block or throw.</summary>
[Parallelizable(ParallelScope.All)]
internal sealed class LogQueueTests
{
    /// <summary>The event with which a test's entries are logged; those of the queue itself have another.</summary>
    private const int Entry = 1000;

    [Test]
    public async Task What_is_logged_arrives_in_order_and_an_end_waits_for_it()
    {
        var log = new ErrorLog(LogLevel.Debug);
        var queue = new LogQueue(log);
        string[] lines = [.. Enumerable.Range(0, 500).Select(n => $"{Entry} {n} ")];
        for (int n = 0; n < lines.Length; n++)
            Log(queue, n);
        await queue.CloseAsync();
        Assert.That(log.Lines, Is.EqualTo(lines));
        Log(queue, 0);
        await queue.CloseAsync();
        Assert.That(log.Lines, Has.Count.EqualTo(lines.Length));
    }

    [Test]
    public async Task While_the_logger_blocks_entries_are_dropped_and_one_warning_tells_how_many()
    {
        using var inside = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        var log = new ErrorLog(LogLevel.Debug)
        {
            Heard = _ =>
            {
                inside.Set();
                goOn.Wait();
            },
        };
        var queue = new LogQueue(log);
        await WithoutBlockingAsync(
            () =>
            {
                Log(queue, 0);
                Assert.That(inside.Wait(RawConnection.Patience), Is.True);
                for (int n = 1; n <= LogQueue.Capacity + 7; n++)
                    Log(queue, n);
                Assert.That(log.Lines, Is.Empty, "the logger does not block; this test says nothing");
                return Task.CompletedTask;
            },
            goOn);
        await Eventually.AsyncTrue(() => log.Lines.Count == LogQueue.Capacity + 2);
        Log(queue, -1);
        await queue.CloseAsync();
        string[] kept = [.. Enumerable.Range(0, LogQueue.Capacity + 1).Select(n => $"{Entry} {n} ")];
        Assert.That(log.Lines, Is.EqualTo(
            (string[])[.. kept, "1 The logger did not keep up: 7 log entries before this one were dropped. ", $"{Entry} -1 "]));
    }

    [Test]
    public async Task A_logger_that_blocks_for_ever_does_not_hold_up_an_end()
    {
        using var never = new ManualResetEventSlim();
        var queue = new LogQueue(new ErrorLog(LogLevel.Debug) { Heard = _ => never.Wait() });
        await WithoutBlockingAsync(
            async () =>
            {
                for (int n = 0; n < 10; n++)
                    Log(queue, n);
                await queue.CloseAsync();
            },
            never);
    }

    [Test]
    public async Task A_logger_that_throws_gets_the_next_entry_all_the_same()
    {
        int calls = 0;
        var queue = new LogQueue(new ErrorLog
        {
            Heard = _ =>
            {
                calls++;
                throw new IOException("The disk is full.");
            },
        });
        Log(queue, 1);
        Log(queue, 2);
        await queue.CloseAsync();
        Assert.That(calls, Is.EqualTo(2));
    }

    [Test]
    public async Task A_level_that_is_off_costs_neither_a_call_nor_an_allocation()
    {
        var log = new LevelLog();
        var queue = new LogQueue(log);
        Assert.That(queue.IsEnabled(LogLevel.Debug), Is.False);
        AllocationAssert.None(() => queue.Log(LogLevel.Debug, new EventId(Entry), 1, null, static (_, _) => ""));
        Assert.That(log.AskedOn, Has.None.EqualTo(Environment.CurrentManagedThreadId));
        log.Least = LogLevel.Debug;
        await Eventually.AsyncTrue(() => queue.IsEnabled(LogLevel.Debug));
        await queue.CloseAsync();
    }

    [Test]
    public async Task A_logger_that_does_not_even_say_its_levels_blocks_nothing()
    {
        using var never = new ManualResetEventSlim();
        await WithoutBlockingAsync(
            async () =>
            {
                var queue = new LogQueue(new LevelLog { OnAsked = never.Wait });
                Assert.That((queue.IsEnabled(LogLevel.Information), queue.IsEnabled(LogLevel.Warning)), Is.EqualTo((false, true)));
                Log(queue, 1);
                await queue.CloseAsync();
            },
            never);
    }

    /// <summary>
    /// Fails if <paramref name="work"/> does not end by itself; sets <paramref name="block"/>, which the logger waits for, in any case.
    /// </summary>
    private static async Task WithoutBlockingAsync(Func<Task> work, ManualResetEventSlim block)
    {
        try
        {
            await Task.Run(work).WaitAsync(RawConnection.Patience);
        }
        finally
        {
            block.Set();
        }
    }

    private static void Log(LogQueue queue, int n) =>
        queue.Log(LogLevel.Error, new EventId(Entry), n, null, static (number, _) => $"{number}");

    /// <summary>Remembers on which threads it was asked for its levels.</summary>
    private sealed class LevelLog : ILogger
    {
        public ConcurrentBag<int> AskedOn { get; } = [];

        public LogLevel Least { get; set; } = LogLevel.Warning;

        public Action? OnAsked { get; init; }

        public bool IsEnabled(LogLevel logLevel)
        {
            AskedOn.Add(Environment.CurrentManagedThreadId);
            OnAsked?.Invoke();
            return logLevel >= Least;
        }

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;
    }
}
