using Microsoft.Extensions.Time.Testing;

namespace Moshpit.Tests.Support;

/// <summary>Lets time pass for a server, tick by tick, as its clock expects it.</summary>
internal static class FakeTime
{
    /// <summary>The period of a server's clock with default timeouts; a deadline may be late by it, never early.</summary>
    public static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    /// <summary>How many ticks more are given to a server that the machine may not have let come to its wait yet.</summary>
    private const int SpareTicks = 5;

    public static void Pass(this FakeTimeProvider clock, double seconds)
    {
        for (TimeSpan rest = TimeSpan.FromSeconds(seconds); rest > TimeSpan.Zero; rest -= Tick)
            clock.Advance(rest < Tick ? rest : Tick);
    }

    /// <summary>Lets <paramref name="seconds"/> and a tick pass, by when <paramref name="what"/> must happen.</summary>
    public static async Task<T> PassUntilAsync<T>(this FakeTimeProvider clock, double seconds, Task<T> what)
    {
        clock.Pass(seconds);
        for (int i = 0; i < SpareTicks && !what.IsCompleted; i++)
        {
            clock.Advance(Tick);
            await Task.WhenAny(what, Task.Delay(TimeSpan.FromSeconds(0.5)));
        }

        return await what.WaitAsync(RawConnection.Patience);
    }

    /// <summary>As <see cref="PassUntilAsync{T}"/>, for a state that no byte announces.</summary>
    public static async Task PassUntilAsync(this FakeTimeProvider clock, double seconds, Func<bool> condition) =>
        await clock.PassUntilAsync(seconds, Task.Run(async () =>
        {
            await Eventually.AsyncTrue(condition);
            return true;
        }));
}
