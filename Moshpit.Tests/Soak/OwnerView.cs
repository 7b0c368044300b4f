using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>What an owner is told of the others: each joins once, is away and back in turns, and leaves once.</summary>
/// <param name="isWhole">The owner has one stream all the time, so it hears everything.</param>
internal sealed class OwnerView(bool isWhole)
{
    private readonly Dictionary<string, State> _peers = [];

    private enum State
    {
        /// <summary>News of it may have been lost.</summary>
        Unknown,
        Here,
        Away,
        Left,
    }

    /// <summary>Peers that joined.</summary>
    public int Joined => _peers.Count;

    /// <summary>A new stream begins: news is not sent again, so all may be different.</summary>
    public void Restart()
    {
        foreach ((string cid, State state) in _peers)
            _peers[cid] = state == State.Left ? State.Left : State.Unknown;
    }

    /// <summary>Takes in an event of another peer's presence.</summary>
    public void Take(SessionEvent news)
    {
        string cid = news.Text("cid");
        bool isNew = !_peers.TryGetValue(cid, out State state);
        bool isPossible = news.Name switch
        {
            "join" => isNew,
            "away" => state is State.Here or State.Unknown,
            "back" => state is State.Away or State.Unknown,
            _ => state != State.Left && news.Text("reason") == "left",
        };
        isPossible &= news.Name == "join" || !isNew || !isWhole;
        Assert.That(isPossible, $"{news} about a peer that was {(isNew ? "new" : state)}");
        _peers[cid] = news.Name switch
        {
            "away" => State.Away,
            "leave" => State.Left,
            _ => State.Here,
        };
    }
}
