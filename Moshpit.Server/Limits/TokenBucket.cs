namespace Moshpit.Server.Limits;

/// <summary>
/// A rate with room for bursts: holds up to a second's worth, or a minute's, and fills evenly. Its clock is as coarse as the server's.
/// </summary>
internal struct TokenBucket
{
    /// <summary>
    /// What is in use: a token counts as many as its period has milliseconds, so that fractions of tokens are whole numbers.
    /// </summary>
    private long _used;
    private long _asOf;

    /// <summary>
    /// Takes one of <paramref name="capacity"/> tokens, which come back within <paramref name="period"/> milliseconds. False: there is
    /// none.
    /// </summary>
    public bool TryTake(long now, int capacity, long period)
    {
        Refill(now, capacity, period);
        if (_used > (capacity - 1) * period)
            return false;
        _used += period;
        return true;
    }

    /// <summary>Nothing of it is in use any more.</summary>
    public bool IsFull(long now, int capacity, long period)
    {
        Refill(now, capacity, period);
        return _used == 0;
    }

    private void Refill(long now, int capacity, long period)
    {
        // A caller may have read the clock before another one did, and come here after it.
        if (now <= _asOf)
            return;
        _used = Math.Max(0, _used - Math.Min(now - _asOf, period) * capacity);
        _asOf = now;
    }
}
