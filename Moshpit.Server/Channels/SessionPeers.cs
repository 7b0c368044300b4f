using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>The session peers of a channel, here and away, by the keys of their sessions and by their numbers.</summary>
internal sealed class SessionPeers
{
    /// <summary>Sessions that were ended here and are remembered, at most.</summary>
    private const int MostEnded = 1000;

    private readonly Dictionary<SessionKey, Peer> _byKey = [];
    private readonly Dictionary<int, Peer> _byNumber = [];
    private readonly Queue<SessionKey> _ended = new(0);

    /// <summary>The newest number when half of the history's time had last passed, and the time before.</summary>
    public long Mark { get; set; }

    /// <inheritdoc cref="Mark"/>
    public long OlderMark { get; set; }

    public int Count => _byKey.Count;

    public IReadOnlyCollection<Peer> All => _byKey.Values;

    public Peer? Find(SessionKey key) => _byKey.GetValueOrDefault(key);

    public Peer? Find(int number) => _byNumber.GetValueOrDefault(number);

    /// <summary>Adds <paramref name="peer"/>, which has its number. If that fails, <see cref="Remove"/> cleans up.</summary>
    public void Add(Peer peer)
    {
        _byKey.Add(peer.Session!.Key, peer);
        _byNumber.Add(peer.Number, peer);
    }

    /// <summary>Notes that <paramref name="key"/> was ended here; the oldest that is one too many, or null.</summary>
    public SessionKey? Remember(SessionKey key)
    {
        _ended.Enqueue(key);
        return _ended.Count > MostEnded ? _ended.Dequeue() : null;
    }

    /// <summary>Removes <paramref name="peer"/>, if it is here.</summary>
    public void Remove(Peer peer)
    {
        if (_byKey.GetValueOrDefault(peer.Session!.Key) != peer)
            return;
        _byKey.Remove(peer.Session.Key);
        _byNumber.Remove(peer.Number);
    }
}
