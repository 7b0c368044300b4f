namespace Moshpit.Tests.Support;

/// <summary>For states that no byte on a socket announces.</summary>
internal static class Eventually
{
    /// <summary>Completes as soon as <paramref name="condition"/> holds; fails the test when it does not within some seconds.</summary>
    public static async Task AsyncTrue(Func<bool> condition, Func<string>? failure = null)
    {
        using var patience = new CancellationTokenSource(RawConnection.Patience);
        while (!condition())
        {
            if (patience.IsCancellationRequested)
                Assert.Fail(failure?.Invoke() ?? "What was waited for did not happen.");
            await Task.Yield();
        }
    }
}
