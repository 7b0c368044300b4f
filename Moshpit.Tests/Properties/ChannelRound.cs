using Moshpit.Tests.Fuzz;

namespace Moshpit.Tests.Properties;

/// <summary>What happens in one channel in one round of a schedule, and what the protocol has to say about it.</summary>
internal sealed class ChannelRound(List<PitPeer> peers)
{
    private readonly PitPeer _owner = peers[0];

    public string Id => _owner.Id;

    /// <summary>The peers that came in this round.</summary>
    public List<PitPeer> Joined { get; } = [];

    /// <summary>The owner leaves in this round, and with it the channel.</summary>
    public bool IsClosing => _owner.Leaving is not null;

    /// <summary>The peers that are there after this round, the owner first.</summary>
    public List<PitPeer> Remaining => [.. Staying, .. Joined];

    private IEnumerable<PitPeer> Staying => peers.Where(peer => peer.Leaving is null);

    private IEnumerable<PitPeer> Leaving => peers.Where(peer => peer.Leaving is not null);

    public async Task CheckAsync()
    {
        if (IsClosing)
        {
            foreach (PitPeer peer in Remaining)
                await peer.HearToEndAsync();
        }
        else
        {
            // Whatever happened in the round is in its place before the owner's last word in it.
            await _owner.HearUntilAsync(() => _owner.Told.Count(heard => heard.Name == "leave") >= Leaving.Count());
            _owner.Say(null);
            PitPeer.Post last = _owner.Posted.Last();
            await _owner.PostLastAsync();
            foreach (PitPeer peer in Remaining)
                await peer.HearUntilAsync(() => peer.Told.Any(last.WasHeardAs));
        }

        PitPeer.Post[] posts = [.. peers.Concat(Joined).SelectMany(peer => peer.Posted)];
        foreach (PitPeer peer in peers.Concat(Joined))
            CheckStatuses(peer);
        foreach (PitPeer peer in Staying)
            CheckStaying(peer, posts);
        foreach (PitPeer peer in Joined)
            Require(peer.Posted.All(post => post.Status != 200 || peer.Told.Any(post.WasHeardAs)), "It did not hear itself.", peer);
        CheckOrder(posts);
        if (!IsClosing)
            CheckOwner();
    }

    private void CheckStatuses(PitPeer sender)
    {
        foreach (PitPeer.Post post in sender.Posted)
        {
            bool foreign = post.Addressee is not null && post.Addressee.Id != Id;
            bool allowed = post.Status switch
            {
                200 => !foreign,
                401 => sender.Leaving is not null,
                404 => foreign || IsClosing || post.Addressee?.Leaving is not null,
                _ => false,
            };
            Require(allowed, $"The answer to {post.N} of {sender.Number} was {post.Status}.", sender);
        }
    }

    /// <summary>A peer that was there all the time was told of everything, once, and of nothing else.</summary>
    private void CheckStaying(PitPeer peer, PitPeer.Post[] posts)
    {
        PitPeer.Heard[] signals = [.. peer.Told.Where(heard => heard.Name == "signal")];
        Require(signals.Distinct().Count() == signals.Length, "It heard something twice.", peer);
        foreach (PitPeer.Post post in posts.Where(post => post.Status == 200))
        {
            bool heard = signals.Any(post.WasHeardAs);

            // A direct message to a channel that is just closing may be too late.
            bool due = post.Addressee is null || (post.Addressee == peer && !IsClosing);
            Require(!due || heard, $"It did not hear {post.N} of {post.From}.", peer);
        }

        foreach (PitPeer.Heard signal in signals)
        {
            bool meant = posts.Any(post =>
                post.WasHeardAs(signal) && post.Status == 200 && (post.Addressee is null || post.Addressee == peer));
            Require(meant, $"It heard {signal.N} of {signal.From}, which was not for it, or not taken.", peer);
        }

        Require(peer == _owner || peer.Told.All(heard => heard.Name == "signal"), "It was told what only the owner is told.", peer);
    }

    /// <summary>
    /// All hear all broadcasts in one order; newcomers the end of it, leavers its beginning. And each sender's in its own order.
    /// </summary>
    private void CheckOrder(PitPeer.Post[] posts)
    {
        PitPeer? reference = Staying.FirstOrDefault();
        string order = reference is null ? "" : Broadcasts(reference, posts);
        foreach (PitPeer peer in peers.Concat(Joined))
        {
            var said = new Dictionary<int, int>();
            foreach (PitPeer.Heard heard in peer.Told.Where(heard => heard.Name == "signal"))
            {
                Require(heard.N > said.GetValueOrDefault(heard.From), $"It heard {heard.From} out of order.", peer);
                said[heard.From] = heard.N;
            }

            string broadcasts = Broadcasts(peer, posts);
            bool inOrder = reference is null || (Joined.Contains(peer) ? order.EndsWith(broadcasts, StringComparison.Ordinal)
                : peer.Leaving is null ? order == broadcasts : order.StartsWith(broadcasts, StringComparison.Ordinal));
            Require(inOrder, $"It heard broadcasts in another order than peer {reference?.Number}:\n{broadcasts}\n{order}", peer);
        }
    }

    private void CheckOwner()
    {
        string[] joins = [.. _owner.Told.Where(heard => heard.Name == "join").Select(heard => heard.Cid)];
        Require(joins.Order().SequenceEqual(Joined.Select(peer => peer.Cid).Order()), "It heard of other joins than there were.", _owner);
        string[] leaves = [.. _owner.Told.Where(heard => heard.Name == "leave").Select(heard => heard.Cid)];
        Require(leaves.Order().SequenceEqual(Leaving.Select(peer => peer.Cid).Order()),
            "It heard of other leaves than there were.", _owner);
        foreach (PitPeer peer in Joined)
        {
            int join = _owner.Told.FindIndex(heard => heard.Name == "join" && heard.Cid == peer.Cid);
            int said = _owner.Told.FindIndex(heard => heard.Name == "signal" && heard.From == peer.Number);
            Require(said < 0 || join < said, $"It heard peer {peer.Number} before it was told of it.", _owner);
        }
    }

    private static string Broadcasts(PitPeer peer, PitPeer.Post[] posts)
    {
        bool IsBroadcast(PitPeer.Heard heard) => posts.Any(post => post.Addressee is null && post.WasHeardAs(heard));
        return string.Concat(peer.Told.Where(IsBroadcast).Select(heard => $"<{heard.From}:{heard.N}>"));
    }

    private static void Require(bool condition, string what, PitPeer peer)
    {
        if (!condition)
            throw new FuzzException($"Peer {peer.Number}: {what}\nIt was told: {string.Join(", ", peer.Told)}");
    }
}
