using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>Channels with a name, with settings, and with an owner that may change (PROTOCOL.md, 3.6).</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[Parallelizable]
public sealed class RoomTests
{
    private readonly string _owns = SessionPeer.NewSecret();
    private readonly string _joins = SessionPeer.NewSecret();
    private TestServer _server = null!;

    [SetUp]
    public async Task StartAsync() => _server = await TestServer.StartAsync(options => options.Grace = TimeSpan.FromSeconds(30));

    [TearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [Test]
    public async Task A_name_is_joined_or_created_by_plain_and_session_streams_alike()
    {
        using RawPeer first = await RawPeer.OpenAsync(_server.Connect(), "/lobby?create=1");
        using SessionPeer second = await SessionPeer.OpenAsync(_server, "/lobby?create=1", _joins);
        using RawPeer third = await RawPeer.OpenAsync(_server.Connect(), "/lobby");
        Assert.That((first.Id, second.Id, third.Id), Is.EqualTo(("lobby", "lobby", "lobby")));
        Assert.That(second.Connect.Text("owner"), Is.EqualTo(first.Cid));
        Assert.That(await first.ReadEventAsync(), Does.StartWith("event: join\ndata: {\"id\":\"lobby\",\"cid\":\"" + second.Cid));
        await first.ReadEventAsync();
        await second.SendAsync(_server, "\"data\":1");
        Assert.That(await third.ReadSignalAsync(), Does.StartWith("1\n"));
        first.Dispose();
        Assert.That((await second.ReadAsync("signal")).Data.GetInt64(), Is.EqualTo(1));
        Assert.That((await second.ReadAsync("bye")).Text("reason"), Is.EqualTo("closed"));
        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/lobby?create=1", _joins);
        Assert.That(again.Connect.Text("owner"), Is.EqualTo(again.Cid), "a new channel of that name");
    }

    [TestCase("/0123456789abcdef0123456789abcdef?create=1", 404)]
    [TestCase("/a123456789b123456789c123456789d123456789e123456789f123456789g1234?create=1", 404)]
    [TestCase("/Lobby?create=1", 404)]
    [TestCase("/lobby", 404)]
    [TestCase("/lobby?create=2", 404)]
    [TestCase("/a123456789b123456789c123456789d123456789e123456789f123456789g123?create=1", 200)]
    [TestCase("/x?create=1&max=none&create=1", 200)]
    public async Task Which_names_a_plain_stream_creates(string target, int status)
    {
        using RawConnection connection = _server.Connect();
        connection.Send(Asking.Text("GET", target));
        Assert.That((await connection.ReadHeadAsync()).Status, Is.EqualTo(status));
        RawResponse head = await _server.AskAsync("HEAD", target.Replace("/", "/other"));
        Assert.That(head.Status, Is.EqualTo(target.Contains("e123456789") ? 404 : head.Status), "HEAD says it without creating");
        Assert.That(_server.Server.Parts.Channels.Count, Is.EqualTo(status == 200 ? 1 : 0));
    }

    [TestCase("create=0", "create is malformed")]
    [TestCase("create=1&create=1", "more than once")]
    [TestCase("create=1&max=-1", "settings of the new channel")]
    [TestCase("create=1&max=", "settings of the new channel")]
    [TestCase("create=1&publish=me", "settings of the new channel")]
    [TestCase("create=1&keep=yes", "settings of the new channel")]
    [TestCase("create=1&keep=1&keep=1", "more than once")]
    [TestCase("create=1&presence=owner", "presence is malformed")]
    [TestCase("create=1&meta={", "meta is malformed")]
    [TestCase("create=1&meta=%22%ff%22", "meta is malformed")]
    [TestCase("create=1&meta=1&meta=1", "more than once")]
    public async Task A_session_is_told_which_parameter_is_wrong(string query, string sentence)
    {
        RawResponse response = await _server.AskAsync("GET", "/room?" + query, SessionPeer.FieldsOf(_owns));
        Assert.That((response.Status, response["Retry-After"]), Is.EqualTo((400, (string?)null)));
        Assert.That(response.Body, Does.Contain(sentence));
        Assert.That(_server.Server.Parts.Channels.Count, Is.Zero);
    }

    [Test]
    public async Task Settings_are_read_from_the_peer_that_creates_and_told_where_they_differ()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1&max=2&publish=owner&keep=1", _owns);
        Assert.That(
            (owner.Connect.Number("max"), owner.Connect.Text("publish"), owner.Connect.Flag("keep")), Is.EqualTo((2L, "owner", true)));
        Assert.That(owner.Connect.Data.TryGetProperty("locked", out _), Is.False);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/room?create=1&max=many&keep=0", _joins);
        Assert.That((guest.Connect.Number("max"), guest.Connect.Flag("keep")), Is.EqualTo((2L, true)), "on a join they are ignored");
        using SessionPeer plain = await SessionPeer.OpenAsync(_server, "/", SessionPeer.NewSecret());
        foreach (string name in new[] { "max", "publish", "keep", "locked" })
            Assert.That(plain.Connect.Data.TryGetProperty(name, out _), Is.False, name);
    }

