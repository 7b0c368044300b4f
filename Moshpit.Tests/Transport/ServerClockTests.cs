using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server.Transport;

namespace Moshpit.Tests.Transport;

internal sealed class ServerClockTests
{
    [TestCase(10_000, 1000)]
    [TestCase(4000, 1000)]
    [TestCase(2000, 500)]
    [TestCase(1, 5)]
    public void It_ticks_four_times_in_the_finest_timeout_within_bounds(int finest, int period)
    {
        using var clock = new ServerClock(new FakeTimeProvider(), TimeSpan.FromMilliseconds(finest), NullLogger.Instance);
        Assert.That(clock.Period, Is.EqualTo(TimeSpan.FromMilliseconds(period)));
    }

    [Test]
    public void It_moves_with_its_ticks_only()
    {
        var time = new FakeTimeProvider();
        using var clock = new ServerClock(time, TimeSpan.FromSeconds(10), NullLogger.Instance);
        int ticks = 0;
        clock.Tick += () => ticks++;
        clock.Start();
        time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.That((clock.Now, ticks), Is.EqualTo((0L, 0)));
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.That((clock.Now, ticks), Is.EqualTo((1000L, 1)));
        time.Advance(TimeSpan.FromMilliseconds(1500));
        Assert.That((clock.Now, ticks), Is.EqualTo((2500L, 2)));
    }

    [Test]
    public void A_deadline_is_never_early_and_at_most_two_ticks_late()
    {
        var time = new FakeTimeProvider();
        using var clock = new ServerClock(time, TimeSpan.FromSeconds(10), NullLogger.Instance);
        clock.Start();
        for (int offset = 0; offset < 3000; offset += 300)
        {
            time.Advance(TimeSpan.FromMilliseconds(300));
            long deadline = clock.DeadlineAfter(TimeSpan.FromSeconds(10));
            TimeSpan passed = TimeSpan.Zero;
            for (; clock.Now < deadline; passed += TimeSpan.FromMilliseconds(100))
                time.Advance(TimeSpan.FromMilliseconds(100));
            Assert.That(passed, Is.InRange(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(12)));
        }
    }

    [TestCase(1)]
    [TestCase(500)]
    [TestCase(2000)]
    public void A_tick_that_is_late_by_a_period_moves_it_by_all_the_time_that_passed(int passed)
    {
        var time = new ManualTimer();
        using var clock = new ServerClock(time, TimeSpan.FromSeconds(10), NullLogger.Instance);
        clock.Start();
        for (int tick = 1; tick <= 100; tick++)
        {
            time.Pass(passed);
            time.Fire();
            Assert.That(clock.Now, Is.EqualTo((long)tick * passed));
        }
    }

    [Test]
    public void A_pause_of_the_process_counts_as_two_periods()
    {
        var time = new ManualTimer();
        using var clock = new ServerClock(time, TimeSpan.FromSeconds(10), NullLogger.Instance);
        clock.Start();
        time.Pass(1000);
        time.Fire();
        time.Pass(13_000);
        time.Fire();
        Assert.That(clock.Now, Is.EqualTo(3000));

        // A timer that fell behind fires once more at once.
        time.Pass(1);
        time.Fire();
        Assert.That(clock.Now, Is.EqualTo(3001));
        time.Pass(1000);
        time.Fire();
        Assert.That(clock.Now, Is.EqualTo(4001), "it does not run faster afterwards");
    }

    [Test]
    public void It_moves_while_a_tick_takes_long()
    {
        var time = new ManualTimer();
        using var clock = new ServerClock(time, TimeSpan.FromSeconds(10), NullLogger.Instance);
        long moved = 0;
        clock.Tick += () =>
        {
            for (int i = 0; i < 5; i++)
            {
                time.Pass(1000);
                time.Fire();
            }

            moved = clock.Now;
        };
        clock.Start();
        time.Pass(1000);
        time.Fire();
        Assert.That(moved, Is.EqualTo(6000));
    }

    [Test]
    public void Without_a_timeout_there_is_no_deadline()
    {
        using var clock = new ServerClock(new FakeTimeProvider(), TimeSpan.FromSeconds(10), NullLogger.Instance);
        Assert.That(clock.DeadlineAfter(Timeout.InfiniteTimeSpan), Is.EqualTo(long.MaxValue));
    }

    [Test]
    public void A_tick_that_takes_long_is_not_joined_by_the_next()
    {
        var time = new ManualTimer();
        using var clock = new ServerClock(time, TimeSpan.FromSeconds(10), NullLogger.Instance);
        int ticks = 0;
        clock.Tick += () =>
        {
            ticks++;
            time.Fire();
        };
        clock.Start();
        time.Fire();
        Assert.That(ticks, Is.EqualTo(1));
        time.Fire();
        Assert.That(ticks, Is.EqualTo(2), "the next tick comes in its own time");
    }

    [Test]
    public void After_the_end_it_does_not_tick()
    {
        var time = new FakeTimeProvider();
        var clock = new ServerClock(time, TimeSpan.FromSeconds(10), NullLogger.Instance);
        clock.Tick += () => Assert.Fail("It ticked.");
        clock.Start();
        clock.Dispose();
        time.Advance(TimeSpan.FromMinutes(1));
    }

    /// <summary>A timer that fires when told, even within its own callback, as the system's timers may.</summary>
    private sealed class ManualTimer : TimeProvider, ITimer
    {
        private Action? _fire;
        private long _timestamp;

        public override long TimestampFrequency => 1000;

        public void Fire() => _fire!();

        public void Pass(int milliseconds) => _timestamp += milliseconds;

        public override long GetTimestamp() => _timestamp;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _fire = () => callback(state);
            return this;
        }

        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}
