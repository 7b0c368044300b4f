using System.Collections.Concurrent;

namespace Moshpit.Tests.Support;

/// <summary>
/// The context of a game engine or a window: what is posted to it runs on one thread, and only while that thread turns its frames.
/// </summary>
internal sealed class FrameContext : SynchronizationContext
{
    private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _posted = [];

    /// <summary>Runs <paramref name="program"/> on the calling thread, frame by frame, until it is done.</summary>
    public static void Run(Func<Task> program)
    {
        SynchronizationContext? before = Current;
        var context = new FrameContext();
        SetSynchronizationContext(context);
        try
        {
            Task running = program();
            while (!running.IsCompleted)
            {
                Assert.That(context._posted.TryTake(out (SendOrPostCallback Callback, object? State) next, RawConnection.Patience));
                next.Callback(next.State);
            }

            running.GetAwaiter().GetResult();
            Assert.That(context._posted, Is.Empty, "posted by something that the program does not wait for");
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    public override void Post(SendOrPostCallback d, object? state) => _posted.Add((d, state));

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("A frame waits for nothing.");
}
