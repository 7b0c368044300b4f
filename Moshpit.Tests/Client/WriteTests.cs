using Moshpit.Tests.Support;
using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

public class WriteTests
{
    private RawServer _server = null!;

    [SetUp]
    public void Listen() => _server = new RawServer();

    [TearDown]
    public void Close() => _server.Dispose();

    [Test]
    public async Task A_message_is_posted_in_exactly_these_bytes()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task toAll = peer.Write("{\"boom\":\"böm\"}");
        using RawConnection post = await _server.AcceptAsync();
        string body = "{\"token\":\"" + Token + "\",\"data\":{\"boom\":\"böm\"}}";
        Assert.That(await post.ReadRequestAsync(), Is.EqualTo(
            $"POST /{Id} HTTP/1.1\r\nHost: {_server.Authority}\r\nContent-Type: application/json\r\nContent-Length: {body.Length + 1}\r\n\r\n{body}"));
        Assert.That(toAll.IsCompleted, Is.False, "the server has not answered");
        await post.SendAsync(Ok);
        await toAll.Soon();

        Task toOne = peer.Write("1", "a\"b");
        Assert.That(await post.TakePostAsync(), Is.EqualTo($$"""{"token":"{{Token}}","cid":"a\"b","data":1}"""));
        await toOne.Soon();
        toOne = peer.Write("{\"_cid\":\"c\",\"d\":1}");
        Assert.That(await post.TakePostAsync(), Is.EqualTo("{\"token\":\"" + Token + "\",\"cid\":\"c\",\"data\":{\"d\":1}}"));
        await toOne.Soon();
    }

    [Test]
    public async Task Objects_are_serialized()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task first = peer.WriteAsJson(new { a = 1, _cid = "c" });
        using RawConnection post = await _server.AcceptAsync();
        Assert.That(await post.TakePostAsync(), Does.EndWith(",\"cid\":\"c\",\"data\":{\"a\":1}}"));
        await first.Soon();
        Task second = peer.WriteAsJson(new Dictionary<string, int[]> { ["b"] = [2] }, SourceGenerated.Default.DictionaryStringInt32Array);
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
        using RawConnection stream = await _server.AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync(StreamHead);
        Assert.That(written.TrueForAll(w => !w.IsCompleted), Is.True);
        await stream.SendAsync(ConnectEvent);
        using RawConnection post = await _server.AcceptAsync();
        for (int i = 0; i < 20; i++)
        {
            if (i < 10)
                written.Add(peer.Write($"{i + 10}"));
            Assert.That(await post.TakePostAsync(), Does.EndWith($"\"data\":{i}}}"));
        }

        await Task.WhenAll(written).Soon();
        Assert.That(_server.HasCaller, Is.False);
    }

    [Test]
    public async Task What_waits_to_be_sent_is_bounded()
    {
        // Two messages of five characters, each counting 64 more for its objects.
        await using MoshpitPeer peer = Open(new MoshpitClientOptions { WriteBufferSize = 2 * (64 + 5) });
        using RawConnection stream = await _server.AcceptAsync();
        await stream.ReadRequestAsync();
        Task first = peer.Write("12345");
        Task second = peer.Write("67890");
        Task third = peer.Write("1");
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => third.Soon()))!;
        Assert.That(failure.OutcomeUnknown, Is.False);
        Assert.That(failure.Message, Does.Contain("65 characters").And.Contain("138 wait"));
        await stream.SendAsync(StreamHead + ConnectEvent);
        using RawConnection post = await _server.AcceptAsync();
        Assert.That(await post.TakePostAsync(), Does.EndWith("\"data\":12345}"));
        Assert.That(await post.TakePostAsync(), Does.EndWith("\"data\":67890}"));
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
        Assert.That(() => { _ = peer.Write("1", ""); }, Throws.ArgumentException);
        Assert.That(() => { _ = peer.Write(null!); }, Throws.ArgumentNullException);
    }

    [Test]
    public async Task A_refused_message_fails_with_status_and_sentence_and_the_next_one_goes_out()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task refused = peer.Write("1", "nobody");
        Task taken = peer.Write("2");
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nno such\r\n5\r\n cid\n\r\n0\r\n\r\n");
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => refused.Soon()))!;
        Assert.That((failure.Status, failure.Reply, failure.OutcomeUnknown), Is.EqualTo((404, "no such cid", false)));
        Assert.That(failure.Message, Does.Contain("404").And.Contain("no such cid"));
        Assert.That(await post.TakePostAsync(), Does.EndWith("\"data\":2}"), "on the same connection");
        await taken.Soon();
    }

    [Test]
    public async Task A_refusal_that_comes_before_the_message_was_read_is_heard()
    {
        await using MoshpitPeer peer = Open(new MoshpitClientOptions { WriteBufferSize = 64 << 20 });
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task large = peer.Write("\"" + new string('x', 32 << 20) + "\"");
        using RawConnection post = await _server.AcceptAsync();
        await post.SendAsync("HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large");
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => large.Soon()))!;
        Assert.That((failure.Status, failure.Reply), Is.EqualTo((413, "too large")));
        await post.WaitForEndAsync();
    }

    [Test]
    public async Task A_success_that_comes_before_the_message_was_read_does_not_cut_it_off()
    {
        await using MoshpitPeer peer = Open(new MoshpitClientOptions { WriteBufferSize = 64 << 20 });
        using RawConnection stream = await _server.AcceptStreamAsync();
        string text = "\"" + new string('x', 8 << 20) + "\"";
        Task large = peer.Write(text);
        Task next = peer.Write("2");
        using RawConnection post = await _server.AcceptAsync();
        await post.SendAsync(Ok);
        Assert.That(await post.ReadRequestAsync(), Does.EndWith(text + "}"));
        await large.Soon();
        Assert.That(await post.TakePostAsync(), Does.EndWith("\"data\":2}"), "on the same connection");
        await next.Soon();
    }

    [Test]
    public async Task A_kept_connection_that_the_server_closed_is_opened_again()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task first = peer.Write("1");
        using (RawConnection post = await _server.AcceptAsync())
        {
            await post.TakePostAsync();
            await first.Soon();
        }

        // On loopback the FIN has arrived when Dispose returns.
        Task second = peer.Write("2");
        using RawConnection again = await _server.AcceptAsync();
        Assert.That(await again.TakePostAsync(), Does.EndWith("\"data\":2}"));
        await second.Soon();
    }

    [TestCase("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nOK")]
    [TestCase("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK")]
    [TestCase("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK and more")]
    public async Task A_connection_that_can_not_be_kept_is_closed(string answer)
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task first = peer.Write("1");
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync(answer);
        await first.Soon();
        Task second = peer.Write("2");
        using RawConnection again = await _server.AcceptAsync();
        await again.TakePostAsync();
        await second.Soon();
        await post.WaitForEndAsync();
    }

    [TestCase("")]
    [TestCase("HTTP/1.1 200 OK\r\n")]
    [TestCase("HTTP/1.1 100 Continue\r\n\r\n")]
    [TestCase("nonsense\r\n\r\n")]
    public async Task A_message_that_was_read_and_not_answered_has_an_unknown_outcome_and_is_not_sent_again(string answer)
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task first = peer.Write("1");
        using RawConnection post = await _server.AcceptAsync();
        await post.TakePostAsync();
        await first.Soon();

        Task second = peer.Write("2");
        Assert.That(await post.ReadRequestAsync(), Does.EndWith("\"data\":2}"));
        await post.SendAsync(answer);
        post.Dispose();
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => second.Soon()))!;
        Assert.That((failure.OutcomeUnknown, failure.Status), Is.EqualTo((true, (int?)null)));
        Assert.That(failure.Message, Does.Contain("outcome is unknown"));

        Task third = peer.Write("3");
        using RawConnection again = await _server.AcceptAsync();
        Assert.That(await again.TakePostAsync(), Does.EndWith("\"data\":3}"), "not the second one");
        await third.Soon();
        Assert.That(_server.HasCaller, Is.False);
    }

    [Test]
    public async Task A_body_that_is_cut_off_does_not_change_what_the_status_said()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync("HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nwho are");
        post.Dispose();
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => write.Soon()))!;
        Assert.That((failure.Status, failure.Reply, failure.OutcomeUnknown), Is.EqualTo((401, "who are", false)));
    }

    [Test]
    public async Task A_late_answer_is_an_unknown_outcome()
    {
        await using MoshpitPeer peer = Open(new MoshpitClientOptions { ResponseTimeout = TimeSpan.FromSeconds(2) });
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => write.Soon()))!;
        Assert.That(failure.OutcomeUnknown, Is.True);
        await post.WaitForEndAsync();
    }

    [Test]
    public async Task A_message_that_could_not_be_sent_has_a_known_outcome()
    {
        await using MoshpitPeer peer = Open(new MoshpitClientOptions { SendTimeout = TimeSpan.Zero });
        using RawConnection stream = await _server.AcceptStreamAsync();
        await peer.Connected.Soon();
        _server.Dispose();
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => peer.Write("1").Soon()))!;
        Assert.That((failure.OutcomeUnknown, failure.IsTransient, failure.Status), Is.EqualTo((false, true, (int?)null)));
    }

    [TestCase(307)]
    [TestCase(308)]
    public async Task A_redirect_that_keeps_the_method_is_followed_with_the_body(int status)
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync($"HTTP/1.1 {status} Moved\r\nLocation: /other/{Id}?x=y\r\nContent-Length: 0\r\n\r\n");
        string request = await post.ReadRequestAsync();
        Assert.That(request, Does.StartWith($"POST /other/{Id}?x=y HTTP/1.1\r\n").And.EndWith("\"data\":1}"));
        await post.SendAsync(Ok);
        await write.Soon();
    }

    [Test]
    public async Task A_redirect_to_another_server_is_followed_there_over_a_connection_of_its_own_and_without_the_headers_for_the_first()
    {
        using var other = new RawServer();
        await using MoshpitPeer peer = Open(new MoshpitClientOptions { Headers = { ["Authorization"] = "secret" } });
        using RawConnection stream = await _server.AcceptStreamAsync();
        using RawConnection post = await _server.ProveAsync(peer);
        Task write = peer.Write("1");
        Assert.That(await post.ReadRequestAsync(), Does.Contain("secret"));
        await post.SendAsync($"HTTP/1.1 307 Moved\r\nLocation: {other.Url}/{Id}\r\nContent-Length: 0\r\n\r\n");
        using RawConnection there = await other.AcceptAsync();
        Assert.That(await there.ReadRequestAsync(), Does.EndWith("\"data\":1}").And.Not.Contain("secret"));
        await there.SendAsync(Ok);
        await write.Soon();
    }

    [Test]
    public async Task Of_a_long_reply_only_the_beginning_is_read()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync("HTTP/1.1 404 Not Found\r\nContent-Length: 100000\r\n\r\n" + new string('x', 5000));
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => write.Soon()))!;
        Assert.That((failure.Status, failure.Reply), Is.EqualTo((404, new string('x', 4096))));
        await post.WaitForEndAsync();
    }

    [Test]
    public async Task A_connection_that_is_kept_is_closed_when_the_stream_ends()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        stream.Finish();
        await peer.ToListAsync();
        await post.SendAsync(Ok);
        await write.Soon();
        await post.WaitForEndAsync();
    }

    [TestCase("http://xn--\u00fc/")]
    [TestCase("http://")]
    [TestCase("ftp://localhost/")]
    [TestCase("http://[::1")]
    public async Task A_redirect_to_nowhere_is_an_error_of_the_message_and_not_of_the_program(string location)
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync(System.Text.Encoding.Latin1.GetBytes($"HTTP/1.1 307 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        Assert.That((await Assert.ThrowsAsync<MoshpitException>(() => write.Soon()))!.Message, Does.Contain("nowhere"));
    }

    [TestCase(301)]
    [TestCase(302)]
    public async Task A_redirect_that_would_make_a_get_of_it_is_an_error(int status)
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync($"HTTP/1.1 {status} Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => write.Soon()))!;
        Assert.That(failure.Status, Is.EqualTo(status));
    }

    [Test]
    public async Task A_message_can_be_taken_back_before_it_is_sent()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptAsync();
        await stream.ReadRequestAsync();
        using var change = new CancellationTokenSource();
        Task first = peer.Write("1", cancellationToken: change.Token);
        Task second = peer.Write("2");
        await change.CancelAsync();
        await Assert.CatchAsync<OperationCanceledException>(() => first.Soon());
        await stream.SendAsync(StreamHead + ConnectEvent);
        using RawConnection post = await _server.AcceptAsync();
        Assert.That(await post.TakePostAsync(), Does.EndWith("\"data\":2}"));
        await second.Soon();
    }

    [Test]
    public async Task A_message_that_was_taken_back_leaves_its_room_to_others()
    {
        await using MoshpitPeer peer = Open(new MoshpitClientOptions { WriteBufferSize = 64 + 10 });
        using RawConnection stream = await _server.AcceptAsync();
        await stream.ReadRequestAsync();
        for (int i = 0; i < 3; i++)
        {
            using var change = new CancellationTokenSource();
            Task first = peer.Write("12345", "abcde", cancellationToken: change.Token);
            await change.CancelAsync();
            await Assert.CatchAsync<OperationCanceledException>(() => first.Soon());
        }

        Task second = peer.Write("2345678901");
        await Assert.ThrowsAsync<MoshpitException>(() => peer.Write("3").Soon());
        await stream.SendAsync(StreamHead + ConnectEvent);
        using RawConnection post = await _server.AcceptAsync();
        Assert.That(await post.TakePostAsync(), Does.EndWith("\"data\":2345678901}"));
        await second.Soon();
        Task third = peer.Write("3456789012");
        await post.TakePostAsync();
        await third.Soon();
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
    public async Task Cancelling_a_message_under_way_cancels_its_task_at_once_and_the_next_one_follows_its_answer()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using var change = new CancellationTokenSource();
        Task first = peer.Write("1", cancellationToken: change.Token);
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        await change.CancelAsync();
        await Assert.CatchAsync<OperationCanceledException>(() => first.Soon());
        Task second = peer.Write("2");
        await post.SendAsync(Ok);
        Assert.That(await post.TakePostAsync(), Does.EndWith("\"data\":2}"), "on the same connection");
        await second.Soon();
        Assert.That(_server.HasCaller, Is.False);
    }

    [Test]
    public async Task A_message_that_was_cancelled_under_way_gives_its_room_back_once()
    {
        await using MoshpitPeer peer = Open(new MoshpitClientOptions { WriteBufferSize = 2 * (64 + 5) });
        using RawConnection stream = await _server.AcceptStreamAsync();
        using var change = new CancellationTokenSource();
        Task first = peer.Write("12345", cancellationToken: change.Token);
        using RawConnection post = await _server.AcceptAsync();
        await post.ReadRequestAsync();
        await change.CancelAsync();
        await Assert.CatchAsync<OperationCanceledException>(() => first.Soon());
        Task second = peer.Write("67890");
        await Assert.ThrowsAsync<MoshpitException>(() => peer.Write("1").Soon()); // the first has its room until its answer
        await post.SendAsync(Ok);
        await post.TakePostAsync();
        await second.Soon();
        await Assert.ThrowsAsync<MoshpitException>(() => peer.Write(new string('1', 2 * 5 + 64 + 1)).Soon());
        Task largest = peer.Write(new string('1', 2 * 5 + 64));
        await post.TakePostAsync();
        await largest.Soon();
    }

    [Test]
    public async Task What_waits_when_the_stream_ends_fails_and_so_does_what_comes_later()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptAsync();
        await stream.ReadRequestAsync();
        Task early = peer.Write("1");
        await stream.SendAsync(StreamHead);
        stream.Finish();
        await Assert.ThrowsAsync<MoshpitException>(() => early.Soon());
        await Assert.ThrowsAsync<MoshpitException>(() => peer.Connected.Soon());
        await Assert.ThrowsAsync<MoshpitException>(() => peer.Write("2").Soon());
        Assert.That(_server.HasCaller, Is.False);
    }

    private MoshpitPeer Open(MoshpitClientOptions? options = null) => new MoshpitClient(_server.Url, options).Open();
}
