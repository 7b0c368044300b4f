using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// What session peers hear of each other: the roster, and news of single peers or, in a crowd, a count (PROTOCOL.md, 3.6).
/// </summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[Parallelizable]
public sealed class PresenceTests
{
    private readonly string _owns = SessionPeer.NewSecret();
    private readonly string _joins = SessionPeer.NewSecret();
    private TestServer _server = null!;

    [SetUp]
    public async Task StartAsync() => _server = await TestServer.StartAsync(options => options.Heartbeat = TimeSpan.FromSeconds(1));

    [TearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [Test]
    public async Task The_owner_and_peers_that_ask_for_it_have_a_roster_and_hear_of_all_others()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1&meta=%7B%22name%22%3A+%22A%E2%80%A8%22%7D", _owns);
        using SessionPeer deaf = await SessionPeer.OpenAsync(_server, "/room?meta=2", SessionPeer.NewSecret());
        SessionPeer hears = await SessionPeer.OpenAsync(_server, "/room?presence=all", _joins);
        Assert.That(
            hears.Connect.Data.GetProperty("peers").GetRawText(),
            Is.EqualTo($"[{{\"cid\":\"{owner.Cid}\",\"n\":1,\"meta\":{{\"name\":\"A\\u2028\"}}}},"
                + $"{{\"cid\":\"{deaf.Cid}\",\"n\":2,\"meta\":2}},{{\"cid\":\"{hears.Cid}\",\"n\":3}}]"));
        Assert.That(deaf.Connect.Data.TryGetProperty("peers", out _), Is.False);
        SessionEvent join = await owner.ReadAsync("join");
        Assert.That((join.Text("cid"), join.Number("n"), join.Number("meta")), Is.EqualTo((deaf.Cid, 2L, 2L)));
        join = await owner.ReadAsync("join");
        Assert.That(join.Data.TryGetProperty("meta", out _), Is.False);
        Assert.That(join.Id, Is.EqualTo(hears.Connect.Id), "the join of which connect tells the number");
        using RawPeer plain = await _server.JoinAsync("room");
        deaf.Stream.Reset();
        foreach (SessionPeer watcher in new[] { owner, hears })
        {
            SessionEvent news = await watcher.ReadAsync("join");
            Assert.That((news.Text("id"), news.Text("cid"), news.Number("n")), Is.EqualTo(("room", plain.Cid, 4L)));
            Assert.That((await watcher.ReadAsync("away")).Text("cid"), Is.EqualTo(deaf.Cid));
        }

        using SessionPeer other = await SessionPeer.OpenAsync(_server, "/room?presence=all", SessionPeer.NewSecret());
        JsonElement entry = other.Connect.Data.GetProperty("peers")[1];
        Assert.That((entry.GetProperty("cid").GetString(), entry.GetProperty("away").GetBoolean()), Is.EqualTo((deaf.Cid, true)));
        plain.Dispose();
        hears.Stream.Reset();
        Assert.That((await owner.ReadAsync("join")).Text("cid"), Is.EqualTo(other.Cid));
        string[] news2 = [$"{await owner.ReadAsync()}", $"{await owner.ReadAsync()}"];
        Assert.That(news2, Has.Some.Contains("lost").And.Contains(plain.Cid));
        Assert.That(news2, Has.Some.Contains("away").And.Contains(hears.Cid));
        using SessionPeer back = await SessionPeer.OpenAsync(_server, "/room", _joins, hears.Connect.Id);
        Assert.That(back.Connect.Data.GetProperty("peers").GetArrayLength(), Is.EqualTo(4), "presence is kept from the join");
        Assert.That((await owner.ReadAsync("back")).Text("cid"), Is.EqualTo(hears.Cid));
        await owner.SendAsync(_server, "\"data\":1");
        await back.ReadAsync("signal"); // and nothing of its own before that
    }

