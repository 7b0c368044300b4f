namespace Moshpit.Server.Limits;

/// <summary>
/// How fast one peer may send: so many bytes a second on average, and twice that at once. A sender that is faster waits for its turn; the
/// wait is known beforehand, so one that would be too long is refused instead (the generic cell rate algorithm). Safe for use by several
/// threads at once.
/// </summary>
internal sealed class SendRate
{
    /// <summary>The longest wait, in milliseconds.</summary>
    public const long LongestWait = 2000;

    /// <summary>Seconds' worth that may be sent at once.</summary>
    private const long BurstSeconds = 2;

    private const long MillisecondsPerSecond = 1000;

    private readonly Lock _gate = new();

    /// <summary>What was sent and is not paid for by time yet, in thousandths of a byte.</summary>
    private long _debt;
    private long _asOf;

    /// <summary>Bytes that were sent and were not paid for by time when something was last sent.</summary>
    public long Debt
    {
        get
        {
            lock (_gate)
                return _debt / MillisecondsPerSecond;
        }
    }

    /// <summary>
    /// Counts <paramref name="bytes"/> at <paramref name="now"/> (milliseconds); answers for how many milliseconds they have to wait.
    /// Null: for longer than <see cref="LongestWait"/>, and they were not counted.
    /// </summary>
    public long? Take(long bytes, long now, long bytesPerSecond)
    {
        lock (_gate)
        {
            // One thread may have read the clock before another one did, and come here after it.
            long passed = Math.Max(0, now - _asOf);
            _asOf += passed;
            _debt = passed > _debt / bytesPerSecond ? 0 : _debt - passed * bytesPerSecond;
            long debt = _debt + bytes * MillisecondsPerSecond;
            long excess = debt - BurstSeconds * bytesPerSecond * MillisecondsPerSecond;
            long wait = excess <= 0 ? 0 : (excess + bytesPerSecond - 1) / bytesPerSecond;

            // A body that is longer than a burst could never be sent: it may go when nothing else is owed.
            if (wait > LongestWait && _debt > 0)
                return null;
            _debt = debt;
            return Math.Min(wait, LongestWait);
        }
    }
}
