using Moshpit.Tests.Support;

namespace Moshpit.Tests.Client;

/// <summary>What the client does in rooms of a real server (PROTOCOL.md, 3.6).</summary>
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class RoomTests
{
    private readonly List<MoshpitPeer> _peers = [];
    private TestServer _server = null!;

    [SetUp]
    public async Task StartAsync() => _server = await TestServer.StartAsync();

    [TearDown]
    public async Task StopAsync()
    {
        foreach (MoshpitPeer peer in _peers)
            await peer.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Test]
    public async Task The_first_peer_creates_a_named_room_as_it_wants_it_and_others_join_it()
    {
        const string Meta = "{\"a\":\"ä&=+ \"}";
        (MoshpitPeer owner, MoshpitEvent first) = await OpenAsync(
            "lobby", new MoshpitPeerOptions { Create = true, Max = 2, Publish = MoshpitPublish.Owner, Keep = true, Meta = Meta });
        (MoshpitPeer guest, MoshpitEvent second) = await OpenAsync(
            "lobby", new MoshpitPeerOptions { Create = true, Max = 9, Presence = true });
        Assert.That((first.Id, first.Owner, first.Count), Is.EqualTo(("lobby", first.Cid, 1)));
        Assert.That((second.Owner, second.Count), Is.EqualTo((first.Cid, 2)));
        Assert.That(second.Room, Has.Property("Max").EqualTo(2).And.Property("Publish").EqualTo(MoshpitPublish.Owner)
            .And.Property("Keep").True.And.Property("IsLocked").False);
        Assert.That(
            second.Peers!.Select(peer => (peer.Cid, peer.Number, peer.IsAway, peer.Meta)),
            Is.EqualTo(new[] { (first.Cid!, 1, false, Meta), (second.Cid!, 2, false, null) }));
        Assert.That((await FailureOf(guest.Write("1"))).Status, Is.EqualTo(403));
        await guest.Write("2", first.Cid);
        Assert.That((await owner.ReadUntilAsync(MoshpitEventKind.Signal)).Data, Is.EqualTo("2"));
        MoshpitPeer third = Open("lobby", new MoshpitPeerOptions());
        Assert.That((await FailureOf(third.Connected)).Status, Is.EqualTo(503));
    }

    [Test]
    public async Task A_name_without_a_room_is_an_error_unless_it_is_to_be_created()
    {
        MoshpitPeer peer = Open("missing", new MoshpitPeerOptions());
        Assert.That((await FailureOf(peer.Connected)).Status, Is.EqualTo(404));
    }

    [Test]
    public async Task A_peer_hears_of_all_others_if_it_wants_to()
    {
        (_, MoshpitEvent first) = await OpenAsync("lobby", new MoshpitPeerOptions { Create = true });
        (MoshpitPeer hears, _) = await OpenAsync("lobby", new MoshpitPeerOptions { Presence = true });
        (MoshpitPeer other, MoshpitEvent second) = await OpenAsync("lobby", new MoshpitPeerOptions { Meta = "[\"x\"]" });
        await other.DisposeAsync();
        MoshpitEvent join = await hears.ReadUntilAsync(MoshpitEventKind.Join);
        MoshpitEvent leave = await hears.ReadUntilAsync(MoshpitEventKind.Leave);
        Assert.That((join.Cid, join.Number, join.Meta), Is.EqualTo((second.Cid, 3, "[\"x\"]")));
        Assert.That((leave.Cid, leave.Number, leave.Reason), Is.EqualTo((second.Cid, 3, "left")));
        Assert.That(first.Peers!.Single().Cid, Is.EqualTo(first.Cid), "an owner is told of all");
    }

    [Test]
    public async Task The_owner_throws_out_hands_over_changes_and_closes_and_no_other_peer_may()
    {
        (MoshpitPeer owner, MoshpitEvent first) = await OpenAsync("lobby", new MoshpitPeerOptions { Create = true });
        (MoshpitPeer heir, MoshpitEvent second) = await OpenAsync("lobby", new MoshpitPeerOptions());
        (MoshpitPeer third, MoshpitEvent unwanted) = await OpenAsync("lobby", new MoshpitPeerOptions());
        Task[] refused = [heir.Kick(unwanted.Cid!), heir.HandOver(unwanted.Cid!), heir.ChangeRoom(isLocked: true), heir.CloseRoom()];
        foreach (Task task in refused)
            Assert.That((await FailureOf(task)).Status, Is.EqualTo(403));

        await owner.Kick(unwanted.Cid!);
        MoshpitEvent bye = await third.ReadUntilAsync(MoshpitEventKind.Bye);
        Assert.That(bye.Reason, Is.EqualTo("kicked"));
        await third.Completion.Soon();
        Assert.That((await FailureOf(owner.Kick(unwanted.Cid!))).Status, Is.EqualTo(404));

        await owner.ChangeRoom(isLocked: true, max: 7, publish: MoshpitPublish.Owner, keep: true);
        MoshpitRoom room = (await heir.ReadUntilAsync(MoshpitEventKind.Room)).Room!;
        Assert.That((room.IsLocked, room.Max, room.Publish, room.Keep), Is.EqualTo((true, 7, MoshpitPublish.Owner, true)));
        Assert.That((await FailureOf(Open("lobby", new MoshpitPeerOptions()).Connected)).Status, Is.EqualTo(403));

        await owner.HandOver(second.Cid!);
        MoshpitEvent news = await heir.ReadUntilAsync(MoshpitEventKind.Owner);
        Assert.That((news.Owner, news.FormerOwner, news.Reason, news.Count), Is.EqualTo((second.Cid, first.Cid, "given", 2)));
        Assert.That(news.Peers!.Select(peer => peer.Cid), Is.EqualTo(new[] { first.Cid, second.Cid }));
        await heir.CloseRoom();
        Assert.That((await owner.ReadUntilAsync(MoshpitEventKind.Bye)).Reason, Is.EqualTo("closed"));
        await owner.Completion.Soon();
        await heir.Completion.Soon();
    }

    [Test]
    public async Task The_host_leaves_and_the_room_goes_on()
    {
        (MoshpitPeer owner, MoshpitEvent first) = await OpenAsync("lobby", new MoshpitPeerOptions { Create = true, Keep = true });
        (MoshpitPeer heir, MoshpitEvent second) = await OpenAsync("lobby", new MoshpitPeerOptions { Create = true, Keep = true });
        await owner.DisposeAsync();
        MoshpitEvent news = await heir.ReadUntilAsync(MoshpitEventKind.Owner);
        Assert.That((news.Owner, news.FormerOwner, news.Reason), Is.EqualTo((second.Cid, first.Cid, "left")));
        await heir.Write("1");
        Assert.That((await heir.ReadUntilAsync(MoshpitEventKind.Signal)).Data, Is.EqualTo("1"));
    }

    [Test]
    public async Task All_peers_are_told_although_they_do_not_fit_into_one_answer()
    {
        string meta = $"\"{new string('x', 500)}\"";
        (MoshpitPeer owner, _) = await OpenAsync("lobby", new MoshpitPeerOptions { Create = true, Meta = meta });
        for (int i = 0; i < 149; i++)
            await OpenAsync("lobby", new MoshpitPeerOptions { Meta = meta });
        MoshpitRoster part = await owner.Peers();
        MoshpitRoster all = await owner.AllPeers();
        Assert.That((part.Count, all.Count), Is.EqualTo((150, 150)));
        Assert.That(part.Peers, Has.Count.InRange(100, 149));
        Assert.That(all.Peers.Select(peer => peer.Number), Is.EqualTo(Enumerable.Range(1, 150)));
        Assert.That(all.Peers.Select(peer => peer.Meta), Is.All.EqualTo(meta));
        Assert.That((await owner.Peers(from: 149)).Peers.Select(peer => peer.Number), Is.EqualTo(new[] { 149, 150 }));
    }

    [Test]
    public async Task A_receipt_for_the_most_peers_tells_of_each()
    {
        (MoshpitPeer owner, _) = await OpenAsync("lobby", new MoshpitPeerOptions { Create = true });
        string[] cids = [.. Enumerable.Range(0, 99).Select(n => n.ToString("x32"))];
        (MoshpitPeer other, MoshpitEvent connect) = await OpenAsync("lobby", new MoshpitPeerOptions());
        MoshpitReceipt receipt = await owner.Write("1", MoshpitRecipients.Of([.. cids, connect.Cid!]));
        Assert.That(cids.Select(receipt.StateOf), Is.All.EqualTo("gone"));
        Assert.That((receipt.StateOf(connect.Cid!), receipt.To), Is.EqualTo(("sent", 1)));
    }

    [Test]
    public async Task What_a_peer_tells_about_itself_may_be_as_deep_as_the_server_takes_it()
    {
        string deep = new string('[', 63) + new string(']', 63);
        (MoshpitPeer owner, _) = await OpenAsync("lobby", new MoshpitPeerOptions { Create = true });
        (MoshpitPeer hears, MoshpitEvent connect) = await OpenAsync("lobby", new MoshpitPeerOptions { Presence = true, Meta = deep });
        Assert.That((await owner.ReadUntilAsync(MoshpitEventKind.Join)).Meta, Is.EqualTo(deep));
        Assert.That(connect.Peers![1].Meta, Is.EqualTo(deep));
        Assert.That((await hears.Peers()).Peers[1].Meta, Is.EqualTo(deep));

        // One level more than the client itself sends.
        using SessionPeer raw = await SessionPeer.OpenAsync(_server, $"/lobby?meta=[{deep}]", SessionPeer.NewSecret());
        Assert.That((await owner.ReadUntilAsync(MoshpitEventKind.Join)).Meta, Is.EqualTo($"[{deep}]"));
        MoshpitPeer last = Open("lobby", new MoshpitPeerOptions { Presence = true });
        Assert.That((await last.Connected.Soon()).Peers![2].Meta, Is.EqualTo($"[{deep}]"));
    }

    [TestCase("")]
    [TestCase("{")]
    [TestCase("1,2")]
    [TestCase("word")]
    public void What_a_peer_tells_about_itself_must_be_one_JSON_value(string meta) =>
        Assert.That(() => Open("lobby", new MoshpitPeerOptions { Meta = meta }), Throws.ArgumentException.With.Message.Contains("JSON"));

    [Test]
    public async Task What_a_peer_tells_about_itself_has_a_limit()
    {
        string longest = $"\"{new string('ä', 255)}\"";
        (_, MoshpitEvent connect) = await OpenAsync("lobby", new MoshpitPeerOptions { Create = true, Meta = longest });
        Assert.That(connect.Peers!.Single().Meta, Is.EqualTo(longest));
        Assert.That(
            () => Open("lobby", new MoshpitPeerOptions { Meta = longest + " " }),
            Throws.ArgumentException.With.Message.Contains("512 bytes"));
    }

    [Test]
    public async Task A_call_that_makes_no_sense_is_refused_at_once()
    {
        (MoshpitPeer peer, _) = await OpenAsync("lobby", new MoshpitPeerOptions { Create = true });
        Assert.That(() => peer.Kick(""), Throws.ArgumentException);
        Assert.That(() => peer.HandOver(""), Throws.ArgumentException);
        Assert.That(() => peer.ChangeRoom(), Throws.ArgumentException);
        Assert.That(() => peer.ChangeRoom(max: -1), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => Open("lobby", new MoshpitPeerOptions { Max = -1 }), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    private static async Task<MoshpitException> FailureOf(Task task)
    {
        try
        {
            await task.Soon();
        }
        catch (MoshpitException e)
        {
            return e;
        }

        throw new AssertionException("It did not fail.");
    }

    private MoshpitPeer Open(string name, MoshpitPeerOptions own)
    {
        MoshpitPeer peer = new MoshpitClient($"http://127.0.0.1:{_server.Port}").Open(name, own);
        _peers.Add(peer);
        return peer;
    }

    private async Task<(MoshpitPeer Peer, MoshpitEvent Connect)> OpenAsync(string name, MoshpitPeerOptions own)
    {
        MoshpitPeer peer = Open(name, own);
        return (peer, await peer.Connected.Soon());
    }
}
