namespace Moshpit.Server.Transport;

/// <summary>What one client address uses now. Held by each of its connections, and for a forwarded request by the request.</summary>
internal sealed class AddressUsage
{
    private const long Second = 1000;
    private const long Minute = 60_000;

    private readonly AddressLimits _limits;
    private TokenBucket _requests;
    private TokenBucket _channels;
    private int _streams;

    internal AddressUsage(AddressLimits limits) => _limits = limits;

    /// <summary>Connections and requests that hold it. Guarded by the table of all usages.</summary>
    internal int Holders { get; set; }

    /// <summary>Counts a request. False: there were too many within a second.</summary>
    public bool TryRequest(long now)
    {
        lock (this)
            return _requests.TryTake(now, _limits.RequestsPerSecond, Second);
    }

    /// <summary>Counts a new channel. False: there were too many within a minute.</summary>
    public bool TryCreateChannel(long now)
    {
        lock (this)
            return _channels.TryTake(now, _limits.ChannelsPerMinute, Minute);
    }

    /// <summary>Counts a stream until <see cref="RemoveStream"/>. False: there are too many open.</summary>
    public bool TryAddStream()
    {
        lock (this)
        {
            if (_streams >= _limits.Streams)
                return false;
            _streams++;
            return true;
        }
    }

    public void RemoveStream()
    {
        lock (this)
            _streams--;
    }

    /// <summary>Forgetting it now would change nothing.</summary>
    internal bool IsForgettable(long now)
    {
        lock (this)
            return _requests.IsFull(now, _limits.RequestsPerSecond, Second) && _channels.IsFull(now, _limits.ChannelsPerMinute, Minute);
    }
}