    [Test]
    public async Task Any_peer_asks_for_a_page_of_the_roster()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1", _owns);
        using RawPeer plain = await _server.JoinAsync("room");
        RawResponse all = await _server.PostFormAsync(plain, "do=peers");
        JsonElement page = JsonDocument.Parse(all.Body).RootElement;
        Assert.That(page.GetProperty("count").GetInt32(), Is.EqualTo(2));
        Assert.That(page.GetProperty("event").GetString(), Does.EndWith(".0"));
        Assert.That(page.GetProperty("peers").GetArrayLength(), Is.EqualTo(2));
        page = JsonDocument.Parse((await _server.PostFormAsync(plain, "do=peers&from=2")).Body).RootElement;
        Assert.That(page.GetProperty("peers")[0].GetProperty("cid").GetString(), Is.EqualTo(plain.Cid));
        Assert.That((await _server.PostFormAsync(plain, "do=peers&from=first")).Status, Is.EqualTo(400));
        using RawPeer alone = await _server.CreateAsync();
        Assert.That(
            (await _server.PostFormAsync(alone, "do=peers")).Body,
            Is.EqualTo($"{{\"count\":1,\"peers\":[{{\"cid\":\"{alone.Cid}\",\"n\":1}}]}}"), "there are no numbers here");
    }

    [Test]
    public async Task A_roster_of_more_than_64_KiB_is_cut_after_a_whole_entry_and_goes_on_from_there()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1", _owns);
        string meta = $"%22{new string('m', 500)}%22";
        List<SessionPeer> guests = [];
        for (int n = 0; n < 150; n++)
            guests.Add(await SessionPeer.OpenAsync(_server, "/room?meta=" + meta, SessionPeer.NewSecret()));
        using SessionPeer hears = await SessionPeer.OpenAsync(_server, "/room?presence=all", _joins);
        JsonElement peers = hears.Connect.Data.GetProperty("peers");
        Assert.That(hears.Connect.Number("count"), Is.EqualTo(152));
        Assert.That(peers.GetRawText(), Has.Length.InRange(63 * 1024, 64 * 1024));
        int next = peers[peers.GetArrayLength() - 1].GetProperty("n").GetInt32() + 1;
        JsonElement rest = JsonDocument.Parse((await hears.PostAsync(_server, $"\"do\":\"peers\",\"from\":{next}")).Body).RootElement;
        Assert.That(
            rest.GetProperty("peers").EnumerateArray().Select(peer => peer.GetProperty("n").GetInt32()),
            Is.EqualTo(Enumerable.Range(next, 152 - next + 1)));
        guests.ForEach(guest => guest.Dispose());
    }

    /// <summary>Above 1,000 peers watchers hear a count, until there are fewer than 900. Then a roster comes before single news.</summary>
    [Test]
    public async Task A_crowd_is_told_as_a_count()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1", _owns);
        List<RawPeer> crowd = [];
        for (int n = 0; n < 1010; n++)
            crowd.Add(await _server.JoinAsync("room"));
        int joins = 0;
        SessionEvent next;
        while ((next = await owner.ReadAsync().WaitAsync(RawConnection.Patience)).Name == "join")
            joins++;
        Assert.That((joins, next.Name), Is.EqualTo((999, "count")), "with the owner 1,000 peers are told one by one");
        while (next.Number("count") < 1011)
            next = await owner.ReadAsync("count");
        Assert.That(next.Data.TryGetProperty("peers", out _), Is.False);
        foreach (RawPeer peer in crowd.Take(111))
            peer.Dispose();
        while (next.Number("count") > 900)
            next = await owner.ReadAsync("count");
        crowd[111].Dispose();
        while (!next.Data.TryGetProperty("peers", out _))
            next = await owner.ReadAsync("count");
        Assert.That(next.Number("count"), Is.EqualTo(899));
        Assert.That((await owner.ReadAsync("leave")).Text("cid"), Is.EqualTo(crowd[111].Cid));
        crowd.ForEach(peer => peer.Dispose());
    }
}
