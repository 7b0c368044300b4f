using Moshpit.Server.Limits;

namespace Moshpit.Tests.Limits;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class SendRateTests
{
    private const long PerSecond = 1_000_000;

    private readonly SendRate _rate = new();

    [Test]
    public void Two_seconds_worth_may_be_sent_at_once_and_more_has_to_wait_for_as_long_as_it_takes()
    {
        Assert.That(_rate.Take(1_999_999, 0, PerSecond), Is.Zero);
        Assert.That(_rate.Take(1, 0, PerSecond), Is.Zero);
        Assert.That(_rate.Take(1, 0, PerSecond), Is.EqualTo(1));
        Assert.That(_rate.Take(500_000, 0, PerSecond), Is.EqualTo(501));
        Assert.That(_rate.Take(1_499_999, 0, PerSecond), Is.EqualTo(2000));
    }

    [Test]
    public void What_would_have_to_wait_for_too_long_is_refused_and_does_not_count()
    {
        _rate.Take(3_999_000, 0, PerSecond);
        Assert.That(_rate.Take(1_001, 0, PerSecond), Is.Null);
        Assert.That(_rate.Take(1_000, 0, PerSecond), Is.EqualTo(2000));
        Assert.That(_rate.Take(1_000, 1, PerSecond), Is.EqualTo(2000), "a millisecond pays for a thousand");
    }

    [TestCase(100, 100_000)]
    [TestCase(4_000, 4_000_000)]
    public void Time_pays_for_what_was_sent(int milliseconds, int bytes)
    {
        Assert.That(_rate.Take(4_000_000, 0, PerSecond), Is.EqualTo(2000));
        Assert.That(_rate.Take(bytes, milliseconds, PerSecond), Is.EqualTo(2000));
        Assert.That(_rate.Take(1, milliseconds, PerSecond), Is.Null);
    }

    [Test]
    public void Silence_is_not_saved_up_beyond_a_burst()
    {
        Assert.That(_rate.Take(1, 1_000_000_000, PerSecond), Is.Zero);
        Assert.That(_rate.Take(2_000_000, 1_000_000_000, PerSecond), Is.EqualTo(1));
    }

    [Test]
    public void A_body_longer_than_a_burst_may_go_when_nothing_else_is_owed_and_is_paid_for_afterwards()
    {
        Assert.That(_rate.Take(10_000_000, 0, PerSecond), Is.EqualTo(2000));
        Assert.That(_rate.Take(1, 8_000, PerSecond), Is.EqualTo(1));
        Assert.That(_rate.Take(10_000_000, 8_000, PerSecond), Is.Null);
    }

    [Test]
    public void A_clock_that_is_read_earlier_than_another_one_changes_nothing()
    {
        _rate.Take(3_000_000, 1000, PerSecond);
        Assert.That(_rate.Take(1_000, 500, PerSecond), Is.EqualTo(1001));
    }
}
