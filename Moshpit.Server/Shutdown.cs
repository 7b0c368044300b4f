using Microsoft.Extensions.Logging;
using Moshpit.Server.Diagnostics;

namespace Moshpit.Server;

/// <summary>How far the end of a server has come, and the bounded waits of each phase.</summary>
internal sealed class Shutdown(TimeProvider time, ILogger logger) : IDisposable
{
    private readonly CancellationTokenSource _begun = new();
    private int _phase;

    /// <summary>Called when a phase has begun, before anything waits for it to end.</summary>
    public event Action<Phase>? Entered;

    /// <summary>
    /// The phase now. A wait that begins before it is asked for is seen by what listens to <see cref="Entered"/>, or the new phase is seen
    /// here.
    /// </summary>
    public Phase Phase
    {
        get
        {
            Interlocked.MemoryBarrier();
            return (Phase)Volatile.Read(ref _phase);
        }
    }

    /// <summary>The server takes no new work; what is under way is finished.</summary>
    public bool HasBegun => Phase != Phase.Serving;

    /// <summary>Cancelled when the server begins to stop: what could wait then does not.</summary>
    public CancellationToken Begun => _begun.Token;

    /// <summary>The one place where the phase changes. It only ever advances.</summary>
    public async Task EnterAsync(Phase phase)
    {
        Interlocked.Exchange(ref _phase, (int)phase);
        if (phase == Phase.FinishingRequests)
            await _begun.CancelAsync().ConfigureAwait(false);
        Entered?.Invoke(phase);
    }

    /// <summary>
    /// Waits for <paramref name="task"/>, no longer than <paramref name="timeout"/>. False: it has not ended, which the log tells.
    /// </summary>
    /// <param name="task">What should end by itself in this phase.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="what">What has not ended, for the log, with its number.</param>
    /// <param name="cancellationToken">Ends the wait with an <see cref="OperationCanceledException"/>.</param>
    public async Task<bool> WaitAsync(Task task, TimeSpan timeout, Func<string> what, CancellationToken cancellationToken = default)
    {
        try
        {
            await task.WaitAsync(timeout, time, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            ServerLog.NotEnded(logger, timeout.TotalSeconds, Phase, what());
            return false;
        }
    }

    public void Dispose() => _begun.Dispose();
}

/// <summary>The phases of a server, in their order.</summary>
internal enum Phase : byte
{
    Serving,

    /// <summary>No request begins any more; those under way are finished.</summary>
    FinishingRequests,

    /// <summary>Requests that are not complete are refused, channels are closed, and streams end in good order.</summary>
    EndingStreams,

    /// <summary>Whatever is left is cut.</summary>
    Cutting,
}
