namespace Moshpit.Server.Buffers;

/// <summary>Counts what is going on, and tells when nothing is any more.</summary>
internal sealed class ActivityCount
{
    private int _count;
    private TaskCompletionSource? _none;

    public int Count => Volatile.Read(ref _count);

    public void Begin() => Interlocked.Increment(ref _count);

    public void End()
    {
        if (Interlocked.Decrement(ref _count) == 0)
            Volatile.Read(ref _none)?.TrySetResult();
    }

    /// <summary>Completes when nothing is going on. To be called once, when nothing new begins but beside what still goes on.</summary>
    public Task WhenNoneAsync()
    {
        var none = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _none, none);

        // The last one may have ended before the exchange.
        if (Count == 0)
            none.TrySetResult();
        return none.Task;
    }
}
