using System.Diagnostics;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>Thousands of peers come at once. What that costs grows with their number, not with its square.</summary>
[NonParallelizable]
public sealed class StormTests
{
    private const int Watchers = 50;
    private const int Crowd = 5_000;
    private const int OneMegabit = 125_000;

    /// <summary>Peers in a channel up to which each of them is told by an event of its own.</summary>
    private const int MostTold = 1_000;

    [Test]
    public async Task Five_thousand_peers_join_while_fifty_hear_of_all_and_the_owner_reads_at_one_megabit()
    {
        await using TestServer server = await TestServer.StartAsync();
        using SessionPeer owner = await SessionPeer.OpenAsync(
            server.ConnectNarrow(), "/storm?create=1", SessionPeer.FieldsOf(SessionPeer.NewSecret()));
        owner.Stream.BytesPerSecond = OneMegabit;
        List<SessionPeer> all = [owner];
        for (int n = 0; n < Watchers; n++)
            all.Add(await SessionPeer.OpenAsync(server, "/storm?presence=all", SessionPeer.NewSecret()));
        var clock = Stopwatch.StartNew();
        Task<(int Joins, int Counts)>[] heard = [.. all.Select(ListenAsync)];

        RawPeer[][] crowd = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            var joined = new RawPeer[Crowd / 20];
            for (int n = 0; n < joined.Length; n++)
                joined[n] = await server.JoinAsync("storm");
            return joined;
        }));
        for (int n = 0; n < all.Count; n++)
        {
            (int joins, int counts) = await heard[n];
            Assert.That(joins, Is.EqualTo(MostTold - n - 1), "each that came after it, up to the limit");
            Assert.That(counts, Is.InRange(1, clock.Elapsed.TotalSeconds + 1), "at most one a second");
        }

        foreach (RawPeer peer in crowd.SelectMany(part => part))
            peer.Dispose();
        all.ForEach(peer => peer.Dispose());
    }

    /// <summary>Reads until all have come: how many joins it was told of, and how many counts.</summary>
    private static async Task<(int Joins, int Counts)> ListenAsync(SessionPeer peer)
    {
        (int joins, int counts) = (0, 0);
        while (true)
        {
            SessionEvent news = await peer.ReadAsync();
            Assert.That(news.Name, Is.EqualTo(counts == 0 && news.Name == "join" ? "join" : "count"));
            if (news.Name == "join")
                joins++;
            else
                counts++;
            if (news.Name == "count" && news.Number("count") == 1 + Watchers + Crowd)
                return (joins, counts);
        }
    }
}
