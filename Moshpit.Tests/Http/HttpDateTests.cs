using System.Text;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server.Http;

namespace Moshpit.Tests.Http;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class HttpDateTests
{
    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(1994, 11, 6, 8, 49, 37, 900, TimeSpan.Zero));

    [Test]
    public void It_is_an_IMF_fixdate_and_follows_the_clock()
    {
        HttpDate date = new(_clock);
        Assert.That(Encoding.ASCII.GetString(date.FieldLine), Is.EqualTo("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
        _clock.Advance(TimeSpan.FromMilliseconds(100));
        date.OnTick();
        Assert.That(Encoding.ASCII.GetString(date.FieldLine), Is.EqualTo("Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"));
    }

    [Test]
    public void Within_a_second_it_is_made_once()
    {
        HttpDate date = new(_clock);
        ReadOnlySpan<byte> first = date.FieldLine;
        _clock.Advance(TimeSpan.FromMilliseconds(99));
        date.OnTick();
        bool same = first == date.FieldLine;
        Assert.That(same, Is.True);
    }
}
