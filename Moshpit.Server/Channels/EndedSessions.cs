using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>
/// Sessions that were ended on purpose a short time ago: one of them that comes back by itself is told that it is over. Their number is
/// bounded, the oldest go first.
/// </summary>
internal sealed class EndedSessions
{
    /// <summary>Milliseconds for which one is remembered.</summary>
    public const long Memory = 120_000;

    /// <summary>Most sessions remembered.</summary>
    private const int Most = 100_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<SessionKey, long> _until = [];
    private readonly Queue<(SessionKey Key, long Until)> _order = new();

    /// <summary>Remembers <paramref name="key"/> from <paramref name="now"/> on.</summary>
    /// <returns>Until when.</returns>
    public long Add(SessionKey key, long now)
    {
        long until = now + Memory;
        lock (_gate)
        {
            _until[key] = until;
            _order.Enqueue((key, until));
            if (_order.Count > Most)
                RemoveOldest();
        }

        return until;
    }

    /// <summary>Whether <paramref name="key"/> is remembered at <paramref name="now"/>.</summary>
    public bool Contains(SessionKey key, long now)
    {
        lock (_gate)
            return _until.TryGetValue(key, out long until) && now < until;
    }

    /// <summary>Forgets <paramref name="key"/>.</summary>
    public void Remove(SessionKey key)
    {
        lock (_gate)
            _until.Remove(key);
    }

    /// <summary>Forgets <paramref name="key"/>, unless it was ended once more since it was to be remembered until then.</summary>
    public void Remove(SessionKey key, long until)
    {
        lock (_gate)
        {
            if (_until.TryGetValue(key, out long last) && last == until)
                _until.Remove(key);
        }
    }

    /// <summary>Forgets those whose time is over at <paramref name="now"/>.</summary>
    public void OnTick(long now)
    {
        lock (_gate)
        {
            while (_order.TryPeek(out (SessionKey Key, long Until) oldest) && oldest.Until <= now)
                RemoveOldest();
        }
    }

    private void RemoveOldest()
    {
        (SessionKey key, long until) = _order.Dequeue();
        Remove(key, until);
    }
}
