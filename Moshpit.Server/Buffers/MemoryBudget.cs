namespace Moshpit.Server.Buffers;

/// <summary>
/// Bounds the memory of all messages under way: the frames that they are encoded in, and what the kernel holds for peers that are behind.
/// The bound is a share of what the machine or the container has, so that a server in a small container cuts slow peers instead of running
/// out of memory.
/// </summary>
internal sealed class MemoryBudget
{
    /// <summary>The part of the available memory that messages may take by default: one eighth.</summary>
    private const long DefaultDivisor = 8;

    /// <summary>With less, a few slow peers would be cut for being a little behind.</summary>
    private const long LeastDefault = 16L * 1024 * 1024;

    private const long MostDefault = 4L * 1024 * 1024 * 1024;

    /// <summary>The part of the limit by which messages may pass it while peers that do not read are being cut: a quarter.</summary>
    private const int SmallExcess = 4;

    private readonly FramePool _frames;
    private readonly long _backlogLimit;
    private readonly long _maxBacklog;
    private long _kernelBytes;
    private int _streamsBehind;

    /// <param name="frames">Where all messages come from.</param>
    /// <param name="limit">Bytes that all messages under way may take together.</param>
    /// <param name="backlogLimit">Bytes that may wait for any one peer as long as all together are within <paramref name="limit"/>.</param>
    /// <param name="maxBacklog">Bytes that may wait for one peer if its even share of <paramref name="limit"/> is that large.</param>
    public MemoryBudget(FramePool frames, long limit, long backlogLimit, long maxBacklog)
    {
        _frames = frames;
        Limit = limit;
        _backlogLimit = backlogLimit;
        _maxBacklog = Math.Max(backlogLimit, maxBacklog);
    }

    /// <summary>Bytes that all messages under way may take together.</summary>
    public long Limit { get; }

    /// <summary>Bytes in use now.</summary>
    public long Used => _frames.OutstandingBytes + Volatile.Read(ref _kernelBytes);

    /// <summary>Streams for which something waits.</summary>
    public int StreamsBehind => Volatile.Read(ref _streamsBehind);

    /// <summary>All together take more than they may.</summary>
    public bool IsExceeded => Used > Limit;

    private long EvenShare => Limit / Math.Max(1, StreamsBehind);

    /// <summary>Bytes that may wait for one peer as long as there is memory for all: at least what every peer may always have.</summary>
    public long Allowance => Math.Max(_backlogLimit, Math.Min(_maxBacklog, EvenShare));

    /// <summary>
    /// The limit if none is set: an eighth of what the garbage collector may use, which is the container's limit if there is one.
    /// </summary>
    public static long DefaultLimit() =>
        Math.Clamp(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / DefaultDivisor, LeastDefault, MostDefault);

    /// <summary>Something waits for a stream whose socket may hold <paramref name="kernelBytes"/>, until <see cref="Leave"/>.</summary>
    public void Enter(int kernelBytes)
    {
        Interlocked.Increment(ref _streamsBehind);
        Interlocked.Add(ref _kernelBytes, kernelBytes);
    }

    /// <summary>Nothing waits for that stream any more.</summary>
    public void Leave(int kernelBytes)
    {
        Interlocked.Decrement(ref _streamsBehind);
        Interlocked.Add(ref _kernelBytes, -kernelBytes);
    }

    /// <summary>
    /// Whether a stream is too far behind with <paramref name="waiting"/> bytes here, of which <paramref name="exempt"/> do not count as
    /// its own delay, and <paramref name="kernelBytes"/> in its socket. When all together take too much, a stream is as soon as it has more
    /// than its even share, exempt bytes too: those that are furthest behind are cut first.
    /// </summary>
    public bool IsTooFarBehind(long waiting, int kernelBytes, long exempt = 0) =>
        waiting - exempt > Allowance || (waiting + kernelBytes > EvenShare && IsExceeded);

    /// <summary>
    /// Whether a stream that is too far behind with <paramref name="waiting"/> bytes may go on, since its peer was seen to read, or since
    /// it fell behind a moment ago and nothing can be seen yet. It may never have more than every peer may have, besides what is
    /// <paramref name="exempt"/>. While the excess is in the
    /// kernel, it goes away with the peers that do not read. When messages alone take too much, peers that do not read go first; others may
    /// have an even share of the messages, or more as long as the excess is small.
    /// </summary>
    public bool MaySpare(long waiting, bool reads, bool fellBehindJustNow, long exempt = 0)
    {
        if (waiting - exempt > _backlogLimit)
            return false;
        long excess = _frames.OutstandingBytes - Limit;
        if (excess <= 0 || waiting <= EvenShare)
            return reads || fellBehindJustNow;
        return reads && excess <= Limit / SmallExcess;
    }
}
