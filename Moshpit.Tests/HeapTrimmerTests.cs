using Microsoft.Extensions.Time.Testing;
using Moshpit.Server;

namespace Moshpit.Tests;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class HeapTrimmerTests
{
    private const long Mebi = 1024 * 1024;

    private readonly FakeTimeProvider _clock = new();
    private long _allocated;
    private long _heap = Mebi;
    private int _collections;

    [Test]
    public void It_collects_once_when_much_was_allocated_and_it_is_calm_again()
    {
        using HeapTrimmer trimmer = Start();
        for (int n = 0; n < 10; n++)
            Pass(allocating: Mebi);
        Assert.That(_collections, Is.Zero, "not while it goes on");
        Pass(allocating: 1000);
        Assert.That(_collections, Is.EqualTo(1));
        for (int n = 0; n < 1000; n++)
            Pass(allocating: 1000);
        Assert.That(_collections, Is.EqualTo(1), "a trickle is not worth one");
    }

    [Test]
    public void What_is_worth_it_grows_with_the_heap()
    {
        _heap = 100 * Mebi;
        using HeapTrimmer trimmer = Start();
        foreach (long burst in new[] { 5, 49, 2, 50 })
        {
            Pass(allocating: burst * Mebi);
            Pass(allocating: 0);
        }

        Assert.That(_collections, Is.EqualTo(3), "after 5, after 49 + 2, after 50");
    }

    [Test]
    public void It_ends()
    {
        Start().Dispose();
        Pass(allocating: 10 * Mebi);
        Pass(allocating: 0);
        Assert.That(_collections, Is.Zero);
    }

    private HeapTrimmer Start() => new(_clock, () => _allocated, () =>
    {
        _collections++;
        return _heap;
    });

    private void Pass(long allocating)
    {
        _allocated += allocating;
        _clock.Advance(HeapTrimmer.Calm);
    }
}
