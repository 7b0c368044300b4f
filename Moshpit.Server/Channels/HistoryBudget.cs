namespace Moshpit.Server.Channels;

/// <summary>How much channels keep for peers that come back: events, as they are sent, and an entry of an index for each.</summary>
/// <param name="limit">Bytes that one channel may keep.</param>
/// <param name="total">Bytes that all channels may keep together.</param>
/// <param name="time">Milliseconds for which anything is kept, and half as long again at most.</param>
internal sealed class HistoryBudget(long limit, long total, long time)
{
    private long _used;
    private int _channels;

    /// <summary>Milliseconds for which anything is kept, and half as long again at most.</summary>
    public long Time { get; } = time;

    /// <summary>Bytes kept now.</summary>
    public long Used => Volatile.Read(ref _used);

    /// <summary>All channels keep too much together.</summary>
    public bool IsExceeded => Used > total;

    /// <summary>Bytes that one channel may keep now: when all keep too much, those that keep more than an even share lose.</summary>
    public long Limit => IsExceeded ? Math.Min(limit, total / Math.Max(1, Volatile.Read(ref _channels))) : limit;

    /// <summary>A channel begins to keep a history.</summary>
    public void Begin() => Interlocked.Increment(ref _channels);

    /// <summary>A channel keeps none any more.</summary>
    public void End() => Interlocked.Decrement(ref _channels);

    /// <summary>A channel keeps so many bytes more, or fewer.</summary>
    public void Add(long bytes) => Interlocked.Add(ref _used, bytes);
}
