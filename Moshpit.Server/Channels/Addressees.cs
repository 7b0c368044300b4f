using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>The peers that a message names in an array, each counted once, and what becomes of it for each of them.</summary>
internal sealed class Addressees
{
    /// <summary>Most elements of such an array.</summary>
    public const int Most = 100;

    private readonly List<Addressee> _all = [];
    private int _named;

    /// <summary>In the order in which they were named.</summary>
    public IReadOnlyList<Addressee> All => _all;

    /// <summary>More were named than may be.</summary>
    public bool AreTooMany => _named > Most;

    /// <summary>Adds the peer that <paramref name="text"/> names; with the text as JSON, in case that it is no cid.</summary>
    public void Add(ReadOnlySpan<byte> text, ReadOnlySpan<byte> json)
    {
        if (PeerId.TryParse(text, out PeerId cid))
            Add(cid);
        else
            AddUnknown(json);
    }

    /// <summary>Adds what was named by <paramref name="json"/>, a JSON string that is no cid, and so of no peer.</summary>
    private void AddUnknown(ReadOnlySpan<byte> json)
    {
        if (++_named > Most)
            return;
        foreach (Addressee other in _all)
        {
            if (other.Unknown.AsSpan().SequenceEqual(json))
                return;
        }

        _all.Add(new Addressee(default, json.ToArray()));
    }

    /// <summary>Adds the peer that <paramref name="cid"/> names, if there is one.</summary>
    private void Add(PeerId cid)
    {
        if (++_named > Most)
            return;
        foreach (Addressee other in _all)
        {
            if (other.Unknown is null && other.Cid == cid)
                return;
        }

        _all.Add(new Addressee(cid, null));
    }

    /// <summary>Whether <paramref name="peer"/> is named.</summary>
    public bool Include(Peer peer)
    {
        foreach (Addressee addressee in _all)
        {
            if (addressee.Unknown is null && addressee.Cid == peer.Cid)
                return true;
        }

        return false;
    }

    /// <summary>Only one was named, and got the message.</summary>
    public void OnSentToOne(in Delivery delivery) => _all[0].State = delivery.Away > 0 ? AddresseeState.Away : AddresseeState.Sent;

    /// <summary>Finds those that are among <paramref name="members"/>, whose lock is held.</summary>
    /// <returns>How many there are; so many of <paramref name="audiences"/>, which has room for <see cref="Most"/>, are for them.</returns>
    public int Find(Members members, Span<Audience> audiences)
    {
        int count = 0;
        foreach (Addressee addressee in _all)
        {
            addressee.Peer = addressee.Unknown is null ? members.Find(addressee.Cid) : null;
            if (addressee.Peer is not { } peer)
                continue;
            addressee.State = peer.Session is { IsAway: true } ? AddresseeState.Away : AddresseeState.Sent;
            audiences[count++] = Audience.Of(peer.Number);
        }

        return count;
    }
}

/// <summary>One of several peers that a message is for.</summary>
/// <param name="cid">Its name.</param>
/// <param name="unknown">What it was named by instead, as JSON; null: by a cid.</param>
internal sealed class Addressee(PeerId cid, byte[]? unknown)
{
    public PeerId Cid { get; } = cid;

    public byte[]? Unknown { get; } = unknown;

    /// <summary>It, if it was found.</summary>
    public Peer? Peer { get; set; }

    /// <summary>What became of the message for it.</summary>
    public AddresseeState State { get; set; }
}

/// <summary>What became of a message for one of several peers.</summary>
internal enum AddresseeState : byte
{
    /// <summary>No such peer is in the channel.</summary>
    Gone,
    Sent,

    /// <summary>It is kept for when the peer comes back.</summary>
    Away,
}
