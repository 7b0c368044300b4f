using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// A browser's own EventSource keeps its session without any script's help (PROTOCOL.md, 3.1 and 3.2). The page opens a source and listens
/// to it. It never opens one again.
/// </summary>
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class EventSourceTests
{
    private static EventSourcePage? Page;

    /// <summary>With this grace, the server asks a source to come back after one second.</summary>
    private static readonly TimeSpan ShortGrace = TimeSpan.FromSeconds(3);

    private readonly FakeTimeProvider _clock = new();
    private readonly List<IDisposable> _opened = [];
    private readonly List<TestServer> _servers = [];

    [OneTimeSetUp]
    public static void StartBrowser() => Page = new EventSourcePage();

    [OneTimeTearDown]
    public static void StopBrowser() => Page?.Dispose();

    [TearDown]
    public async Task CloseAsync()
    {
        // The sources are closed first: they would come back.
        _opened.Reverse();
        _opened.ForEach(opened => opened.Dispose());
        foreach (TestServer server in _servers)
            await server.DisposeAsync();
    }

    [Test]
    public async Task A_source_that_is_reset_at_any_byte_is_the_same_peer_and_hears_each_message_once()
    {
        const int Sources = 10;
        TestServer server = await StartAsync();
        using SessionPeer owner = await OwnerAsync(server);
        PageSource[] sources = [.. Enumerable.Range(0, Sources).Select(_ => Listen(server, "/" + owner.Id))];
        foreach (PageSource source in sources)
            await source.WhenAsync("connect");
        int[] before = [.. sources.Select(source => source.Relay.Responses[0].Length)];
        await owner.SendAsync(server, "\"data\":0");
        foreach (PageSource source in sources)
            await source.WhenAsync("signal");
        for (int n = 0; n < Sources; n++)
        {
            // The first cuts lie in the next message, from its first byte to its last. The second cuts lie in the response after that: in
            // its head, in the connect event or in the replay.
            int length = sources[n].Relay.Responses[0].Length - before[n];
            sources[n].Relay.CutAfter(1 + (n * (length - 1) / (Sources - 1)), 1 + (n * before[n] / (Sources - 2)));
        }

        await owner.SendAsync(server, "\"data\":1");
        await Eventually.AsyncTrue(() => sources.All(source => source.Relay.Cuts >= 1));
        await owner.SendAsync(server, "\"data\":2");
        await owner.SendAsync(server, "\"data\":3");
        foreach (PageSource source in sources)
            await source.WhenAsync(() => source.Relay.Cuts == 2 && source.Signals.Length >= 4);
        await owner.SendAsync(server, "\"data\":4");

        List<string?> ids = [];
        while (ids.Count < 5)
        {
            if (await owner.ReadAsync() is { Name: "signal" } signal)
                ids.Add(signal.Id);
        }

        foreach (PageSource source in sources)
        {
            await source.WhenAsync(() => source.Signals.Length >= 5);
            Assert.That(source.Signals.Select(signal => signal.Data.GetInt64()), Is.EqualTo(new long[] { 0, 1, 2, 3, 4 }));
            Assert.That(source.Signals.Select(signal => signal.Id), Is.EqualTo(ids), "and with the ids that others have");
            SessionEvent[] connects = source.Of("connect");
            Assert.That(connects.Select(PeerOf).Distinct().Count(), Is.EqualTo(1), "cid and token are the same");
            Assert.That(connects.Select(connect => connect.Flag("resumed")), Is.EqualTo(connects.Select((_, n) => n > 0)));
            Assert.That(connects[^1].Number("stream"), Is.EqualTo(3));
            Assert.That(source.Relay.Statuses.Length, Is.EqualTo(source.Relay.Requests.Length).And.EqualTo(3));
            Assert.That(source.Of("gap"), Is.Empty);
        }
    }

    [Test]
    public async Task What_was_sent_into_a_dead_connection_is_replayed()
    {
        TestServer server = await StartAsync();
        using SessionPeer owner = await OwnerAsync(server);
        PageSource source = Listen(server, "/" + owner.Id);
        SessionEvent first = await source.WhenAsync("connect");
        source.Relay.FallSilent();
        await owner.SendAsync(server, "\"data\":\"lost\"");
        await owner.SendAsync(server, $"\"data\":\"lost too\",\"cid\":\"{first.Text("cid")}\"");
        await Eventually.AsyncTrue(() => source.Relay.Responses[0].Contains("lost too", StringComparison.Ordinal));
        source.Relay.ResetClients();
        SessionEvent second = await source.WhenAsync("connect", 2);
        Assert.That((PeerOf(second), second.Flag("resumed")), Is.EqualTo((PeerOf(first), true)));
        await source.WhenAsync("signal", 2);
        await owner.SendAsync(server, "\"data\":\"live\"");
        await source.WhenAsync("signal", 3);
        Assert.That(source.Signals.Select(signal => signal.Data.GetString()), Is.EqualTo(new[] { "lost", "lost too", "live" }));
        await owner.ReadAsync("join");
        Assert.That((await owner.ReadAsync()).Name, Is.EqualTo("signal"));
        Assert.That((await owner.ReadAsync()).Name, Is.EqualTo("signal"), "the server did not notice that the peer was away");
    }

    [Test]
    public async Task A_loss_is_a_gap_that_stands_before_what_is_left()
    {
        const int Missed = 40;
        TestServer server = await StartAsync(options => (options.BodyLimit, options.HistoryLimit) = (1024, 4096));
        using SessionPeer owner = await OwnerAsync(server);
        PageSource source = Listen(server, "/" + owner.Id);
        await source.WhenAsync("connect");
        await owner.SendAsync(server, "\"data\":\"heard\"");
        SessionEvent heard = await source.WhenAsync("signal");
        await CutAsync(server, source, left: 1);
        for (int n = 0; n < Missed; n++)
            await owner.SendAsync(server, $"\"data\":\"{n} {new string('.', 800)}\"");
        source.Relay.LetThrough();
        SessionEvent gap = await source.WhenAsync("gap");
        await source.WhenAsync(() => source.Signals[^1].Data.GetString()!.StartsWith($"{Missed - 1} ", StringComparison.Ordinal));
        await owner.SendAsync(server, "\"data\":\"live\"");
        await source.WhenAsync(() => source.Signals[^1].Data.GetString() == "live");

        Assert.That(gap.Number("after"), Is.EqualTo(heard.Sequence));
        Assert.That(gap.Number("missed"), Is.EqualTo(gap.Sequence - heard.Sequence).And.GreaterThan(Missed / 2));
        Assert.That(gap.Id, Does.EndWith(".0"));
        string[] names = [.. source.Events.Select(e => e.Name)];
        Assert.That(names[..4], Is.EqualTo(new[] { "connect", "signal", "connect", "gap" }));
        Assert.That(names[4..], Is.All.EqualTo("signal").And.Length.GreaterThan(2));
        Assert.That(source.Events[2].Flag("resumed"));
        Assert.That(source.Events[2].Id, Is.EqualTo($"{heard.Sequence}.0"), "only the gap moves the id on");
        long[] after = [.. source.Events[4..].Select(signal => signal.Sequence)];
        Assert.That(after, Is.EqualTo(Enumerable.Range(1, after.Length).Select(n => gap.Sequence + n + (n == after.Length ? 1 : 0))),
            "each message behind the gap is there; the number before the live one is that of the event back");

        source.Relay.Reset();
        SessionEvent third = await source.WhenAsync("connect", 3);
        Assert.That((third.Flag("resumed"), third.Id), Is.EqualTo((true, $"{after[^1]}.0")));
        await owner.SendAsync(server, "\"data\":\"last\"");
        await source.WhenAsync(() => source.Signals[^1].Data.GetString() == "last");
        Assert.That(source.Of("gap"), Has.Length.EqualTo(1), "what is known to be lost is told once");
    }

    [Test]
    public async Task The_number_of_the_sender_stands_behind_the_point_of_lastEventId()
    {
        TestServer server = await StartAsync();
        using SessionPeer owner = await OwnerAsync(server);
        PageSource source = Listen(server, "/" + owner.Id);
        SessionEvent connect = await source.WhenAsync("connect");
        Assert.That((connect.Number("n"), connect.From), Is.EqualTo((2L, "0")));
        List<SessionPeer> others = [];
        while (others.Count < 8)
            others.Add(Keep(await SessionPeer.OpenAsync(server, "/" + owner.Id, SessionPeer.NewSecret())));
        SessionPeer tenth = others[^1];
        await owner.SendAsync(server, "\"data\":\"from the owner\"");
        await tenth.SendAsync(server, "\"data\":\"from the tenth\",\"from\":\"1\",\"id\":\"5.1\"");
        await tenth.SendAsync(server, $"\"data\":\"from the tenth to one\",\"cid\":\"{connect.Text("cid")}\"");
        await others[0].SendAsync(server, "\"data\":\"\\nid: 5.1\\n\\n\"");
        await owner.SendAsync(server, "\"data\":\"from the owner again\"");
        await source.WhenAsync("signal", 5);
        Assert.That((owner.Connect.Number("n"), tenth.Connect.Number("n"), others[0].Connect.Number("n")), Is.EqualTo((1L, 10L, 3L)));
        Assert.That(source.Signals.Select(signal => signal.From), Is.EqualTo(new[] { "1", "10", "10", "3", "1" }));
        await CutAsync(server, source, left: 9);
        await owner.SendAsync(server, "\"data\":1");
        await tenth.SendAsync(server, "\"data\":10");
        source.Relay.LetThrough();
        await source.WhenAsync("signal", 7);
        Assert.That(source.Signals[5..].Select(signal => signal.From), Is.EqualTo(new[] { "1", "10" }), "those of a replay too");
    }

    [Test]
    public async Task A_source_whose_peer_has_left_or_whose_channel_has_ended_comes_back_once_and_is_stopped()
    {
        TestServer server = await StartAsync();
        using SessionPeer owner = await OwnerAsync(server);
        PageSource leaves = Listen(server, "/" + owner.Id);
        PageSource stays = Listen(server, "/" + owner.Id);
        SessionEvent connect = await leaves.WhenAsync("connect");
        await stays.WhenAsync("connect");
        string body = $"{{\"token\":\"{connect.Text("token")}\",\"do\":\"leave\"}}";
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength("/" + owner.Id, body));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That((await leaves.WhenAsync("bye")).Text("reason"), Is.EqualTo("left"));
        await owner.SendAsync(server, "\"do\":\"leave\"");
        Assert.That((await stays.WhenAsync("bye")).Text("reason"), Is.EqualTo("closed"));
        foreach (PageSource source in new[] { leaves, stays })
        {
            await source.WhenClosedAsync();
            SessionEvent bye = source.Events[^1];
            Assert.That((bye.Name, bye.Flag("again"), bye.Id), Is.EqualTo(("bye", false, "-1")));
            AssertStopped(source, "-1");
        }
    }

    [Test]
    public async Task A_source_whose_session_goes_on_elsewhere_comes_back_once_and_is_stopped()
    {
        TestServer server = await StartAsync();
        using SessionPeer owner = await OwnerAsync(server);
        PageSource source = Listen(server, "/" + owner.Id);
        SessionEvent first = await source.WhenAsync("connect");
        await owner.SendAsync(server, "\"data\":1");
        SessionEvent last = await source.WhenAsync("signal");
        using SessionPeer other = await SessionPeer.OpenAsync(server, "/" + owner.Id, source.Secret, fields: OriginField);
        Assert.That(PeerOf(other.Connect), Is.EqualTo(PeerOf(first)));
        SessionEvent bye = await source.WhenAsync("bye");
        Assert.That((bye.Text("reason"), bye.Flag("again"), bye.Id), Is.EqualTo(("replaced", false, $"-{last.Sequence}.0")));
        await source.WhenClosedAsync();
        AssertStopped(source, $"-{last.Sequence}.0");
        await other.ReadAsync("signal");
        await owner.SendAsync(server, "\"data\":2");
        Assert.That((await other.ReadAsync("signal")).Data.GetInt64(), Is.EqualTo(2), "the stream that replaced it lives on");
    }

    [Test]
    public async Task A_source_whose_session_went_elsewhere_and_ended_there_has_it_back()
    {
        TestServer server = await StartAsync();
        using SessionPeer owner = await OwnerAsync(server);
        PageSource source = Listen(server, "/" + owner.Id);
        SessionEvent first = await source.WhenAsync("connect");
        SessionPeer stray = await SessionPeer.OpenAsync(server, "/" + owner.Id, source.Secret, fields: OriginField);
        await source.WhenAsync("bye");
        stray.Stream.Reset();
        await owner.SendAsync(server, "\"data\":1");
        SessionEvent second = await source.WhenAsync("connect", 2);
        Assert.That((PeerOf(second), second.Flag("resumed")), Is.EqualTo((PeerOf(first), true)));
        Assert.That((await source.WhenAsync("signal")).Data.GetInt64(), Is.EqualTo(1));
    }

    [Test]
    public async Task A_source_that_is_refused_for_now_goes_on_to_come_back_until_it_is_the_same_peer()
    {
        TestServer server = await StartAsync(options =>
            (options.MaxConnections, options.Grace, options.TimeProvider) = (2, ShortGrace, _clock));
        using SessionPeer owner = await OwnerAsync(server);
        PageSource source = Listen(server, "/" + owner.Id);
        SessionEvent first = await source.WhenAsync("connect");
        await CutAsync(server, source, left: 1);
        await owner.SendAsync(server, "\"data\":1");
        await WhenConnectionsAsync(server, 1);
        using RawConnection last = server.Connect();
        await WhenConnectionsAsync(server, 2);
        source.Relay.LetThrough();
        await source.WhenAsync(() => source.Relay.Requests.Length >= 4);
        Assert.That(source.State, Is.Not.EqualTo(EventSourceState.Closed));
        Assert.That(source.Of("connect"), Has.Length.EqualTo(1), "it was refused");
        last.Dispose();
        SessionEvent second = await source.WhenAsync("connect", 2);
        Assert.That((PeerOf(second), second.Flag("resumed")), Is.EqualTo((PeerOf(first), true)));
        Assert.That((await source.WhenAsync("signal")).Data.GetInt64(), Is.EqualTo(1));
        Assert.That(source.Relay.Statuses, Is.All.EqualTo(200), "any other status would have ended it");
    }

    [Test]
    public async Task Sources_outlive_a_restart_the_owner_in_a_new_channel_and_a_guest_until_the_old_one_cannot_return()
    {
        TestServer server = await StartAsync(options => options.Grace = ShortGrace);
        PageSource owner = Listen(server, "/");
        SessionEvent first = await owner.WhenAsync("connect");
        PageSource guest = Listen(server, "/" + first.Text("id"));
        await owner.WhenAsync("join");
        await server.Server.StopAsync().WaitAsync(RawConnection.Patience);
        foreach (PageSource source in new[] { owner, guest })
        {
            SessionEvent bye = await source.WhenAsync("bye");
            Assert.That((bye.Text("reason"), bye.Flag("again")), Is.EqualTo(("stopping", true)));

            // The stream has ended, and then a connection has failed.
            await source.WhenAsync(() => source.Errors >= 2);
        }

        TestServer restarted = await StartAsync(options => (options.Grace, options.TimeProvider) = (ShortGrace, _clock));
        owner.Relay.ServerPort = guest.Relay.ServerPort = restarted.Port;
        SessionEvent second = await owner.WhenAsync("connect", 2);
        Assert.That((second.Flag("resumed"), second.Id, second.Number("n")), Is.EqualTo((false, "0.0", 1L)));
        Assert.That(second.Text("id"), Is.Not.EqualTo(first.Text("id")));
        Assert.That((await owner.WhenAsync("gap")).Data.GetProperty("after").ValueKind, Is.EqualTo(JsonValueKind.Null));

        await guest.WhenAsync(() => guest.Relay.Statuses.Length >= 2);
        Assert.That(guest.State, Is.Not.EqualTo(EventSourceState.Closed), "the channel may come back");
        await _clock.PassUntilAsync(ShortGrace.TotalSeconds, () => !restarted.Server.Parts.Channels.MayReturn);
        await guest.WhenClosedAsync();
        Assert.That(guest.Relay.Statuses[..^1], Is.All.EqualTo(200));
        Assert.That(guest.Relay.Statuses[^1], Is.EqualTo(404), "the channel can't come back any more");
    }

    [Test]
    public async Task An_owner_that_is_a_source_comes_back_to_its_channel_and_hears_of_its_guest()
    {
        TestServer server = await StartAsync();
        PageSource owner = Listen(server, "/");
        SessionEvent first = await owner.WhenAsync("connect");
        string id = first.Text("id"), secret = SessionPeer.NewSecret();
        SessionPeer guest = await SessionPeer.OpenAsync(server, "/" + id, secret);
        await owner.WhenAsync("join");
        await CutAsync(server, owner, left: 1);
        await guest.SendAsync(server, "\"data\":1");
        owner.Relay.LetThrough();
        SessionEvent second = await owner.WhenAsync("connect", 2);
        Assert.That((second.Text("id"), PeerOf(second), second.Text("owner")), Is.EqualTo((id, PeerOf(first), first.Text("cid"))));
        Assert.That((second.Flag("resumed"), second.Number("count")), Is.EqualTo((true, 2L)));
        Assert.That((await owner.WhenAsync("signal")).From, Is.EqualTo("2"));
        Assert.That(owner.Relay.Requests, Has.Length.EqualTo(2).And.All.StartsWith($"GET /?session={owner.Secret} "));

        guest.Stream.Reset();
        Assert.That((await owner.WhenAsync("away")).Text("cid"), Is.EqualTo(guest.Cid));
        using SessionPeer back = await SessionPeer.OpenAsync(server, "/" + id, secret);
        Assert.That((await owner.WhenAsync("back")).Text("cid"), Is.EqualTo(guest.Cid));
        await back.SendAsync(server, "\"do\":\"leave\"");
        SessionEvent leave = await owner.WhenAsync("leave");
        Assert.That((leave.Text("cid"), leave.Number("n"), leave.Text("reason")), Is.EqualTo((guest.Cid, 2L, "left")));
    }

    private static string OriginField => $"Origin: {Page!.Origin}\r\n";

    private static Task<SessionPeer> OwnerAsync(TestServer server) => SessionPeer.OpenAsync(server, "/", SessionPeer.NewSecret());

    private static (string Cid, string Token) PeerOf(SessionEvent connect) => (connect.Text("cid"), connect.Text("token"));

    /// <summary>It came back once, with the id <paramref name="last"/>, and the answer was 204. A closed source asks no more.</summary>
    private static void AssertStopped(PageSource source, string last)
    {
        Assert.That(source.State, Is.EqualTo(EventSourceState.Closed));
        Assert.That(source.Relay.Statuses, Is.EqualTo(new[] { 200, 204 }));
        Assert.That(source.Relay.Requests, Has.Length.EqualTo(2));
        Assert.That(source.Relay.Requests[1], Does.Match($"\r\nLast-Event-ID: {Regex.Escape(last)}\r\n"));
        Assert.That(source.Of("connect"), Has.Length.EqualTo(1));
    }

    /// <summary>
    /// Resets the stream of <paramref name="source"/>, and waits until its peer is away and <paramref name="left"/> streams are left. The
    /// source can't come back yet.
    /// </summary>
    private static async Task CutAsync(TestServer server, PageSource source, int left)
    {
        source.Relay.HoldBack();
        source.Relay.Reset();
        await Eventually.AsyncTrue(() => server.Server.Parts.Streams.Streams.Count == left);
        await WhenConnectionsAsync(server, left);
    }

    private static Task WhenConnectionsAsync(TestServer server, int count) =>
        Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == count);

    private async Task<TestServer> StartAsync(Action<MoshpitServerOptions>? configure = null)
    {
        TestServer server = await TestServer.StartAsync(configure);
        _servers.Add(server);
        return server;
    }

    private PageSource Listen(TestServer server, string path)
    {
        ResettingRelay relay = Keep(new ResettingRelay(server.Port));
        return Keep(Page!.Listen(relay, path));
    }

    private T Keep<T>(T opened)
        where T : IDisposable
    {
        _opened.Add(opened);
        return opened;
    }
}
