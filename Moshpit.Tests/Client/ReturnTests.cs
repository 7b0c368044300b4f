using System.Net.Sockets;
using static Moshpit.Tests.Client.RawServer;
using static Moshpit.Tests.Client.SessionScript;

namespace Moshpit.Tests.Client;

/// <summary>What happens while a peer comes back: its tries may fail in any way, and it has new connections after them.</summary>
public sealed class ReturnTests : SessionServerTests
{
    /// <summary>So many servers at once.</summary>
    private const int AtOnce = 64;

    private static readonly string Resumed = StreamHead + Connect(resumed: true);

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_stream_that_is_cut_at_any_byte_when_the_peer_comes_back_is_asked_for_behind_what_came_whole(bool isUsable)
    {
        // Where the last id was not usable, the id of connect is 0.0, so that a break before the gap does not hide the loss.
        string connect = isUsable ? Connect(resumed: true, id: Joined + 1) : Connect(id: 0);
        string gap = $"event: gap\ndata: {{\"after\":null,\"missed\":null}}\nid: {Joined + 2}.0\n\n";
        string all = StreamHead + connect + gap + Signal(3);
        int connected = StreamHead.Length + connect.Length;
        await Parallel.ForAsync(0, all.Length, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (cut, _) =>
        {
            using var server = new RawServer();
            await using MoshpitPeer peer = new MoshpitClient(server.Url).Open();
            using (RawConnection first = await server.AcceptAsync())
            {
                await first.ReadRequestAsync();
                await first.SendAsync(StreamHead + Connect() + Signal(1));
                await peer.ReadUntilAsync(MoshpitEventKind.Signal);
            }

            using (RawConnection second = await server.AcceptAsync())
            {
                await second.ReadRequestAsync();
                await second.SendAsync(all[..cut]);
            }

            using RawConnection third = await server.AcceptAsync();
            string expected = cut < connected ? $"{Joined + 1}.3"
                : cut < connected + gap.Length ? isUsable ? $"{Joined + 1}.0" : "0.0"
                : $"{Joined + 2}.0";
            Assert.That(FieldOf(await third.ReadRequestAsync(), "Last-Event-ID"), Is.EqualTo(expected), $"cut at {cut}");
            await third.SendAsync(Resumed + Signal(3) + Bye("closed", again: false, "-1"));
            List<MoshpitEvent> events = await peer.ToListAsync();
            Assert.That(events.Count(e => e.Kind == MoshpitEventKind.Lost), Is.EqualTo(cut < connected ? 1 : 2), $"cut at {cut}");
            Assert.That(events.Count(e => e.Kind == MoshpitEventKind.Gap), Is.EqualTo(cut < connected + gap.Length ? 0 : 1));
            Assert.That(events.Count(e => e.Kind == MoshpitEventKind.Signal), Is.EqualTo(1));
        });
    }

    [Test]
    public async Task A_program_that_was_started_again_says_what_it_had_and_goes_on_from_there()
    {
        MoshpitPeer peer = OpenPeer(own: new() { Session = Session, LastEventId = $"{Joined + 5}.3" });
        (string first, RawConnection stream) = await AnswerAsync(StreamHead + Connect(resumed: true, id: Joined + 5));
        Assert.That((FieldOf(first, "Moshpit-Session"), FieldOf(first, "Last-Event-ID")), Is.EqualTo((Session, $"{Joined + 5}.3")));
        await stream.SendAsync(Signal(6));
        await peer.ReadUntilAsync(MoshpitEventKind.Signal);
        stream.Dispose();
        (string second, _) = await AnswerAsync(Resumed);
        Assert.That((FieldOf(second, "Moshpit-Session"), FieldOf(second, "Last-Event-ID")), Is.EqualTo((Session, $"{Joined + 6}.3")));
    }

    [Test]
    public async Task A_program_that_was_started_again_after_its_session_was_over_hears_of_the_end()
    {
        MoshpitPeer peer = OpenPeer(own: new() { Session = Session, LastEventId = $"{Joined + 5}.3" });
        await AnswerAsync(Status(204));
        await AssertEndedAsync(peer);
        await peer.Connected.FailureAsync();
        Assert.That(Server.HasCaller, Is.False);
    }

    [TestCase(SocketError.ConnectionRefused)]
    [TestCase(SocketError.ConnectionReset)]
    [TestCase(SocketError.HostNotFound)]
    [TestCase(SocketError.NetworkUnreachable)]
    [TestCase(null)]
    public async Task It_tries_again_when_there_is_no_connection_whatever_the_reason(SocketError? error)
    {
        int calls = 0;
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(new()
        {
            ConnectCallback = async (_, _) => Interlocked.Increment(ref calls) is 2 or 3
                ? throw (error is { } known ? new SocketException((int)known) : new InvalidOperationException("not now"))
                : new NetworkStream(await Server.ConnectAsync(), ownsSocket: true),
        });
        stream.Dispose();
        await AnswerAsync(Resumed);
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Assert.That((await peer.ReadAsync(Late))!.IsResumed);
        Assert.That(calls, Is.EqualTo(4));
    }

