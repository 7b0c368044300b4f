using Microsoft.Extensions.Time.Testing;
using Moshpit.Server;

namespace Moshpit.Tests;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class HeapTrimmerTests
{
    private const long Mebi = 1024 * 1024;

    private readonly FakeTimeProvider _clock = new();
    private long _allocated;
    private long _inUse;
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
    public void It_collects_once_when_much_was_in_use_and_is_not_any_more()
    {
        using HeapTrimmer trimmer = Start();
        _inUse = 100 * Mebi;
        Pass(allocating: 1000);
        _inUse = Mebi;
        for (int n = 0; n < 1000; n++)
            Pass(allocating: 1000);
        Assert.That(_collections, Is.EqualTo(1));
    }

    [Test]
    public void It_collects_after_a_release_as_well_if_it_has_collected_at_the_height_of_the_load()
    {
        _heap = 120 * Mebi;
        using HeapTrimmer trimmer = Start();
        _inUse = 100 * Mebi;
        Pass(allocating: 120 * Mebi);
        Pass(allocating: 1000);
        Assert.That(_collections, Is.EqualTo(1));
        _inUse = 0;
        _heap = Mebi;
        for (int n = 0; n < 100; n++)
            Pass(allocating: 1000);
        Assert.That(_collections, Is.EqualTo(2));
    }

    [Test]
    public void A_release_that_does_not_last_or_is_small_is_not_worth_one()
    {
        using HeapTrimmer trimmer = Start();
        for (int n = 0; n < 1000; n++)
        {
            _inUse = n % 5 == 0 ? 100 * Mebi : 0;
            Pass(allocating: 1000);
        }

        Assert.That(_collections, Is.Zero, "what waits comes and goes");
        _inUse = 100 * Mebi;
        Pass(allocating: 1000);
        _inUse = 97 * Mebi;
        for (int n = 0; n < 100; n++)
            Pass(allocating: 1000);
        Assert.That(_collections, Is.Zero);
        _inUse = 0;
        for (int n = 0; n < 100; n++)
            Pass(allocating: Mebi);
        Assert.That(_collections, Is.Zero, "not while much is allocated");
        Pass(allocating: 0);
        Assert.That(_collections, Is.EqualTo(1));
    }

    [Test]
    public void It_ends()
    {
        Start().Dispose();
        Pass(allocating: 10 * Mebi);
        Pass(allocating: 0);
        Assert.That(_collections, Is.Zero);
    }

    private HeapTrimmer Start() => new(_clock, () => _allocated, () => _inUse, () =>
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
