using static Moshpit.Tests.Client.RawServer;
using static Moshpit.Tests.Client.SessionScript;

namespace Moshpit.Tests.Client;

/// <summary>Messages on a session have numbers, by which each is delivered once and in order (PROTOCOL.md, 3.4).</summary>
public sealed class SessionWriteTests : SessionServerTests
{
    private static readonly string Resumed = StreamHead + Connect(resumed: true);

    [Test]
    public async Task Each_message_has_the_next_number_and_is_answered_with_a_receipt()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task<MoshpitReceipt> first = peer.Write("\"a\""), second = peer.Write("\"b\"", "x");
        RawConnection post = await AcceptAsync();
        string request = await post.ReadRequestAsync();
        Assert.That(FieldOf(request, "Accept"), Is.EqualTo("application/json"));
        Assert.That(BodyOf(request), Is.EqualTo($$"""{"token":"{{Token}}","seq":1,"data":"a"}"""));
        await post.SendAsync(Ok);
        Assert.That(BodyOf(await post.ReadRequestAsync()), Is.EqualTo($$"""{"token":"{{Token}}","seq":2,"cid":"x","data":"b"}"""));
        await post.SendAsync(Receipt);
        Assert.That((await first.Soon()).Event, Is.Null, "the answer was no receipt");
        MoshpitReceipt receipt = await second.Soon();
        Assert.That((receipt.Event, receipt.IsDuplicate), Is.EqualTo(("1000000002.1", false)));
    }

    [TestCase(0, 1)]
    [TestCase(1, 65)]
    [TestCase(1000, 1064)]
    public async Task A_program_that_does_not_know_its_numbers_begins_far_above_the_highest(long highest, long first)
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync(text: Connect(resumed: true, more: $",\"seq\":{highest}"));
        Task write = peer.Write("1");
        RawConnection post = await AcceptAsync();
        Assert.That(NumberIn(await post.ReadRequestAsync()), Is.EqualTo(first));
        await post.SendAsync(Ok);
        await write.Soon();
    }

    [Test]
    public async Task What_was_not_answered_when_the_connection_broke_is_sent_again_before_what_came_after_it()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt>[] writes = [peer.Write("2"), peer.Write("3"), peer.Write("4")];
        await ReadPostsAsync(post, 2, 3, 4);
        await post.SendAsync(Ok);
        await writes[0].Soon();
        post.Dispose();
        Task<MoshpitReceipt> later = peer.Write("5");
        await TakeAsync(3, 4, 5);
        await Task.WhenAll([.. writes, later]).Soon();
    }

    [Test]
    public async Task An_answer_that_is_cut_at_any_byte_lets_the_message_be_sent_again_with_its_number_unless_its_status_came()
    {
        int repeated = 0;
        await Parallel.ForAsync(0, Receipt.Length, new ParallelOptions { MaxDegreeOfParallelism = 64 }, async (cut, _) =>
        {
            using var server = new RawServer();
            await using MoshpitPeer peer = new MoshpitClient(server.Url).Open();
            using RawConnection stream = await server.AcceptAsync();
            await stream.ReadRequestAsync();
            await stream.SendAsync(StreamHead + Connect());
            Task<MoshpitReceipt> write = peer.Write("1");
            using (RawConnection post = await server.AcceptAsync())
            {
                Assert.That(NumberIn(await post.ReadRequestAsync()), Is.EqualTo(1));
                await post.SendAsync(Receipt[..cut]);
            }

            if (cut < Receipt.IndexOf('{'))
            {
                using RawConnection next = await server.AcceptAsync();
                Assert.That(NumberIn(await next.ReadRequestAsync()), Is.EqualTo(1));
                await next.SendAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"duplicate\":true}");
                Assert.That((await write.Soon()).IsDuplicate);
                Interlocked.Increment(ref repeated);
            }

            await write.Soon();
        });
        Assert.That(repeated, Is.EqualTo(Receipt.IndexOf('{')));
    }

    [Test]
    public async Task What_was_written_while_the_peer_is_away_or_was_not_answered_before_is_sent_when_it_is_back()
    {
        var options = new MoshpitClientOptions { SendTimeout = TimeSpan.FromMilliseconds(1) };
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(options);
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> before = peer.Write("2");
        await ReadPostsAsync(post, 2);
        stream.Dispose();
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        await post.WaitForEndAsync();
        Task<MoshpitReceipt> away = peer.Write("3");
        await AnswerAsync(Resumed);
        await TakeAsync(2, 3);
        await Task.WhenAll(before, away).Soon();
    }

    [Test]
    public async Task The_time_in_which_the_peer_is_away_does_not_count_against_the_time_of_a_message()
    {
        var options = new MoshpitClientOptions { SendTimeout = TimeSpan.FromSeconds(2) };
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(options);
        await ProveAsync(peer);
        stream.Dispose();
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Task<MoshpitReceipt> write = peer.Write("2");
        await Task.Delay(options.SendTimeout); // that is what it is about
        await AnswerAsync(Resumed);
        RawConnection post = await AcceptAsync();
        await ReadPostsAsync(post, 2);
        await post.SendAsync(Status(429, "Connection: close\r\n"));
        await TakeAsync(2);
        await write.Soon();
    }

    [TestCase(429, "Connection: close\r\n")]
    [TestCase(503, "Connection: close\r\n")]
    [TestCase(502)]
    [TestCase(504)]
    [TestCase(408, "Connection: close\r\n")]
    public async Task What_is_refused_for_now_is_sent_again_with_its_number(int status, string fields = "")
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> first = peer.Write("2");
        await ReadPostsAsync(post, 2);
        await post.SendAsync(Status(status, fields));
        await post.WaitForEndAsync();
        await TakeAsync(2);
        await first.Soon();
    }

    [Test]
    public async Task What_stands_behind_a_refusal_for_now_is_sent_again_after_it()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task[] writes = [peer.Write("2"), peer.Write("3")];
        await ReadPostsAsync(post, 2, 3);
        await post.SendAsync(Status(429, "Connection: close\r\n"));
        await TakeAsync(2, 3);
        await Task.WhenAll(writes).Soon();
    }

    [TestCase(400, "incomplete-request")]
    [TestCase(400, null)]
    public async Task A_message_that_did_not_come_whole_is_sent_again(int status, string? error)
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> write = peer.Write("2");
        await ReadPostsAsync(post, 2);
        await post.SendAsync(error is null ? Status(status, "Connection: close\r\n") : Refusal(status, error, "Connection: close\r\n"));
        await TakeAsync(2);
        await write.Soon();
    }

    [TestCase(400, "syntax")]
    [TestCase(404, "unknown-peer")]
    [TestCase(409, "seq-too-old")]
    [TestCase(413, "too-large")]
    public async Task A_message_that_is_refused_for_good_fails_and_those_behind_it_go_on(int status, string error)
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> refused = peer.Write("2"), next = peer.Write("3");
        await ReadPostsAsync(post, 2, 3);
        await post.SendAsync(Refusal(status, error) + Ok);
        Assert.That((await refused.FailureAsync()).Status, Is.EqualTo(status));
        await next.Soon();
    }

    [Test]
    public async Task Numbers_without_an_answer_are_at_most_63_apart()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task[] writes = [.. Enumerable.Range(2, 100).Select(number => peer.Write($"{number}"))];
        await ReadPostsAsync(post, [.. Enumerable.Range(2, 64)]);
        Task<string> more = post.ReadRequestAsync();
        Assert.That(more.IsCompleted, Is.False);
        await post.SendAsync(Ok);
        Assert.That(NumberIn(await more), Is.EqualTo(66));
        await post.SendAsync(string.Concat(Enumerable.Repeat(Ok, 64)));
        for (int number = 67; number <= 101; number++)
            await post.TakePostAsync(number);
        await Task.WhenAll(writes).Soon();
    }

    [TestCase(401, "invalid-token")]
    [TestCase(404, "unknown-channel")]
    [TestCase(404, "unknown-channel-yet")]
    public async Task A_server_that_does_not_know_the_peer_is_asked_for_its_stream_and_believed_the_second_time(int status, string error)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> write = peer.Write("2"), next = peer.Write("3");
        await ReadPostsAsync(post, 2, 3);
        await post.SendAsync(Refusal(status, error) + Refusal(status, error));
        await stream.WaitForEndAsync();
        await AnswerAsync(Resumed);
        post = await AcceptAsync();
        Assert.That(NumberIn(await post.ReadRequestAsync()), Is.EqualTo(2));
        await post.SendAsync(Refusal(status, error));
        Assert.That((await write.FailureAsync()).Status, Is.EqualTo(status));
        if (status == 401)
            post = await AcceptAsync(); // the credentials of the other one were not good
        Assert.That(NumberIn(await post.ReadRequestAsync()), Is.EqualTo(3));
        await post.SendAsync(Ok);
        await next.Soon();
    }

    [Test]
    public async Task A_server_that_knows_the_session_but_refuses_each_of_its_messages_is_asked_for_the_stream_once()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> write = peer.Write("2");
        await ReadPostsAsync(post, 2);
        await post.SendAsync(Refusal(401, "invalid-token"));
        await stream.WaitForEndAsync();
        await AnswerAsync(Resumed);
        for (int number = 3; number < 6; number++)
        {
            post = await AcceptAsync();
            Assert.That(await post.ReadRequestAsync(), Does.StartWith("POST"));
            await post.SendAsync(Refusal(401, "invalid-token"));
            Assert.That((await write.FailureAsync()).Status, Is.EqualTo(401));
            write = peer.Write($"{number}");
        }

        Assert.That(peer.State, Is.EqualTo(MoshpitPeerState.Live));
    }

    [Test]
    public async Task When_the_session_is_lost_only_messages_that_may_have_arrived_fail()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> unknown = peer.Write("2");
        await ReadPostsAsync(post, 2);
        stream.Dispose();
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Task<MoshpitReceipt> waiting = peer.Write("3");
        string token = new('e', 32);
        await AnswerAsync(StreamHead + Connect(token: token, cid: new('d', 32), id: 0));
        Assert.That((await unknown.FailureAsync()).OutcomeUnknown);
        post = await AcceptAsync();
        Assert.That(BodyOf(await post.ReadRequestAsync()), Is.EqualTo($$"""{"token":"{{token}}","seq":1,"data":3}"""));
        await post.SendAsync(Ok);
        await waiting.Soon();
    }

    [Test]
    public async Task A_message_that_the_lost_session_refused_for_now_gets_a_number_of_the_new_one()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> write = peer.Write("2");
        await ReadPostsAsync(post, 2);
        await post.SendAsync(Status(429, "Connection: close\r\nRetry-After: 20\r\n"));
        await post.WaitForEndAsync();
        stream.Dispose();
        await AnswerAsync(StreamHead + Connect(token: new('e', 32), cid: new('d', 32), id: 0));
        post = await AcceptAsync();
        Assert.That(NumberIn(await post.ReadRequestAsync()), Is.EqualTo(1));
        await post.SendAsync(Ok);
        await write.Soon();
    }

    [Test]
    public async Task When_the_peer_ends_what_may_have_arrived_has_an_unknown_outcome_and_the_rest_was_not_sent()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> unknown = peer.Write("2");
        await ReadPostsAsync(post, 2);
        stream.Dispose();
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Task<MoshpitReceipt> waiting = peer.Write("3");
        await AnswerAsync(Status(404));
        Assert.That((await unknown.FailureAsync()).OutcomeUnknown);
        Assert.That((await waiting.FailureAsync()).OutcomeUnknown, Is.False);
    }

    [Test]
    public async Task A_message_that_is_cancelled_while_its_outcome_is_unknown_is_not_sent_again()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        using var cancel = new CancellationTokenSource();
        Task<MoshpitReceipt> cancelled = peer.Write("2", cancellationToken: cancel.Token), next = peer.Write("3");
        await ReadPostsAsync(post, 2, 3);
        await cancel.CancelAsync();
        await cancelled.CancellationAsync();
        post.Dispose();
        await TakeAsync(3);
        await next.Soon();
    }

    [Test]
    public async Task A_peer_that_leaves_says_so_while_it_has_its_stream([Values] bool byItsToken)
    {
        using var cancel = new CancellationTokenSource();
        MoshpitPeer peer = new MoshpitClient(Server.Url).Open(cancel.Token);
        RawConnection stream = await AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync(StreamHead + Connect());
        await peer.Connected.Soon();
        Task disposing = byItsToken ? cancel.CancelAsync() : peer.DisposeAsync().AsTask();
        RawConnection post = await AcceptAsync();
        Assert.That(BodyOf(await post.ReadRequestAsync()), Is.EqualTo($$"""{"token":"{{Token}}","do":"leave"}"""));
        Task<bool> ending = EndsAsync(stream);
        Assert.That(ending.IsCompleted, Is.False, "the owner is not to hear that it is away");
        await post.SendAsync(Ok);
        await ending;
        await disposing.Soon();
        await peer.DisposeAsync();
    }

    [TestCase("")]
    [TestCase("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")]
    [TestCase("HTTP/1.1 503 Later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")]
    public async Task A_leave_that_was_cut_off_or_refused_for_now_is_said_again(string answer)
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task disposing = peer.DisposeAsync().AsTask();
        RawConnection post = await AcceptAsync();
        string said = BodyOf(await post.ReadRequestAsync());
        await post.SendAsync(answer);
        post.Dispose();
        post = await AcceptAsync();
        Assert.That(BodyOf(await post.ReadRequestAsync()), Is.EqualTo(said));
        await post.SendAsync(Ok);
        await disposing.Soon();
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task A_peer_that_leaves_waits_for_no_server_that_does_not_answer()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task disposing = peer.DisposeAsync().AsTask();
        await (await AcceptAsync()).ReadRequestAsync();
        await disposing.Soon();
    }

    private static async Task<bool> EndsAsync(RawConnection stream)
    {
        await stream.WaitForEndAsync();
        return true;
    }
}
