using System.Runtime.InteropServices;
using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>The peers of a channel, by their cids and by their tokens. The keys stand in the peers alone.</summary>
internal sealed class Members
{
    /// <summary>Tables with room for so many peers are not worth smaller ones.</summary>
    private const int FewPeers = 64;

    private readonly HashSet<Peer> _byCid = new(CidComparer.Instance);
    private readonly HashSet<Peer> _byToken = new(TokenComparer.Instance);

    /// <summary>In the order of their numbers; null before that is first asked for.</summary>
    private List<Peer>? _inOrder;

    public int Count => _byCid.Count;

    public Peer? Find(PeerId cid) => _byCid.GetAlternateLookup<PeerId>().TryGetValue(cid, out Peer? peer) ? peer : null;

    public Peer? Find(Token token) => _byToken.GetAlternateLookup<Token>().TryGetValue(token, out Peer? peer) ? peer : null;

    /// <summary>The peers from the number <paramref name="from"/> on, in the order of joining.</summary>
    public ReadOnlySpan<Peer> From(int from)
    {
        _inOrder ??= [.. _byCid.OrderBy(peer => peer.Number)];
        return CollectionsMarshal.AsSpan(_inOrder)[IndexFrom(from)..];
    }

    /// <summary>
    /// Adds <paramref name="peer"/>, which has its number, the highest so far. If that fails, <see cref="Remove"/> cleans up.
    /// </summary>
    public void Add(Peer peer)
    {
        _byCid.Add(peer);
        _byToken.Add(peer);
        _inOrder?.Add(peer);
    }

    public void Remove(Peer peer)
    {
        RemoveFrom(_byCid, peer);
        RemoveFrom(_byToken, peer);
        if (_inOrder is not null && IndexFrom(peer.Number) is int index && index < _inOrder.Count && _inOrder[index] == peer)
            _inOrder.RemoveAt(index);
    }

    private int IndexFrom(int number)
    {
        int low = 0, high = _inOrder!.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_inOrder[middle].Number < number)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    private static void RemoveFrom(HashSet<Peer> peers, Peer peer)
    {
        peers.Remove(peer);

        // What a crowd needed is given back, in so few steps that they cost no more than its coming did.
        if (peers.Capacity > FewPeers && peers.Count < peers.Capacity / 8)
            peers.TrimExcess(peers.Count * 2);
    }

    private sealed class CidComparer : IEqualityComparer<Peer>, IAlternateEqualityComparer<PeerId, Peer>
    {
        public static readonly CidComparer Instance = new();

        public bool Equals(Peer? one, Peer? other) => one == other;

        public bool Equals(PeerId cid, Peer peer) => peer.Cid == cid;

        public int GetHashCode(Peer peer) => peer.Cid.GetHashCode();

        public int GetHashCode(PeerId cid) => cid.GetHashCode();

        public Peer Create(PeerId cid) => throw new NotSupportedException();
    }

    private sealed class TokenComparer : IEqualityComparer<Peer>, IAlternateEqualityComparer<Token, Peer>
    {
        public static readonly TokenComparer Instance = new();

        public bool Equals(Peer? one, Peer? other) => one == other;

        public bool Equals(Token token, Peer peer) => peer.Token == token;

        public int GetHashCode(Peer peer) => peer.Token.GetHashCode();

        public int GetHashCode(Token token) => token.GetHashCode();

        public Peer Create(Token token) => throw new NotSupportedException();
    }
}
