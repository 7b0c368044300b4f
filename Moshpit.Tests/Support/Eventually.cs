namespace Moshpit.Tests.Support;

/// <summary>For states that no byte on a socket announces.</summary>
internal static class Eventually
{
    /// <summary>After so many looks it takes long anyway, and others need the processor more.</summary>
    private const int FrequentLooks = 1000;

    /// <summary>Completes as soon as <paramref name="condition"/> holds; fails the test when it does not within some seconds.</summary>
    public static async Task AsyncTrue(Func<bool> condition, Func<string>? failure = null)
    {
        using var patience = new CancellationTokenSource(RawConnection.Patience);
        for (int looks = 0; !condition(); looks++)
        {
            if (patience.IsCancellationRequested)
                Assert.Fail(failure?.Invoke() ?? "What was waited for did not happen.");
            if (looks < FrequentLooks)
                await Task.Yield();
            else
                await Task.Delay(1);
        }
    }
}
