using Microsoft.Extensions.Time.Testing;

namespace Moshpit.Tests.Support;

/// <summary>A clock that tells how often a wait for it has begun: only then is there a point in moving it on.</summary>
internal sealed class CountingClock : FakeTimeProvider
{
    private int _waits;

    public int Waits => Volatile.Read(ref _waits);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ITimer timer = base.CreateTimer(callback, state, dueTime, period);
        Interlocked.Increment(ref _waits);
        return timer;
    }
}
