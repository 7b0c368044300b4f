using Moshpit.Server.Limits;

namespace Moshpit.Tests.Limits;

internal sealed class TokenBucketTests
{
    private const int Capacity = 10;
    private const long Second = 1000;

    private TokenBucket _bucket;

    [SetUp]
    public void Fill() => _bucket = default;

    [Test]
    public void A_burst_may_take_all_that_it_holds_and_no_more()
    {
        Assert.That(TakeAll(now: 0), Is.EqualTo(Capacity));
        Assert.That(TakeAll(now: 0), Is.Zero);
    }

    [Test]
    public void It_fills_evenly_and_never_over_its_edge()
    {
        TakeAll(now: 0);
        Assert.That(TakeAll(now: 99), Is.Zero);
        Assert.That(TakeAll(now: 100), Is.EqualTo(1));
        Assert.That(TakeAll(now: 600), Is.EqualTo(5));
        Assert.That(TakeAll(now: 3_600_000), Is.EqualTo(Capacity));
    }

    [Test]
    public void A_caller_that_looked_at_the_clock_earlier_and_comes_later_takes_nothing_from_others()
    {
        Assert.That(_bucket.TryTake(2000, Capacity, Second), Is.True);
        Assert.That(_bucket.TryTake(1000, Capacity, Second), Is.True);
        Assert.That(TakeAll(now: 2000), Is.EqualTo(Capacity - 2));
        Assert.That(TakeAll(now: 2100), Is.EqualTo(1));
    }

    [Test]
    public void What_is_refused_costs_nothing()
    {
        TakeAll(now: 0);
        for (int n = 0; n < 1000; n++)
            Assert.That(_bucket.TryTake(50, Capacity, Second), Is.False);
        Assert.That(TakeAll(now: 100), Is.EqualTo(1));
    }

    [Test]
    public void In_the_long_run_it_gives_its_rate_however_often_it_is_asked()
    {
        int taken = 0;
        for (long now = 0; now < 100 * Second; now += 7)
            taken += TakeAll(now);
        Assert.That(taken, Is.InRange(100 * Capacity, 101 * Capacity));
    }

    [Test]
    public void It_is_full_again_when_all_came_back_and_not_before()
    {
        Assert.That(_bucket.IsFull(0, Capacity, Second), Is.True);
        _bucket.TryTake(0, Capacity, Second);
        _bucket.TryTake(0, Capacity, Second);
        Assert.That(_bucket.IsFull(199, Capacity, Second), Is.False);
        Assert.That(_bucket.IsFull(200, Capacity, Second), Is.True);
    }

    private int TakeAll(long now)
    {
        int taken = 0;
        while (_bucket.TryTake(now, Capacity, Second))
            taken++;
        return taken;
    }
}
