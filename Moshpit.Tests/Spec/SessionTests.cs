using Microsoft.Extensions.Time.Testing;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>A session peer outlives its streams (PROTOCOL.md, part 3).</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class SessionTests
{
    private const double Grace = 30;

    private readonly FakeTimeProvider _clock = new();
    private readonly string _owns = SessionPeer.NewSecret();
    private readonly string _joins = SessionPeer.NewSecret();
    private TestServer _server = null!;

    [SetUp]
    public async Task StartAsync()
    {
        _server = await TestServer.StartAsync(options => options.TimeProvider = _clock);

        // Past the time in which a channel may be one that comes back.
        await _clock.PassUntilAsync(Grace + 1, () => !_server.Server.Parts.Channels.MayReturn);
    }

    [TearDown]
    public async Task StopAsync()
    {
        // A stop spreads the ends of more than a few streams over a time that does not pass here.
        await _server.WhenIdleAsync();
        await _server.DisposeAsync();
    }

    [Test]
    public async Task A_session_that_asks_for_a_channel_while_it_leaves_its_own_or_twice_at_once_always_owns_one()
    {
        for (int round = 0; round < 100; round++)
        {
            string secret = SessionPeer.NewSecret();
            Task<SessionPeer>[] opening = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(() => OpenAsync(secret)))];
            SessionPeer[] both = await Task.WhenAll(opening);
            Assert.That(both[1].Id, Is.EqualTo(both[0].Id), $"round {round}");
            Task<RawResponse> leaving = both[0].PostAsync(_server, "\"do\":\"leave\"");
            SessionPeer next = await OpenAsync(secret);
            Assert.That((await leaving).Status, Is.EqualTo(200));
            Assert.That(next.Connect.Number("n"), Is.EqualTo(1), $"round {round}");
            Array.ForEach([.. both, next], peer => peer.Dispose());
        }

        Task<SessionPeer> OpenAsync(string secret) => SessionPeer.OpenAsync(_server, "/", secret);
    }

    [Test]
    public async Task The_first_stream_tells_all_that_a_session_knows()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        SessionEvent connect = guest.Connect;
        Assert.That(connect.Flag("resumed"), Is.False);
        Assert.That(
            (connect.Number("n"), connect.Text("owner"), connect.Number("count"), connect.Number("grace"), connect.Number("heartbeat"),
                connect.Number("stream"), connect.Number("seq")),
            Is.EqualTo((2L, owner.Cid, 2L, 30L, 25L, 1L, 0L)));
        Assert.That(connect.Retry, Is.InRange(1000, 3000));
        Assert.That(connect.Id, Does.Match(@"^1[0-9]{9}\.0$"));
        SessionEvent join = await owner.ReadAsync("join");
        Assert.That((join.Text("id"), join.Text("cid"), join.Number("n")), Is.EqualTo((owner.Id, guest.Cid, 2L)));
    }

    [Test]
    public async Task A_peer_that_comes_back_is_the_same_and_has_what_it_missed()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        await owner.ReadAsync("join");
        await owner.SendAsync(_server, "\"data\":0");
        SessionEvent last = await guest.ReadAsync("signal");
        Assert.That(last.Id, Does.EndWith(".1"));
        Assert.That(last.From, Is.EqualTo(owner.Cid));
        guest.Stream.Reset();
        await owner.ReadAsync("signal");
        Assert.That((await owner.ReadAsync("away")).Text("cid"), Is.EqualTo(guest.Cid));
        await owner.SendAsync(_server, "\"data\":1");
        await owner.SendAsync(_server, $"\"data\":2,\"cid\":\"{guest.Cid}\"");
        await owner.SendAsync(_server, $"\"data\":3,\"cid\":\"{owner.Cid}\"");
        await owner.SendAsync(_server, "\"data\":4");

        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins, last.Id);
        Assert.That((again.Cid, again.Token, again.Connect.Number("n")), Is.EqualTo((guest.Cid, guest.Token, 2L)));
        Assert.That((again.Connect.Flag("resumed"), again.Connect.Number("stream")), Is.EqualTo((true, 2L)));
        Assert.That(again.Connect.Id, Is.EqualTo($"{last.Sequence}.0"), "only a gap moves the id on");
        List<long> data = [], ids = [last.Sequence];
        for (int n = 0; n < 3; n++)
        {
            SessionEvent missed = await again.ReadAsync("signal");
            data.Add(missed.Data.GetInt64());
            ids.Add(missed.Sequence);
        }

        Assert.That(data, Is.EqualTo(new long[] { 1, 2, 4 }), "what was for others is not here");
        Assert.That(ids, Is.Ordered.And.Unique);
        foreach (long own in new long[] { 1, 3, 4 })
            Assert.That((await owner.ReadAsync("signal")).Data.GetInt64(), Is.EqualTo(own));
        Assert.That((await owner.ReadAsync("back")).Text("cid"), Is.EqualTo(guest.Cid));
        await again.SendAsync(_server, "\"data\":5");
        Assert.That((await again.ReadAsync("signal")).Data.GetInt64(), Is.EqualTo(5));
    }

    [Test]
    public async Task The_same_session_leads_to_the_channel_that_it_created()
    {
        SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        owner.Dispose();
        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/", _owns);
        Assert.That((again.Id, again.Cid), Is.EqualTo((owner.Id, owner.Cid)));
        using SessionPeer byId = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _owns);
        Assert.That(byId.Cid, Is.EqualTo(owner.Cid));
        using SessionPeer other = await SessionPeer.OpenAsync(_server, "/", _joins);
        Assert.That(other.Id, Is.Not.EqualTo(owner.Id));
    }

    [Test]
    public async Task Requests_at_once_that_create_with_one_session_lead_to_one_peer()
    {
        Task<SessionPeer>[] opening =
        [
            .. Enumerable.Range(0, 10).Select(_ => Task.Run(() => SessionPeer.OpenAsync(_server, "/", _owns))),
        ];
        SessionPeer[] peers = await Task.WhenAll(opening);
        Assert.That(peers.Select(peer => (peer.Id, peer.Cid)).Distinct().Count(), Is.EqualTo(1));
        Assert.That(_server.Server.Parts.Channels.Count, Is.EqualTo(1));
        foreach (SessionPeer peer in peers)
            peer.Dispose();
    }

    [Test]
    public async Task The_newest_stream_wins_at_once_and_the_older_one_is_told()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using SessionPeer first = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        await owner.SendAsync(_server, "\"data\":0");
        SessionEvent last = await first.ReadAsync("signal");
        using SessionPeer second = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins, last.Id);
        SessionEvent bye = await first.ReadAsync("bye");
        Assert.That((bye.Text("reason"), bye.Flag("again")), Is.EqualTo(("replaced", false)));
        Assert.That(bye.Id, Is.EqualTo($"-{last.Sequence}.0"), "the last event that was written to it");
        Assert.That(bye.Retry, Is.InRange(3000, 5000));
        Assert.That(await first.Stream.ReadToEndAsync(), Is.Empty);
        Assert.That(first.Stream.SawLastChunk, "it ended in good order");

        // The older one comes back once with that id, and 204 is the end, as long as the newer one lives.
        RawResponse over = await _server.AskAsync("GET", "/" + owner.Id, SessionPeer.FieldsOf(_joins, bye.Id));
        Assert.That(over.Status, Is.EqualTo(204));
        await owner.ReadAsync("join");
        Assert.That((await owner.ReadAsync()).Name, Is.EqualTo("signal"), "neither leave, away nor back");
        second.Stream.Reset();
        await owner.ReadAsync("away");
        using SessionPeer healed = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins, bye.Id);
        Assert.That((healed.Cid, healed.Connect.Flag("resumed"), healed.Connect.Id), Is.EqualTo((first.Cid, true, $"{last.Sequence}.0")));
    }

    [Test]
    public async Task The_channel_lives_while_its_owner_is_away_and_ends_after_the_grace()
    {
        SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        await owner.ReadAsync("join");
        owner.Stream.Reset();
        await WhenStreamsAsync(1);
        await guest.SendAsync(_server, "\"data\":\"hello\"");
        await guest.ReadAsync("signal");
        using (SessionPeer back = await SessionPeer.OpenAsync(_server, "/", _owns))
            Assert.That((await back.ReadAsync("signal")).Data.GetString(), Is.EqualTo("hello"));
        await WhenStreamsAsync(1);
        _clock.Pass(Grace - 1);
        Assert.That(_server.Server.Parts.Channels.Count, Is.EqualTo(1));
        SessionEvent bye = await _clock.PassUntilAsync(1, guest.ReadAsync("bye"));
        Assert.That((bye.Text("reason"), bye.Flag("again"), bye.Id), Is.EqualTo(("closed", false, "-1")));
        Assert.That((await _server.AskAsync("GET", "/" + owner.Id, SessionPeer.FieldsOf(_joins, "-1"))).Status, Is.EqualTo(204));
        Assert.That((await _server.AskAsync("GET", "/" + owner.Id, SessionPeer.FieldsOf(_joins, "7"))).Status, Is.EqualTo(204),
            "a session that was ended is remembered");
        RawResponse gone = await _server.AskAsync("GET", "/" + owner.Id, SessionPeer.FieldsOf(_joins));
        Assert.That((gone.Status, gone["Retry-After"]), Is.EqualTo((404, (string?)null)));
    }

    [Test]
    public async Task An_absence_that_is_over_before_the_grace_has_no_end_of_its_own()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        for (int n = 0; n < 3; n++)
        {
            using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
            guest.Stream.Reset();
            await WhenStreamsAsync(1);
            _clock.Pass(Grace / 2);
        }

        using SessionPeer last = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        Assert.That(last.Connect.Number("stream"), Is.EqualTo(4));
        _clock.Pass(2 * Grace);
        await last.SendAsync(_server, "\"data\":1");
        Assert.That((await last.ReadAsync("signal")).Data.GetInt64(), Is.EqualTo(1));
    }

    [Test]
    public async Task A_peer_whose_grace_is_over_is_lost_and_comes_as_another()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        guest.Stream.Reset();
        await owner.ReadAsync("join");
        await owner.ReadAsync("away");
        SessionEvent leave = await _clock.PassUntilAsync(Grace, owner.ReadAsync("leave"));
        Assert.That((leave.Text("cid"), leave.Number("n"), leave.Text("reason")), Is.EqualTo((guest.Cid, 2L, "lost")));
        Assert.That((await guest.PostAsync(_server, "\"data\":1")).Status, Is.EqualTo(401));
        using SessionPeer other = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins, guest.Connect.Id);
        Assert.That(other.Cid, Is.Not.EqualTo(guest.Cid));
        Assert.That((other.Connect.Flag("resumed"), other.Connect.Id), Is.EqualTo((false, "0.0")));
        SessionEvent gap = await other.ReadAsync("gap");
        Assert.That(gap.Data.GetProperty("after").ValueKind, Is.EqualTo(System.Text.Json.JsonValueKind.Null));
        await other.SendAsync(_server, "\"data\":1");
        Assert.That((await other.ReadAsync("signal")).Sequence, Is.GreaterThan(gap.Sequence));
    }

    [TestCase("999999999999.1")]
    [TestCase("5")]
    [TestCase("abc")]
    [TestCase("1.")]
    [TestCase(".5")]
    [TestCase("99999999999999999999999999.1")]
    public async Task A_last_id_that_is_of_no_event_of_this_peer_is_a_gap(string last)
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        await owner.SendAsync(_server, "\"data\":1");
        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/", _owns, last);
        Assert.That((again.Cid, again.Connect.Flag("resumed"), again.Connect.Id), Is.EqualTo((owner.Cid, false, "0.0")));
        SessionEvent gap = await again.ReadAsync("gap");
        Assert.That(gap.Sequence, Is.EqualTo(owner.Connect.Sequence), "what came after its join is replayed");
        Assert.That((await again.ReadAsync("signal")).Data.GetInt64(), Is.EqualTo(1));
    }

    [Test]
    public async Task More_than_is_kept_is_a_gap_that_says_how_much()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        guest.Stream.Reset();
        await WhenStreamsAsync(1);
        string message = new('.', 9000);
        for (int n = 0; n < 60; n++)
            await owner.SendAsync(_server, $"\"data\":\"{n} {message}\"");
        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins, guest.Connect.Id);
        Assert.That((again.Connect.Flag("resumed"), again.Connect.Id), Is.EqualTo((true, guest.Connect.Id)));
        SessionEvent gap = await again.ReadAsync("gap");
        Assert.That(gap.Number("after"), Is.EqualTo(guest.Connect.Sequence));
        Assert.That(gap.Number("missed"), Is.EqualTo(gap.Sequence - guest.Connect.Sequence));
        int heard = 0;
        for (string? data = null; data?.StartsWith("59 ") != true; heard++)
        {
            SessionEvent next = await again.ReadAsync("signal");
            Assert.That(next.Sequence, Is.EqualTo(gap.Sequence + 1 + heard));
            data = next.Data.GetString();
        }

        Assert.That(heard, Is.EqualTo(256 * 1024 / 9100).Within(1), "the newest that fit are kept");
    }

    [Test]
    public async Task A_number_that_was_accepted_is_not_delivered_again()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        const string Receipts = "Accept: application/json\r\n";
        await owner.SendAsync(_server, "\"data\":1,\"seq\":5");
        await owner.SendAsync(_server, "\"data\":2,\"seq\":5");
        Assert.That((await owner.PostAsync(_server, "\"data\":2,\"seq\":5", Receipts)).Body, Is.EqualTo("{\"duplicate\":true}"));
        RawResponse missing = await owner.PostAsync(_server, "\"data\":2,\"seq\":7,\"cid\":\"0123\"");
        Assert.That(missing.Status, Is.EqualTo(404));
        await owner.SendAsync(_server, "\"data\":8,\"seq\":8");
        await owner.SendAsync(_server, "\"data\":7,\"seq\":7");
        await owner.SendAsync(_server, $"\"data\":9,\"seq\":9,\"cid\":\"{owner.Cid}\"");
        await owner.SendAsync(_server, $"\"data\":9,\"seq\":9,\"cid\":\"{owner.Cid}\"");
        await owner.SendAsync(_server, "\"data\":72,\"seq\":72");
        Assert.That((await owner.PostAsync(_server, "\"data\":3,\"seq\":8")).Status, Is.EqualTo(409), "64 below");
        Assert.That((await owner.PostAsync(_server, "\"data\":3,\"seq\":9", Receipts)).Body, Is.EqualTo("{\"duplicate\":true}"));
        foreach (string bad in new[] { "0", "-1", "1.5", "\"1\"", "9007199254740992", "1e3", "null" })
            Assert.That((await owner.PostAsync(_server, $"\"data\":3,\"seq\":{bad}")).Status, Is.EqualTo(400), bad);
        foreach (long heard in new long[] { 1, 8, 7, 9, 72 })
            Assert.That((await owner.ReadAsync("signal")).Data.GetInt64(), Is.EqualTo(heard));
        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/", _owns);
        Assert.That(again.Connect.Number("seq"), Is.EqualTo(72));
    }

    [Test]
    public async Task A_receipt_tells_the_event_and_to_how_many_it_goes()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        const string Receipts = "Accept: text/plain, application/json;q=0.5\r\n";
        RawResponse two = await owner.PostAsync(_server, "\"data\":1", Receipts);
        SessionEvent signal = await guest.ReadAsync("signal");
        Assert.That(two.Body, Is.EqualTo($"{{\"event\":\"{signal.Id}\",\"to\":2}}"));
        Assert.That(two["Content-Type"], Is.EqualTo("application/json"));
        guest.Stream.Reset();
        await WhenStreamsAsync(1);
        Assert.That((await owner.PostAsync(_server, "\"data\":1", Receipts)).Body, Does.EndWith("\"to\":2,\"away\":1}"));
        RawResponse refused = await owner.PostAsync(_server, "\"date\":1", Receipts);
        Assert.That((refused.Status, refused.Body), Is.EqualTo((400,
            "{\"status\":400,\"error\":\"missing-data\",\"message\":\"The field data is missing; send the value to deliver in it.\"}")));
    }

    [Test]
    public async Task A_peer_that_says_leave_is_gone_at_once()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        await guest.SendAsync(_server, "\"do\":\"leave\"");
        SessionEvent bye = await guest.ReadAsync("bye");
        Assert.That((bye.Text("reason"), bye.Flag("again"), bye.Id), Is.EqualTo(("left", false, "-1")));
        await owner.ReadAsync("join");
        Assert.That((await owner.ReadAsync("leave")).Text("reason"), Is.EqualTo("left"));
        Assert.That((await guest.PostAsync(_server, "\"do\":\"leave\"")).Status, Is.EqualTo(401), "it is done");
        RawResponse over = await _server.AskAsync("GET", "/" + owner.Id, SessionPeer.FieldsOf(_joins, guest.Connect.Id));
        Assert.That(over.Status, Is.EqualTo(204));
        using SessionPeer anew = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        Assert.That((anew.Cid, anew.Connect.Number("n")), Is.Not.EqualTo((guest.Cid, 2L)));
        anew.Stream.Reset();
        await owner.ReadAsync("join");
        await owner.ReadAsync("away");
        using SessionPeer later = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins, anew.Connect.Id);
        Assert.That(later.Cid, Is.EqualTo(anew.Cid), "the session that ended is not remembered any more");
    }

    [Test]
    public async Task A_late_leave_ends_no_newer_stream()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using SessionPeer first = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        await first.SendAsync(_server, "\"do\":\"leave\",\"stream\":1,\"after\":5");
        using SessionPeer second = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        await second.SendAsync(_server, "\"do\":\"leave\",\"stream\":1");
        _clock.Pass(10);
        await second.SendAsync(_server, "\"data\":1");
        await second.ReadAsync("signal");
        await second.SendAsync(_server, "\"do\":\"leave\",\"stream\":2,\"after\":5");
        SessionEvent bye = await _clock.PassUntilAsync(5, second.ReadAsync("bye"));
        Assert.That(bye.Text("reason"), Is.EqualTo("left"));
        foreach (string bad in new[] { "\"do\":\"dance\"", "\"do\":1", "\"do\":\"leave\",\"after\":31", "\"do\":\"leave\",\"stream\":0" })
            Assert.That((await owner.PostAsync(_server, bad)).Status, Is.EqualTo(400), bad);
    }

    [Test]
    public async Task A_plain_peer_can_leave_by_a_form_too()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using RawPeer guest = await _server.JoinAsync(owner.Id);
        await owner.ReadAsync("join");
        using RawConnection connection = _server.Connect();
        connection.Send(PostText.WithLength(
            "/" + owner.Id, $"token={guest.Token}&do=leave", "Content-Type: application/x-www-form-urlencoded\r\n"));
        Assert.That((await connection.ReadResponseAsync()).Body, Is.EqualTo("OK"));
        Assert.That(await guest.ReadAllAsync(), Is.Empty);
        Assert.That((await owner.ReadAsync("leave")).Text("reason"), Is.EqualTo("left"));
    }

    [Test]
    public async Task A_plain_peer_sees_nothing_new_but_ids_and_senders()
    {
        using RawPeer owner = await _server.CreateAsync();
        using RawPeer plain = await _server.JoinAsync(owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(plain)));
        await owner.SendAsync(_server, "1");
        Assert.That(await plain.ReadEventAsync(), Is.EqualTo("event: signal\ndata: 1"), "no session was here yet");
        await owner.ReadEventAsync();
        using SessionPeer session = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        Assert.That(await owner.ReadEventAsync(),
            Does.Match($"^event: join\ndata: {{\"id\":\"{owner.Id}\",\"cid\":\"{session.Cid}\"}}\nid: [0-9]+\\.0$"));
        await owner.SendAsync(_server, "2");
        Assert.That(await plain.ReadEventAsync(), Does.Match($"^event: signal\ndata: 2\nid: [0-9]+\\.1\nfrom: \"{owner.Cid}\"$"));
        using RawPeer late = await RawPeer.OpenAsync(_server.Connect(), $"/{owner.Id}?session2=1&session3");
        Assert.That(session.Connect.Number("n"), Is.EqualTo(3));
    }

    [TestCase("/{id}?session=", 400)]
    [TestCase("/{id}?session", 400)]
    [TestCase("/{id}?session=tooshort1234567890ab", 400)]
    [TestCase("/{id}?session=aaaaaaaaaaaaaaaaaaaaaaaaaaaa", 400)]
    [TestCase("/{id}?session=0123456789abcdef0123456789+bc", 400)]
    [TestCase("/{id}?session=0123456789abcdef0123456789&session=0123456789abcdef0123456789", 400)]
    [TestCase("/{id}?session=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", 400)]
    [TestCase("/?session=0123", 400)]
    [TestCase("/0123?session=0123456789abcdef0123456789", 404)]
    public async Task What_is_no_session_is_refused(string target, int status)
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        Assert.That((await _server.AskAsync("GET", target.Replace("{id}", owner.Id))).Status, Is.EqualTo(status));
    }

    [TestCase("/{id}?%73ession=0123456789abcdef%30123456789-_")]
    [TestCase("/{id}?x=1&session=0123456789abcdef0123456789-_&lastEventId=")]
    [TestCase("/{id}?session=0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF")]
    public async Task A_session_may_stand_in_the_query(string target)
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server.Connect(), target.Replace("{id}", owner.Id), "");
        Assert.That(guest.Connect.Number("n"), Is.EqualTo(2));
    }

    [Test]
    public async Task A_session_comes_back_from_its_own_origin_alone()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns, fields: "Origin: https://app.example\r\n");
        foreach (string origin in new[] { "", "Origin: https://evil.example\r\n" })
            Assert.That((await _server.AskAsync("GET", "/", SessionPeer.FieldsOf(_owns) + origin)).Status, Is.EqualTo(403));
        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/", _owns, fields: "Origin: https://app.example\r\n");
        Assert.That(again.Cid, Is.EqualTo(owner.Cid));
    }

    [Test]
    public async Task An_event_source_that_is_refused_for_now_can_come_back_and_others_are_told_the_status()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        List<SessionPeer> streams = [];
        for (int n = 0; n < 10; n++)
            streams.Add(await SessionPeer.OpenAsync(_server, "/", _owns));
        RawResponse program = await _server.AskAsync("GET", "/", SessionPeer.FieldsOf(_owns, owner.Connect.Id));
        Asking.IsRefusal(program, 429, "too many streams");
        using RawConnection source = _server.Connect();
        source.Send(Asking.Text("GET", $"/?session={_owns}", $"Last-Event-ID: {owner.Connect.Id}\r\n"));
        string answer = await source.ReadToEndAsync();
        Assert.That(answer, Does.StartWith("HTTP/1.1 200 ").And.Contain("\r\nContent-Type: text/event-stream"));
        Assert.That(answer, Does.Contain("\r\nRetry-After: ").And.Contain("\r\nAccess-Control-Expose-Headers: Retry-After"));
        Assert.That(answer, Does.Match("\r\n\r\nretry: [0-9]{4,5}\n\n$"));
        Assert.That((await _server.AskAsync("GET", $"/?session={_owns}")).Status, Is.EqualTo(429), "no reconnect");
        _clock.Pass(11);
        using SessionPeer later = await SessionPeer.OpenAsync(_server, "/", _owns);
        streams.ForEach(stream => stream.Dispose());
    }

    [Test]
    public async Task A_stop_asks_sessions_to_come_back()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        await owner.SendAsync(_server, "\"data\":1");
        SessionEvent last = await owner.ReadAsync("signal");
        Task stopping = _server.Server.StopAsync();
        SessionEvent bye = await owner.ReadAsync("bye");
        Assert.That((bye.Text("reason"), bye.Flag("again"), bye.Id), Is.EqualTo(("stopping", true, $"{last.Sequence}.0")));
        Assert.That(bye.Retry, Is.InRange(5000, 10_000));
        owner.Dispose();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task A_source_whose_session_is_over_is_stopped_while_the_server_stops_too()
    {
        using RawConnection source = _server.Connect();
        string request = Asking.Text("GET", "/", SessionPeer.FieldsOf(_owns, last: "-1"));

        // The answer to what came together with it shows that its beginning has arrived: an idle connection would be closed.
        source.Send(Asking.Text("OPTIONS", "/") + request[..^2]);
        Assert.That((await source.ReadResponseAsync()).Status, Is.EqualTo(204));
        Task stopping = _server.Server.StopAsync();
        await Eventually.AsyncTrue(() => _server.Server.Parts.Shutdown.HasBegun);
        source.Send(request[^2..]);
        Assert.That((await source.ReadHeadAsync()).Status, Is.EqualTo(204));
        source.Dispose();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task Streams_of_http_1_0_are_sessions_too()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using RawConnection first = _server.Connect();
        first.Send($"GET /{owner.Id}?session={_joins} HTTP/1.0\r\n\r\n");
        await first.ReadHeadAsync();
        SessionEvent connect = SessionEvent.Parse(await first.ReadUntilAsync("\n\n"));
        await owner.SendAsync(_server, "\"data\":1");
        await owner.SendAsync(_server, $"\"data\":2,\"cid\":\"{connect.Text("cid")}\"");
        for (int n = 1; n < 3; n++)
            Assert.That(SessionEvent.Parse(await first.ReadUntilAsync("\n\n")).Data.GetInt64(), Is.EqualTo(n));
        using RawConnection second = _server.Connect();
        second.Send($"GET /{owner.Id}?session={_joins} HTTP/1.0\r\nLast-Event-ID: {connect.Id}\r\n\r\n");
        await second.ReadHeadAsync();
        Assert.That(SessionEvent.Parse(await second.ReadUntilAsync("\n\n")).Flag("resumed"));
        for (int n = 1; n < 3; n++)
            Assert.That(SessionEvent.Parse(await second.ReadUntilAsync("\n\n")).Data.GetInt64(), Is.EqualTo(n));
        Assert.That(await first.ReadUntilAsync("\n\n"), Does.StartWith("event: bye"));
    }

    /// <summary>Waits until so many streams are left, and the peers of the others are away: their grace has begun.</summary>
    private Task WhenStreamsAsync(int count) => Eventually.AsyncTrue(
        () => _server.Server.Parts.Streams.Streams.Count == count && _server.Server.Parts.Admission.Connections == count);
}
