using Microsoft.Extensions.Time.Testing;
using Moshpit.Server.Transport;

namespace Moshpit.Tests.Transport;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class ReadProgressTests
{
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);

    private readonly FakeTimeProvider _time = new();
    private readonly ReadProgress _progress;
    private long _acknowledged = 1000;

    public ReadProgressTests() => _progress = new ReadProgress(() => _acknowledged, _time);

    [Test]
    public void What_was_acknowledged_before_is_no_sign_of_reading()
    {
        Assert.That(_progress.IsReading, Is.False);
        Assert.That(_progress.Look(), Is.False);
    }

    [Test]
    public void A_peer_that_acknowledges_reads_until_it_has_not_for_a_while()
    {
        _acknowledged++;
        Assert.That(_progress.IsReading);
        _time.Advance(ReadProgress.Validity - Moment);
        Assert.That(_progress.IsReading, "it needs time to acknowledge more");
        _time.Advance(Moment);
        Assert.That(_progress.IsReading, Is.False);
    }

    [Test]
    public void A_peer_that_fell_behind_a_moment_ago_may_be_reading()
    {
        Assert.That(_progress.IsNew);
        _time.Advance(ReadProgress.Validity - Moment);
        Assert.That(_progress.IsNew);
        _time.Advance(Moment);
        Assert.That(_progress.IsNew, Is.False);
    }

    [Test]
    public void A_peer_that_was_not_seen_to_read_is_looked_at_again_at_once()
    {
        Assert.That(_progress.IsReading, Is.False);
        _acknowledged++;
        Assert.That(_progress.IsReading);
    }

    [Test]
    public void Each_look_asks_for_more_than_the_one_before()
    {
        for (int n = 0; n < 3; n++)
        {
            _acknowledged++;
            Assert.That(_progress.Look());
        }

        Assert.That(_progress.Look(), Is.False);
        Assert.That(_progress.IsReading, Is.False);
    }
}