    [Test]
    public async Task A_full_room_refuses_for_good_and_lets_its_own_peers_come_back()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1&max=2", _owns);
        SessionPeer guest = await SessionPeer.OpenAsync(_server, "/room", _joins);
        await owner.ReadAsync("join");
        guest.Stream.Reset();
        await owner.ReadAsync("away");
        RawResponse full = await _server.AskAsync("GET", "/room", SessionPeer.FieldsOf(SessionPeer.NewSecret()));
        Assert.That((full.Status, full["Retry-After"]), Is.EqualTo((503, (string?)null)), "the one that is away counts");
        Assert.That((await _server.AskAsync("GET", "/room")).Status, Is.EqualTo(503), "a plain one too");
        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/room", _joins);
        Assert.That(again.Cid, Is.EqualTo(guest.Cid));
    }

    [Test]
    public async Task Where_the_owner_publishes_others_send_to_single_peers_only()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1&publish=owner", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/room", _joins);
        await owner.ReadAsync("join");
        RawResponse refused = await guest.PostAsync(_server, "\"data\":1,\"seq\":1");
        Assert.That((refused.Status, refused.Body), Is.EqualTo((403,
            "Only the owner of this channel sends to more than one peer; name one peer in cid.\n")));
        Assert.That((await guest.PostAsync(_server, $"\"data\":1,\"cid\":[\"{owner.Cid}\",\"{guest.Cid}\"]")).Status, Is.EqualTo(403));
        await guest.SendAsync(_server, $"\"data\":2,\"seq\":1,\"cid\":\"{owner.Cid}\"");
        await owner.SendAsync(_server, "\"data\":3");
        Assert.That((await owner.ReadAsync("signal")).Data.GetInt64(), Is.EqualTo(2), "a refused number is not taken");
        Assert.That((await guest.ReadAsync("signal")).Data.GetInt64(), Is.EqualTo(3));
    }

    [Test]
    public async Task The_owner_changes_the_room_and_all_session_peers_hear_it()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/room", _joins);
        using RawPeer plain = await _server.JoinAsync("room");
        await owner.ReadAsync("join");
        await owner.ReadAsync("join");
        Assert.That((await guest.PostAsync(_server, "\"do\":\"room\",\"locked\":true")).Status, Is.EqualTo(403));
        foreach (string bad in new[] { "\"locked\":1", "\"max\":\"2\"", "\"publish\":\"me\"", "\"keep\":null", "\"other\":1" })
            Assert.That((await owner.PostAsync(_server, $"\"do\":\"room\",{bad}")).Status, Is.EqualTo(400), bad);
        await owner.SendAsync(_server, "\"do\":\"room\",\"locked\":true,\"max\":1");
        await owner.SendAsync(_server, "\"do\":\"room\",\"locked\":true");
        await owner.SendAsync(_server, "\"data\":1");
        foreach (SessionPeer peer in new[] { owner, guest })
        {
            SessionEvent room = await peer.ReadAsync("room");
            Assert.That(
                (room.Text("id"), room.Flag("locked"), room.Number("max"), room.Text("publish"), room.Flag("keep")),
                Is.EqualTo(("room", true, 1L, "all", false)));
            Assert.That(room.Id, Does.EndWith(".0"));
            await peer.ReadAsync("signal"); // a change that changes nothing is not told
        }

        Assert.That(await plain.ReadSignalAsync(), Does.StartWith("1\n"), "a plain peer hears messages alone");
        RawResponse locked = await _server.AskAsync("GET", "/room", SessionPeer.FieldsOf(SessionPeer.NewSecret()));
        Assert.That((locked.Status, locked["Retry-After"]), Is.EqualTo((403, (string?)null)), "locked is judged before full");
        Assert.That((await _server.AskAsync("GET", "/room")).Status, Is.EqualTo(403));
        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/room", _joins);
        Assert.That((again.Cid, again.Connect.Flag("locked")), Is.EqualTo((guest.Cid, true)));
    }

    [Test]
    public async Task A_kicked_peer_is_gone_and_may_join_anew_unless_the_room_is_locked()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/room", _joins);
        using RawPeer plain = await _server.JoinAsync("room");
        await owner.ReadAsync("join");
        await owner.ReadAsync("join");
        Assert.That((await guest.PostAsync(_server, $"\"do\":\"kick\",\"cid\":\"{owner.Cid}\"")).Status, Is.EqualTo(403));
        Assert.That((await owner.PostAsync(_server, "\"do\":\"kick\"")).Status, Is.EqualTo(400));
        await owner.SendAsync(_server, $"\"do\":\"kick\",\"cid\":\"{guest.Cid}\"");
        Assert.That((await owner.PostAsync(_server, $"\"do\":\"kick\",\"cid\":\"{guest.Cid}\"")).Status, Is.EqualTo(404), "done");
        SessionEvent bye = await guest.ReadAsync("bye");
        Assert.That((bye.Text("reason"), bye.Flag("again"), bye.Id), Is.EqualTo(("kicked", false, "-1")));
        SessionEvent leave = await owner.ReadAsync("leave");
        Assert.That((leave.Text("cid"), leave.Number("n"), leave.Text("reason")), Is.EqualTo((guest.Cid, 2L, "kicked")));
        Assert.That((await guest.PostAsync(_server, "\"data\":1")).Status, Is.EqualTo(401));
        RawResponse source = await _server.AskAsync("GET", "/room?session=" + _joins, "Last-Event-ID: 5.0\r\n");
        Assert.That(source.Status, Is.EqualTo(204), "a source that comes back by itself is told to stop");
        await owner.SendAsync(_server, $"\"do\":\"kick\",\"cid\":\"{plain.Cid}\"");
        Assert.That((await plain.ReadAllAsync()), Is.Empty, "a plain stream ends in good order");
        await owner.ReadAsync("leave");
        using SessionPeer anew = await SessionPeer.OpenAsync(_server, "/room", _joins);
        Assert.That(anew.Cid, Is.Not.EqualTo(guest.Cid));
        await owner.SendAsync(_server, "\"do\":\"room\",\"locked\":true");
        await owner.SendAsync(_server, $"\"do\":\"kick\",\"cid\":\"{anew.Cid}\"");
        await anew.ReadAsync("room");
        await anew.ReadAsync("bye");
        Assert.That((await _server.AskAsync("GET", "/room", SessionPeer.FieldsOf(_joins))).Status, Is.EqualTo(403));
    }

    [Test]
    public async Task The_owner_hands_over_to_a_session_peer_that_is_here()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/room", _joins);
        using SessionPeer third = await SessionPeer.OpenAsync(_server, "/room", SessionPeer.NewSecret());
        using RawPeer plain = await _server.JoinAsync("room");
        for (int join = 0; join < 3; join++)
            await owner.ReadAsync("join");
        Assert.That((await owner.PostAsync(_server, $"\"do\":\"owner\",\"cid\":\"{plain.Cid}\"")).Status, Is.EqualTo(409));
        Assert.That((await guest.PostAsync(_server, $"\"do\":\"owner\",\"cid\":\"{guest.Cid}\"")).Status, Is.EqualTo(403));
        await owner.SendAsync(_server, $"\"do\":\"owner\",\"cid\":\"{owner.Cid}\"");
        await owner.SendAsync(_server, $"\"do\":\"owner\",\"cid\":\"{guest.Cid}\"");
        Assert.That((await owner.PostAsync(_server, $"\"do\":\"owner\",\"cid\":\"{guest.Cid}\"")).Status, Is.EqualTo(403), "done");
        List<string?> ids = [];
        foreach (SessionPeer peer in new[] { owner, guest, third })
        {
            SessionEvent told = await peer.ReadAsync("owner");
            Assert.That(
                (told.Text("id"), told.Text("cid"), told.Text("was"), told.Text("reason")),
                Is.EqualTo(("room", guest.Cid, owner.Cid, "given")));
            Assert.That(told.Data.TryGetProperty("peers", out JsonElement peers), Is.EqualTo(peer == guest), "the heir hears of all");
            if (peer == guest)
                Assert.That((peers.GetArrayLength(), told.Number("count")), Is.EqualTo((4, 4L)));
            ids.Add(told.Id);
        }

        Assert.That(ids.Distinct(), Has.Exactly(1).Items);
        third.Dispose();
        Assert.That((await guest.ReadAsync("away")).Text("cid"), Is.EqualTo(third.Cid));
        await guest.SendAsync(_server, "\"do\":\"leave\"");
        Assert.That((await owner.ReadAsync("bye")).Text("reason"), Is.EqualTo("closed"), "the former owner hears of no absence");
        Assert.That(await plain.ReadAllAsync(), Is.Empty);
    }

    [Test]
    public async Task A_kept_room_goes_to_the_session_peer_with_the_lowest_number_that_is_here()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1&keep=1", _owns);
        using RawPeer plain = await _server.JoinAsync("room");
        SessionPeer away = await SessionPeer.OpenAsync(_server, "/room", _joins);
        using SessionPeer heir = await SessionPeer.OpenAsync(_server, "/room", SessionPeer.NewSecret());
        using SessionPeer last = await SessionPeer.OpenAsync(_server, "/room", SessionPeer.NewSecret());
        for (int join = 0; join < 4; join++)
            await owner.ReadAsync("join");
        away.Stream.Reset();
        await owner.ReadAsync("away");
        await owner.SendAsync(_server, "\"do\":\"leave\"");
        foreach (SessionPeer peer in new[] { heir, last })
        {
            SessionEvent told = await peer.ReadAsync("owner");
            Assert.That((told.Text("cid"), told.Text("was"), told.Text("reason")), Is.EqualTo((heir.Cid, owner.Cid, "left")));
            Assert.That(told.Data.TryGetProperty("peers", out _), Is.EqualTo(peer == heir));
        }

        await heir.SendAsync(_server, $"\"do\":\"kick\",\"cid\":\"{last.Cid}\"");
        Assert.That((await heir.ReadAsync("leave")).Text("cid"), Is.EqualTo(last.Cid));

        // Now only one that is away and a plain peer are left: the first session that comes is the owner.
        await heir.SendAsync(_server, "\"do\":\"leave\"");
        await heir.ReadAsync("bye");
        using SessionPeer comes = await SessionPeer.OpenAsync(_server, "/room?presence=all", SessionPeer.NewSecret());
        Assert.That(comes.Connect.Text("owner"), Is.EqualTo(comes.Cid));
        using SessionPeer back = await SessionPeer.OpenAsync(_server, "/room", _joins);
        Assert.That((back.Cid, back.Connect.Text("owner")), Is.EqualTo((away.Cid, comes.Cid)));
        await comes.SendAsync(_server, "\"do\":\"close\"");
        Assert.That((await back.ReadAsync("bye")).Text("reason"), Is.EqualTo("closed"));
        Assert.That((await comes.ReadAsync()).Name, Is.EqualTo("back"));
        Assert.That((await comes.ReadAsync("bye")).Text("reason"), Is.EqualTo("closed"));
        Assert.That(await plain.ReadAllAsync(), Is.Empty);
        Assert.That((await _server.AskAsync("GET", "/room")).Status, Is.EqualTo(404));
    }

    [Test]
    public async Task A_kept_room_of_which_only_plain_peers_are_left_ends()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1&keep=1", _owns);
        using RawPeer plain = await _server.JoinAsync("room");
        await owner.ReadAsync("join");
        await owner.SendAsync(_server, "\"do\":\"leave\"");
        Assert.That(await plain.ReadAllAsync(), Is.Empty);
        Assert.That((await _server.AskAsync("GET", "/room")).Status, Is.EqualTo(404));

        using RawPeer plainOwner = await RawPeer.OpenAsync(_server.Connect(), "/room?create=1&keep=1");
        using SessionPeer heir = await SessionPeer.OpenAsync(_server, "/room", _joins);
        plainOwner.Dispose();
        Assert.That((await heir.ReadAsync("owner")).Text("reason"), Is.EqualTo("lost"));
        await heir.SendAsync(_server, "\"do\":\"room\",\"keep\":false");
        Assert.That((await heir.ReadAsync("room")).Flag("keep"), Is.False);
        heir.Dispose();
    }

    [Test]
    public async Task The_first_that_comes_back_to_a_kept_room_where_all_are_away_is_its_owner()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/room?create=1&keep=1", _owns);
        SessionPeer second = await SessionPeer.OpenAsync(_server, "/room", _joins);
        string thirds = SessionPeer.NewSecret();
        SessionPeer third = await SessionPeer.OpenAsync(_server, "/room", thirds);
        await owner.ReadAsync("join");
        await owner.ReadAsync("join");
        second.Stream.Reset();
        third.Stream.Reset();
        await owner.ReadAsync("away");
        await owner.ReadAsync("away");
        await owner.SendAsync(_server, "\"do\":\"leave\"");
        await owner.ReadAsync("bye");
        using SessionPeer back = await SessionPeer.OpenAsync(_server, "/room", thirds);
        Assert.That((back.Cid, back.Connect.Text("owner")), Is.EqualTo((third.Cid, third.Cid)));
        Assert.That(back.Connect.Data.GetProperty("peers").GetArrayLength(), Is.EqualTo(2));
        using SessionPeer later = await SessionPeer.OpenAsync(_server, "/room", _joins);
        Assert.That(later.Connect.Text("owner"), Is.EqualTo(third.Cid));
        Assert.That((await back.ReadAsync("back")).Text("cid"), Is.EqualTo(second.Cid));
    }
}
