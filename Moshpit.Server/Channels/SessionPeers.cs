using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>The session peers of a channel, here and away, by the keys of their sessions and by their numbers.</summary>
internal sealed class SessionPeers
{
    /// <summary>Sessions that were ended here and are remembered, at most.</summary>
    private const int MostEnded = 1000;

    private readonly Dictionary<SessionKey, Peer> _byKey = [];
    private readonly Dictionary<int, Peer> _byNumber = [];
    private readonly Queue<(SessionKey Key, long Until)> _ended = new(0);

    public int Count => _byKey.Count;

    /// <summary>How many of them have no outlet.</summary>
    public int Away { get; private set; }

    /// <summary>How many of them asked to hear of all others.</summary>
    public int Hearers { get; private set; }

    public IReadOnlyCollection<Peer> All => _byKey.Values;

    public Peer? Find(SessionKey key) => _byKey.GetValueOrDefault(key);

    /// <summary>The one with the lowest number that is here, or null. A peer whose stream is being ended is not.</summary>
    public Peer? FirstHere()
    {
        Peer? first = null;
        foreach (Peer peer in _byKey.Values)
        {
            if (!peer.Session!.IsAway && peer.IsListening && (first is null || peer.Number < first.Number))
                first = peer;
        }

        return first;
    }

    /// <summary><paramref name="session"/>, of a peer here, has no outlet any more, or has one again.</summary>
    public void SetAway(Session session, bool isAway)
    {
        if (session.IsAway == isAway)
            return;
        session.IsAway = isAway;
        Away += isAway ? 1 : -1;
    }

    /// <summary>
    /// The event with the number <paramref name="sequence"/>, to the peer <paramref name="addressee"/> alone, is not kept.
    /// </summary>
    public void OnDropped(int addressee, long sequence)
    {
        if (_byNumber.GetValueOrDefault(addressee)?.Session is { } session)
            session.DroppedAddressed = sequence;
    }

    /// <summary>Adds <paramref name="peer"/>, which has its number. If that fails, <see cref="Remove"/> cleans up.</summary>
    public void Add(Peer peer)
    {
        _byKey.Add(peer.Session!.Key, peer);
        Hearers += peer.Session.HearsAll ? 1 : 0;
        _byNumber.Add(peer.Number, peer);
    }

    /// <summary>Removes <paramref name="peer"/>, if it is here.</summary>
    public void Remove(Peer peer)
    {
        if (_byKey.GetValueOrDefault(peer.Session!.Key) != peer)
            return;
        SetAway(peer.Session, false);
        Hearers -= peer.Session.HearsAll ? 1 : 0;
        _byKey.Remove(peer.Session.Key);
        _byNumber.Remove(peer.Number);
    }

    /// <summary>
    /// Has <paramref name="ended"/> remember from <paramref name="now"/> on that <paramref name="session"/> was ended here. Of those that
    /// were ended here only the newest are remembered.
    /// </summary>
    public void RememberEnd(Session session, EndedSessions ended, long now)
    {
        Remember(session.Key);
        if (session.CreatorKey is { } creator)
            Remember(creator);

        void Remember(SessionKey key)
        {
            _ended.Enqueue((key, ended.Add(key, now)));
            if (_ended.Count <= MostEnded)
                return;
            (SessionKey oldest, long until) = _ended.Dequeue();
            ended.Remove(oldest, until);
        }
    }
}
