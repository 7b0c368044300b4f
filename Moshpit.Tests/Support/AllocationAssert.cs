namespace Moshpit.Tests.Support;

internal static class AllocationAssert
{
    /// <summary>Pools are warm after the first calls; from then on <paramref name="action"/> may not touch the managed heap.</summary>
    public static void None(Action action) =>
        Assert.That(Enumerable.Range(0, 3).Select(_ => Measure(action, 100)).ToArray().Min(), Is.Zero, "not once of three times");

    /// <summary>Bytes allocated on this thread by <paramref name="calls"/> calls, after a few that warm up.</summary>
    public static long Measure(Action action, int calls)
    {
        for (int i = 0; i < 3; i++)
            action();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < calls; i++)
            action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
