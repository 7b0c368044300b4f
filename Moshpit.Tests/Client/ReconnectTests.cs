using System.Collections.Concurrent;
using System.Globalization;
using System.Text.RegularExpressions;
using static Moshpit.Tests.Client.RawServer;
using static Moshpit.Tests.Client.SessionScript;

namespace Moshpit.Tests.Client;

/// <summary>When a peer comes back, and when it does not (PROTOCOL.md, 3.1 and 3.2).</summary>
public sealed class ReconnectTests : SessionServerTests
{
    private static readonly string Resumed = StreamHead + Connect(resumed: true);

    [Test]
    public async Task A_peer_comes_back_with_its_secret_and_the_last_event_that_it_has_had()
    {
        MoshpitPeer peer = OpenPeer();
        (string first, RawConnection stream) = await AnswerAsync(StreamHead + Connect() + Signal(1));
        Assert.That(FieldOf(first, "Moshpit-Session"), Does.Match("^[A-Za-z0-9_-]{43}$"));
        Assert.That(FieldOf(first, "Last-Event-ID"), Is.Null);
        await peer.ReadUntilAsync(MoshpitEventKind.Signal);
        stream.Dispose();
        (string second, _) = await AnswerAsync(Resumed);
        Assert.That(second, Is.EqualTo(first.Insert(first.Length - 2, $"Last-Event-ID: {Joined + 1}.3\r\n")));
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Connect)).IsResumed);
    }

    [Test]
    public async Task What_happens_stands_among_the_events_in_its_order()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(text: Connect() + Signal(1));
        stream.Dispose();
        await AnswerAsync(Resumed + Signal(2) + Bye("closed", again: false, "-1"));
        List<MoshpitEvent> events = await peer.ToListAsync();
        Assert.That(events.Select(e => e.Kind), Is.EqualTo(new[]
        {
            MoshpitEventKind.Connect, MoshpitEventKind.Signal, MoshpitEventKind.Lost, MoshpitEventKind.Connect, MoshpitEventKind.Signal,
            MoshpitEventKind.Bye,
        }));
        MoshpitEvent lost = events[2];
        Assert.That((lost.Name, lost.LastEventId), Is.EqualTo(("lost", events[1].LastEventId)));
        Assert.That(lost.Failure!.IsTransient);
        Assert.That(lost.Data, Is.EqualTo(Json.Quote(lost.Failure.Message)));
        Assert.That((events[0].IsResumed, events[3].IsResumed), Is.EqualTo((false, true)));
    }

    [TestCase(400)]
    [TestCase(404, "Retry-After: 0\r\n")]
    [TestCase(408)]
    [TestCase(410)]
    [TestCase(429, "Retry-After: 0\r\n")]
    [TestCase(500)]
    [TestCase(502)]
    [TestCase(503)]
    [TestCase(504)]
    [TestCase(302, "Location: ftp://login.example\r\n")]
    public async Task It_tries_again_after_a_refusal_that_may_pass(int status, string fields = "")
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        (await AnswerAsync(Status(status, fields))).Stream.Dispose();
        await AnswerAsync(Resumed);
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Assert.That((await peer.ReadAsync(Late))!.IsResumed, "one loss is told once");
    }

    [TestCase("")]
    [TestCase("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 0\n\n")]
    [TestCase("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: connect\ndata: {\"id\":")]
    public async Task It_tries_again_when_a_stream_ends_before_connect(string response)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        (await AnswerAsync(response)).Stream.Dispose();
        await AnswerAsync(Resumed);
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Assert.That((await peer.ReadAsync(Late))!.IsResumed);
    }

    [TestCase(401)]
    [TestCase(403)]
    [TestCase(404)]
    public async Task It_ends_with_a_refusal_that_is_final(int status)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        await AnswerAsync(Status(status));
        (_, Exception? failure) = await peer.DrainAsync();
        Assert.That((failure as MoshpitException)?.Status, Is.EqualTo(status));
        Assert.That((await peer.Completion.FailureAsync()).Status, Is.EqualTo(status));
        Assert.That(Server.HasCaller, Is.False);
    }

    [TestCase("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: connect\ndata: {}\n\n")]
    [TestCase("HTTP/1.1 2000 OK\r\n\r\n")]
    public async Task It_ends_when_it_does_not_understand_the_server(string response)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        await AnswerAsync(response);
        (_, Exception? failure) = await peer.DrainAsync();
        Assert.That(failure, Is.TypeOf<MoshpitException>());
        Assert.That(((MoshpitException)failure!).IsTransient, Is.False);
    }

    [Test]
    public async Task It_ends_in_good_order_when_its_session_is_over()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        await AnswerAsync(Status(204));
        await AssertEndedAsync(peer);
        Assert.That(Server.HasCaller, Is.False);
    }

    [TestCase("closed")]
    [TestCase("left")]
    [TestCase("kicked")]
    public async Task It_ends_in_good_order_when_the_server_says_bye_though_the_stream_goes_on(string reason)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        await stream.SendAsync(Bye(reason, again: false, "-1") + Signal(1));
        await AssertEndedAsync(peer);
        await stream.WaitForEndAsync();
        Assert.That(Server.HasCaller, Is.False);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task After_it_was_replaced_it_looks_with_the_id_of_that_whether_its_session_goes_on_elsewhere(bool goesOn)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        await stream.SendAsync(Bye("replaced", again: false, $"-{Joined}.0"));
        (string request, _) = await AnswerAsync(goesOn ? Status(204) : Resumed);
        Assert.That(FieldOf(request, "Last-Event-ID"), Is.EqualTo($"-{Joined}.0"));
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        if (goesOn)
            await AssertEndedAsync(peer);
        else
            Assert.That((await peer.ReadAsync(Late))!.IsResumed);
    }

    [TestCase("stopping")]
    [TestCase("slow")]
    public async Task It_comes_back_when_the_server_says_so(string reason)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        await stream.SendAsync(Bye(reason, again: true, $"{Joined + 4}.0"));
        (string request, RawConnection _) = await AnswerAsync(Resumed);
        Assert.That(FieldOf(request, "Last-Event-ID"), Is.EqualTo($"{Joined + 4}.0"));
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Lost)).Failure!.Message, Does.Contain(reason));
    }

    [Test]
    public async Task Another_peer_is_told_as_one()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        string cid = new('d', 32);
        await AnswerAsync(StreamHead + Connect(cid: cid, token: new('e', 32), id: 0));
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        MoshpitEvent connect = (await peer.ReadAsync(Late))!;
        Assert.That((connect.Cid, connect.IsResumed), Is.EqualTo((cid, false)));
    }

    [Test]
    public async Task It_waits_as_long_as_the_stream_asks_unless_the_program_asks_it_to_come_back()
    {
        var pauses = new ConcurrentQueue<TimeSpan>();
        var options = new MoshpitClientOptions { ReconnectWithin = Timeout.InfiniteTimeSpan, Log = line => Note(line, pauses) };
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(options, "retry: 36000000\n" + Connect());
        stream.Dispose();
        await Support.Eventually.AsyncTrue(() => pauses.Count == 1);
        Assert.That(peer.State, Is.EqualTo(MoshpitPeerState.Away));
        peer.Reconnect();
        (await AnswerAsync(Status(503, "Retry-After: 72000\r\n"))).Stream.Dispose();
        await Support.Eventually.AsyncTrue(() => pauses.Count == 2);
        peer.Reconnect();
        await AnswerAsync(Resumed);
        Assert.That(pauses.First(), Is.EqualTo(TimeSpan.FromHours(10)));
        Assert.That(pauses.Last(), Is.InRange(TimeSpan.FromHours(20), TimeSpan.FromHours(25)));
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Connect)).IsResumed);
        Assert.That(peer.State, Is.EqualTo(MoshpitPeerState.Live));
    }

    [Test]
    public async Task A_program_that_asks_for_it_gets_new_connections_at_once()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(text: "retry: 36000000\n" + Connect() + Signal(1));
        await peer.ReadUntilAsync(MoshpitEventKind.Signal);
        peer.Reconnect();
        (string request, RawConnection _) = await AnswerAsync(Resumed);
        Assert.That(FieldOf(request, "Last-Event-ID"), Is.EqualTo($"{Joined + 1}.3"));
        await stream.WaitForEndAsync();
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Lost)).Failure!.Message, Does.Contain("asked"));
    }

    [Test]
    public async Task A_try_that_hangs_is_given_up_when_the_program_asks_for_new_connections()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        using RawConnection hanging = await Server.AcceptAsync();
        await hanging.ReadRequestAsync();
        peer.Reconnect();
        await AnswerAsync(Resumed);
        await hanging.WaitForEndAsync();
    }

    [Test]
    public async Task Before_connect_and_without_a_session_there_is_nothing_to_come_back_to()
    {
        MoshpitPeer peer = OpenPeer();
        peer.Reconnect();
        using RawConnection stream = await Server.AcceptStreamAsync();
        await peer.Connected.Soon();
        peer.Reconnect();
        await stream.SendAsync("event: signal\ndata: 1\n\n");
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Signal)).Data, Is.EqualTo("1"));
        await stream.SendAsync("event: signal\ndata: cut");
        stream.Dispose();
        Assert.That((await peer.DrainAsync()).Failure, Is.TypeOf<MoshpitException>());
        Assert.That(Server.HasCaller, Is.False);
    }

    [TestCase(",\"grace\":0", null)]
    [TestCase(",\"grace\":30", 0.01)]
    public async Task It_ends_when_its_time_to_come_back_is_over(string grace, double? within)
    {
        var options = new MoshpitClientOptions { ReconnectWithin = within is { } seconds ? TimeSpan.FromSeconds(seconds) : null };
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(options, "retry: 60000\n" + Connect(more: grace));
        stream.Dispose();
        (List<MoshpitEvent> events, Exception? failure) = await peer.DrainAsync();
        Assert.That(events[^1].Kind, Is.EqualTo(MoshpitEventKind.Lost));
        Assert.That(failure!.Message, Does.Contain("could not come back within").And.Contain(events[^1].Failure!.Message));
        Assert.That(Server.HasCaller, Is.False);
    }

    [TestCase(null)]
    [TestCase(Session)]
    public async Task One_that_never_comes_back_has_a_session_only_if_the_program_brings_one(string? session)
    {
        MoshpitPeer peer = OpenPeer(new() { ReconnectWithin = TimeSpan.Zero }, new() { Session = session });
        (string request, RawConnection stream) = await AnswerAsync(StreamHead + Connect());
        Assert.That(FieldOf(request, "Moshpit-Session"), Is.EqualTo(session));
        await peer.Connected.Soon();
        await stream.SendAsync("event: signal\ndata: cut");
        stream.Dispose();
        Assert.That((await peer.DrainAsync()).Failure, Is.TypeOf<MoshpitException>());
        Assert.That(Server.HasCaller, Is.False);
    }

    [TestCase(null, ",\"heartbeat\":1")]
    [TestCase(0.5, ",\"heartbeat\":0")]
    public async Task A_stream_that_is_silent_for_too_long_is_lost(double? silence, string heartbeat)
    {
        var options = new MoshpitClientOptions { SilenceTimeout = silence is { } seconds ? TimeSpan.FromSeconds(seconds) : null };
        (MoshpitPeer peer, _) = await OpenSessionAsync(options, Connect(more: heartbeat));
        await AnswerAsync(Resumed);
        string why = (await peer.ReadUntilAsync(MoshpitEventKind.Lost)).Failure!.Message;
        Assert.That(why, Does.Contain("silent for").And.Contain(silence is null ? "00:00:02.5" : "00:00:00.5"));
    }

    [Test]
    public void The_pause_before_a_try_is_random_grows_to_ten_seconds_and_is_as_long_as_asked()
    {
        TimeSpan[] First(int tries, double least) =>
            [.. Enumerable.Range(0, 200).Select(_ => MoshpitPeer.PauseBefore(tries, TimeSpan.FromSeconds(least)))];
        for (int tries = 0; tries < 40; tries++)
        {
            double most = Math.Min(10, 0.25 * Math.Pow(2, tries));
            TimeSpan[] pauses = First(tries, 0);
            Assert.That(pauses, Is.All.InRange(TimeSpan.Zero, TimeSpan.FromSeconds(most)));
            Assert.That(pauses.Max(), Is.GreaterThan(TimeSpan.FromSeconds(most / 2)));
            Assert.That(pauses.Min(), Is.LessThan(TimeSpan.FromSeconds(most / 2)));
            foreach (int least in new[] { 7, 60 })
                Assert.That(First(tries, least), Is.All.InRange(TimeSpan.FromSeconds(least), TimeSpan.FromSeconds(Math.Max(least, most))));
        }
    }

    /// <summary>Notes when the next try is to be, if <paramref name="line"/> of the log says that.</summary>
    private static void Note(string line, ConcurrentQueue<TimeSpan> pauses)
    {
        if (Regex.Match(line, " come back in ([0-9:.]+)\\. ") is { Success: true } match)
            pauses.Enqueue(TimeSpan.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));
    }
}
