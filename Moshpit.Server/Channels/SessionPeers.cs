using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>The session peers of a channel, here and away, by the keys of their sessions and by their numbers.</summary>
internal sealed class SessionPeers
{
    private readonly Dictionary<SessionKey, Peer> _byKey = [];
    private readonly Dictionary<int, Peer> _byNumber = [];

    public int Count => _byKey.Count;

    public IReadOnlyCollection<Peer> All => _byKey.Values;

    public Peer? Find(SessionKey key) => _byKey.GetValueOrDefault(key);

    public Peer? Find(int number) => _byNumber.GetValueOrDefault(number);

    /// <summary>Adds <paramref name="peer"/>, whose number is to be <paramref name="number"/>.</summary>
    public void Add(Peer peer, int number)
    {
        _byKey.Add(peer.Session!.Key, peer);
        _byNumber.Add(number, peer);
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
