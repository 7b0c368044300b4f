using Moshpit.Tests.Support;
using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

public class WriteTests : RawServerTests
{
    [Test]
    public async Task A_message_is_posted_in_exactly_these_bytes()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task toAll = served.Write("{\"boom\":\"böm\"}");
        using RawConnection post = await Server.AcceptAsync();
        string body = "{\"token\":\"" + Token + "\",\"data\":{\"boom\":\"böm\"}}";
        Assert.That(await post.ReadRequestAsync(), Is.EqualTo(
            $"POST /{Id} HTTP/1.1\r\nHost: {Server.Authority}\r\nContent-Type: application/json\r\n" +
            $"Content-Length: {body.Length + 1}\r\n\r\n{body}"));
        Assert.That(toAll.IsCompleted, Is.False, "the server has not answered");
        await post.SendAsync(Ok);
        await toAll.Soon();

        Task toOne = served.Write("1", "a\"b");
        Assert.That(await post.TakePostAsync(), Is.EqualTo($$"""{"token":"{{Token}}","cid":"a\"b","data":1}"""));
        await toOne.Soon();
        toOne = served.Write("{\"_cid\":\"c\",\"d\":1}");
        Assert.That(await post.TakePostAsync(), Is.EqualTo("{\"token\":\"" + Token + "\",\"cid\":\"c\",\"data\":{\"d\":1}}"));
        await toOne.Soon();
    }

    [Test]
    public async Task Objects_are_serialized()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task first = served.Peer.WriteAsJson(new { a = 1, _cid = "c" });
        using RawConnection post = await Server.AcceptAsync();
        Assert.That(await post.TakePostAsync(), Does.EndWith(",\"cid\":\"c\",\"data\":{\"a\":1}}"));
        await first.Soon();
        var data = new Dictionary<string, int[]> { ["b"] = [2] };
        Task second = served.Peer.WriteAsJson(data, SourceGenerated.Default.DictionaryStringInt32Array);
        Assert.That(await post.TakePostAsync(), Does.EndWith(",\"data\":{\"b\":[2]}}"));
        await second.Soon();
    }

    [Test]
    public async Task Messages_written_before_connect_wait_for_it_and_all_arrive_in_order_over_one_connection()
    {
        await using MoshpitPeer peer = Open();
        var written = new List<Task>();
        for (int i = 0; i < 10; i++)
            written.Add(peer.Write($"{i}"));
        using RawConnection stream = await Server.AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync(StreamHead);
        Assert.That(written.TrueForAll(w => !w.IsCompleted), Is.True);
        await stream.SendAsync(ConnectEvent);
        using RawConnection post = await Server.AcceptAsync();
        for (int i = 0; i < 20; i++)
        {
            if (i < 10)
                written.Add(peer.Write($"{i + 10}"));
            await post.TakePostAsync(i);
        }

        await Task.WhenAll(written).Soon();
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task What_waits_to_be_sent_is_bounded()
    {
        // Two messages of five characters, each counting 64 more for its objects.
        await using MoshpitPeer peer = Open(new() { WriteBufferSize = 2 * (64 + 5) });
        using RawConnection stream = await Server.AcceptAsync();
        await stream.ReadRequestAsync();
        Task first = peer.Write("12345");
        Task second = peer.Write("67890");
        Task third = peer.Write("1");
        MoshpitException failure = await third.FailureAsync();
        Assert.That(failure.OutcomeUnknown, Is.False);
        Assert.That(failure.Message, Does.Contain("65 characters").And.Contain("138 wait"));
        await stream.SendAsync(StreamHead + ConnectEvent);
        using RawConnection post = await Server.AcceptAsync();
        await post.TakePostAsync(12345);
        await post.TakePostAsync(67890);
        await Task.WhenAll(first, second).Soon();
        Task fourth = peer.Write(new string('1', 2 * 5 + 64));
        await post.TakePostAsync();
        await fourth.Soon();
    }

    [TestCase("{\"a\":1},\"token\":\"x\"")]
    [TestCase("1}")]
    [TestCase("")]
    public async Task Text_that_is_not_one_json_value_is_refused_by_the_call(string json)
    {
        await using MoshpitPeer peer = Open();
        Assert.That(() => { _ = peer.Write(json); }, Throws.ArgumentException);
    }

    [Test]
    public async Task An_addressee_said_twice_or_empty_is_refused_by_the_call()
    {
        await using MoshpitPeer peer = Open();
        Assert.That(() => { _ = peer.Write("{\"_cid\":\"a\"}", "a"); }, Throws.ArgumentException);
        Assert.That(() => { _ = peer.Write("{\"_cid\":\"a\"}", MoshpitRecipients.Others); }, Throws.ArgumentException);
        Assert.That(() => { _ = peer.Write("1", ""); }, Throws.ArgumentException);
        Assert.That(() => MoshpitRecipients.Of([]), Throws.ArgumentException);
        Assert.That(() => MoshpitRecipients.Of(["a", ""]), Throws.ArgumentException);
        Assert.That(() => MoshpitRecipients.Of(Enumerable.Repeat("a", 101)), Throws.ArgumentException);
        Assert.That(() => { _ = peer.Write(null!); }, Throws.ArgumentNullException);
    }

    [Test]
    public async Task A_refused_message_fails_with_status_and_sentence_and_the_next_one_goes_out()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task refused = served.Write("1", "nobody");
        Task taken = served.Write("2");
        using RawConnection post = await Server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n" +
            "7\r\nno such\r\n5\r\n cid\n\r\n0\r\n\r\n");
        MoshpitException failure = await refused.FailureAsync();
        Assert.That((failure.Status, failure.Reply, failure.OutcomeUnknown), Is.EqualTo((404, "no such cid", false)));
        Assert.That(failure.Message, Does.Contain("404").And.Contain("no such cid"));
        await post.TakePostAsync(2, "on the same connection");
        await taken.Soon();
    }

    [Test]
    public async Task A_refusal_that_comes_before_the_message_was_read_is_heard()
    {
        await using ServedPeer served = await Server.OpenPeerAsync(new() { WriteBufferSize = 64 << 20 });
        Task large = served.Write("\"" + new string('x', 32 << 20) + "\"");
        using RawConnection post = await Server.AcceptAsync();
        await post.SendAsync("HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large");
        MoshpitException failure = await large.FailureAsync();
        Assert.That((failure.Status, failure.Reply), Is.EqualTo((413, "too large")));
        await post.WaitForEndAsync();
    }

    [Test]
    public async Task A_success_that_comes_before_the_message_was_read_does_not_cut_it_off()
    {
        await using ServedPeer served = await Server.OpenPeerAsync(new() { WriteBufferSize = 64 << 20 });
        string text = "\"" + new string('x', 8 << 20) + "\"";
        Task large = served.Write(text);
        Task next = served.Write("2");
        using RawConnection post = await Server.AcceptAsync();
        await post.SendAsync(Ok);
        Assert.That(await post.ReadRequestAsync(), Does.EndWith(text + "}"));
        await large.Soon();
        await post.TakePostAsync(2, "on the same connection");
        await next.Soon();
    }

    [Test]
    public async Task A_kept_connection_that_the_server_closed_is_opened_again()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task first = served.Write("1");
        using (RawConnection post = await Server.AcceptAsync())
        {
            await post.TakePostAsync();
            await first.Soon();
        }

        // On loopback the FIN has arrived when Dispose returns.
        Task second = served.Write("2");
        using RawConnection again = await Server.AcceptAsync();
        await again.TakePostAsync(2);
        await second.Soon();
    }

    [TestCase("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK")]
    [TestCase("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK")]
    [TestCase("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK and more")]
    public async Task A_connection_that_can_not_be_kept_is_closed(string answer)
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task first = await served.SendAsync("1");
        await served.Post.SendAsync(answer);
        await first.Soon();
        Task second = served.Write("2");
        using RawConnection again = await Server.AcceptAsync();
        await again.TakePostAsync();
        await second.Soon();
        await served.Post.WaitForEndAsync();
    }

    [TestCase("")]
    [TestCase("HTTP/1.1 200 OK\r\n")]
    [TestCase("HTTP/1.1 100 Continue\r\n\r\n")]
    [TestCase("nonsense\r\n\r\n")]
    public async Task A_message_that_was_read_and_not_answered_has_an_unknown_outcome_and_is_not_sent_again(string answer)
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        await served.DeliverAsync("1");

        Task second = served.Write("2");
        Assert.That(await served.Post.ReadRequestAsync(), Does.EndWith("\"data\":2}"));
        await served.Post.SendAsync(answer);
        served.Post.Dispose();
        MoshpitException failure = await second.FailureAsync();
        Assert.That((failure.OutcomeUnknown, failure.Status), Is.EqualTo((true, (int?)null)));
        Assert.That(failure.Message, Does.Contain("outcome is unknown"));

        Task third = served.Write("3");
        using RawConnection again = await Server.AcceptAsync();
        await again.TakePostAsync(3, "not the second one");
        await third.Soon();
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task A_body_that_is_cut_off_does_not_change_what_the_status_said()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task write = await served.SendAsync("1");
        await served.Post.SendAsync("HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nwho are");
        served.Post.Dispose();
        MoshpitException failure = await write.FailureAsync();
        Assert.That((failure.Status, failure.Reply, failure.OutcomeUnknown), Is.EqualTo((401, "who are", false)));
    }

    [Test]
    public async Task A_late_answer_is_an_unknown_outcome()
    {
        await using ServedPeer served = await Server.OpenPeerAsync(new() { ResponseTimeout = TimeSpan.FromSeconds(2) });
        Task write = await served.SendAsync("1");
        MoshpitException failure = await write.FailureAsync();
        Assert.That(failure.OutcomeUnknown, Is.True);
        await served.Post.WaitForEndAsync();
    }

    [Test]
    public async Task A_message_that_could_not_be_sent_has_a_known_outcome()
    {
        await using ServedPeer served = await Server.OpenPeerAsync(new() { SendTimeout = TimeSpan.Zero });
        await served.Peer.Connected.Soon();
        Server.Dispose();
        MoshpitException failure = await served.Write("1").FailureAsync();
        Assert.That((failure.OutcomeUnknown, failure.IsTransient, failure.Status), Is.EqualTo((false, true, (int?)null)));
    }

    [Test]
    public async Task Of_a_long_reply_only_the_beginning_is_read()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task write = await served.SendAsync("1");
        await served.Post.SendAsync("HTTP/1.1 404 Not Found\r\nContent-Length: 100000\r\n\r\n" + new string('x', 5000));
        MoshpitException failure = await write.FailureAsync();
        Assert.That((failure.Status, failure.Reply), Is.EqualTo((404, new string('x', 4096))));
        await served.Post.WaitForEndAsync();
    }

    [Test]
    public async Task A_connection_that_is_kept_is_closed_when_the_stream_ends()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task write = await served.SendAsync("1");
        served.Stream.Finish();
        await served.Peer.ToListAsync();
        await served.Post.SendAsync(Ok);
        await write.Soon();
        await served.Post.WaitForEndAsync();
    }

    [Test]
    public async Task The_deepest_value_that_may_be_written_is_taken_by_the_server()
    {
        await using TestServer server = await TestServer.StartAsync();
        await using MoshpitPeer peer = new MoshpitClient($"http://127.0.0.1:{server.Port}").Open();
        string deepest = new string('[', 63) + new string(']', 63);
        await peer.Write(deepest).Soon();
        Assert.That(() => { _ = peer.Write($"[{deepest}]"); }, Throws.ArgumentException);
    }

    [Test]
    public async Task What_waits_when_the_stream_ends_fails_and_so_does_what_comes_later()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await Server.AcceptAsync();
        await stream.ReadRequestAsync();
        Task early = peer.Write("1");
        await stream.SendAsync(StreamHead);
        stream.Finish();
        await early.FailureAsync();
        await peer.Connected.FailureAsync();
        await peer.Write("2").FailureAsync();
        Assert.That(Server.HasCaller, Is.False);
    }
}