    [Test]
    public async Task It_tries_again_when_its_request_is_reset()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Reset();
        (await AcceptAsync()).Reset();
        await AnswerAsync(Resumed);
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Assert.That((await peer.ReadAsync(Late))!.IsResumed);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task An_event_that_is_too_large_ends_the_peer_for_good(bool onReturn)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(new() { MaxEventSize = 1000 });
        if (onReturn)
        {
            stream.Dispose();
            (_, stream) = await AnswerAsync(Resumed);
        }

        await stream.SendAsync($"event: signal\ndata: \"{new string('x', 1000)}");
        Assert.That(((await peer.DrainAsync()).Failure as MoshpitException)?.IsTransient, Is.False);
        Assert.That(await (await AcceptAsync()).TakePostAsync(), Does.Contain("\"do\":\"leave\""), "it had a stream until then");
    }

    [Test]
    public async Task The_last_reason_stands_in_the_exception_when_its_time_is_over()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(new() { ReconnectWithin = TimeSpan.FromSeconds(2) });
        stream.Dispose();
        await AnswerAsync(Refusal(503, "full", "Retry-After: 3600\r\n"));
        var failure = (MoshpitException)(await peer.DrainAsync()).Failure!;
        Assert.That((failure.Status, failure.RetryAfter, failure.IsTransient), Is.EqualTo((503, TimeSpan.FromHours(1), true)));
        Assert.That(failure.Message, Does.Contain("could not come back within 00:00:02").And.Contain("503"));
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task After_it_was_replaced_it_says_so_until_it_is_answered()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        await stream.SendAsync(Bye("replaced", again: false, $"-{Joined}.0"));
        (await AnswerAsync(Status(503))).Stream.Dispose();
        (string request, _) = await AnswerAsync(Resumed);
        Assert.That(FieldOf(request, "Last-Event-ID"), Is.EqualTo($"-{Joined}.0"));
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Lost)).Failure!.Message, Does.Contain("replaced"));
        Assert.That((await peer.ReadAsync(Late))!.IsResumed, "one loss is told once");
    }

    [Test]
    public async Task A_server_that_promises_no_heartbeat_may_be_silent_for_longer_than_one_that_does()
    {
        (MoshpitPeer silent, RawConnection stream) = await OpenSessionAsync(text: Connect(more: ",\"heartbeat\":0"));
        (MoshpitPeer peer, _) = await OpenSessionAsync(text: Connect(more: ",\"heartbeat\":1"));
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Lost)).Failure!.Message, Does.Contain("silent"));
        await stream.SendAsync(Signal(1));
        await silent.ReadAsync(Late);
        Assert.That((await silent.ReadAsync(Late))!.Kind, Is.EqualTo(MoshpitEventKind.Signal));
    }

    [Test]
    public async Task New_connections_are_new_for_messages_too_and_none_is_lost_with_the_old_ones()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        Task write = peer.Write("1");
        RawConnection post = await AcceptAsync();
        Assert.That(await post.ReadRequestAsync(), Does.EndWith("\"seq\":1,\"data\":1}"));
        peer.Reconnect();
        await Task.WhenAll(stream.WaitForEndAsync(), post.WaitForEndAsync());
        await AnswerAsync(Resumed);
        Assert.That(await (await AcceptAsync()).TakePostAsync(), Does.EndWith("\"seq\":1,\"data\":1}"));
        await write.Soon();
    }

    [Test]
    public async Task A_server_without_sessions_hears_nothing_of_them_but_the_secret()
    {
        MoshpitPeer peer = OpenPeer();
        using RawConnection stream = await Server.AcceptStreamAsync();
        Task write = peer.Write("1");
        RawConnection post = await AcceptAsync();
        string request = await post.ReadRequestAsync();
        Assert.That(request, Does.EndWith($"\r\n\r\n{{\"token\":\"{Token}\",\"data\":1}}"));
        Assert.That(FieldOf(request, "Accept"), Is.Null);
        await post.SendAsync(Ok);
        await write.Soon();
        await peer.DisposeAsync().AsTask().Soon();
        await Task.WhenAll(stream.WaitForEndAsync(), post.WaitForEndAsync());
        Assert.That(Server.HasCaller, Is.False, "it says no leave");
    }

    [Test]
    public async Task A_server_that_has_sessions_no_more_gets_messages_without_numbers_and_no_return()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Task write = peer.Write("1");
        (_, stream) = await AnswerAsync(StreamHead + ConnectEvent.Replace(Token, new string('e', 32), StringComparison.Ordinal));
        Assert.That(await (await AcceptAsync()).TakePostAsync(), Is.EqualTo($"{{\"token\":\"{new string('e', 32)}\",\"data\":1}}"));
        await write.Soon();
        stream.Reset();
        Assert.That((await peer.DrainAsync()).Failure, Is.TypeOf<MoshpitException>());
        Assert.That(Server.HasCaller, Is.False);
    }
}
