using System.Diagnostics;
using System.Net.Sockets;
using Moshpit.Tests.Support;
using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

/// <summary>Messages that the server refuses for now, or that can't be sent now: they wait, in order, and are tried again.</summary>
public class HeldTests : RawServerTests
{
    [TestCase(429)]
    [TestCase(503)]
    public async Task A_message_that_is_refused_for_now_and_those_behind_it_wait_and_arrive_in_order(int status)
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        Task[] writes = await served.SendAsync(1, 2, 3, 4);
        var clock = Stopwatch.StartNew();
        await served.Post.SendAsync(Ok + $"HTTP/1.1 {status} No\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
        await writes[0].Soon();
        using RawConnection again = await Server.AcceptAsync();
        Assert.That(clock.Elapsed, Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(1)), "what Retry-After says");
        Task later = served.Write("5");
        await again.TakePostAsync(2);
        for (int i = 3; i <= 5; i++)
            await again.TakePostAsync(i);
        await Task.WhenAll([.. writes, later]).Soon();
        await served.Post.WaitForEndAsync();
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task Without_a_time_from_the_server_it_is_tried_again_before_long()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task write = served.Write("1");
        for (int i = 0; i < 3; i++)
            await RefuseAsync("503 Busy", "");
        using RawConnection post = await Server.AcceptAsync();
        await post.TakePostAsync(1);
        await write.Soon();
    }

    [Test]
    public async Task A_refusal_that_keeps_the_connection_says_nothing_about_the_messages_behind_it()
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        Task[] writes = await served.SendAsync(1, 2, 3);
        await served.Post.SendAsync("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" + Ok + "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        await writes[1].Soon();
        Assert.That((await writes[2].FailureAsync()).Status, Is.EqualTo(404));
        using RawConnection again = await Server.AcceptAsync();
        await again.TakePostAsync(1, "and no other");
        await writes[0].Soon();
    }

    [Test]
    public async Task With_no_time_to_send_each_is_told_the_status_at_once()
    {
        await using ServedPeer served = await Server.ProvePeerAsync(new() { SendTimeout = TimeSpan.Zero });
        Task[] writes = await served.SendAsync(1, 2);
        await served.Post.SendAsync("HTTP/1.1 429 No\r\nConnection: close\r\nRetry-After: 60\r\nContent-Length: 9\r\n\r\ntoo fast\n");
        foreach (Task write in writes.Append(served.Write("3")))
        {
            MoshpitException failure = await write.FailureAsync();
            Assert.That((failure.Status, failure.Reply), Is.EqualTo((429, "too fast")));
            Assert.That((failure.IsTransient, failure.OutcomeUnknown), Is.EqualTo((true, false)));
            Assert.That(failure.RetryAfter, Is.EqualTo(TimeSpan.FromSeconds(60)));
        }
    }

    [Test]
    public async Task A_date_to_come_back_at_is_understood()
    {
        await using ServedPeer served = await Server.OpenPeerAsync(new() { SendTimeout = TimeSpan.Zero });
        Task write = served.Write("1");
        await RefuseAsync("503 Busy", $"Retry-After: {DateTimeOffset.UtcNow.AddHours(1):r}\r\n");
        MoshpitException failure = await write.FailureAsync();
        Assert.That(failure.RetryAfter, Is.InRange(TimeSpan.FromMinutes(50), TimeSpan.FromMinutes(60)));
    }

    [TestCase("Retry-After: 0\r\n", 0)]
    [TestCase("Retry-After: 99999999999999999999\r\n", 12 * 24 * 60 * 60)]
    [TestCase("Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n", 0)]
    [TestCase("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", 12 * 24 * 60 * 60)]
    [TestCase("Retry-After: -1\r\n", null)]
    [TestCase("Retry-After: soon\r\n", null)]
    public async Task A_time_to_come_back_may_be_anything(string field, int? seconds)
    {
        await using MoshpitPeer peer = Open(new() { SendTimeout = TimeSpan.Zero });
        using RawConnection stream = await Server.AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync($"HTTP/1.1 503 Busy\r\n{field}Content-Length: 0\r\n\r\n");
        var failure = (MoshpitException)(await peer.DrainAsync()).Failure!;
        Assert.That((failure.RetryAfter?.TotalSeconds, failure.IsTransient), Is.EqualTo(((double?)seconds, true)));
    }

    [Test]
    public async Task A_message_fails_as_soon_as_its_time_does_not_reach_to_the_next_try()
    {
        await using ServedPeer served = await Server.OpenPeerAsync(new() { SendTimeout = TimeSpan.FromSeconds(10) });
        Task first = served.Write("1");
        await RefuseAsync("429 No", "Retry-After: 60\r\n");
        Assert.That((await first.FailureAsync()).Status, Is.EqualTo(429));
        Task second = served.Write("2");
        Assert.That(second.IsFaulted, Is.True, "it can't be sent in time either");
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task Messages_that_are_held_can_be_taken_back()
    {
        await using ServedPeer served = await Server.OpenPeerAsync(new() { SendTimeout = Timeout.InfiniteTimeSpan });
        using var change = new CancellationTokenSource();
        Task first = served.Write("1", cancellationToken: change.Token);
        Task second = served.Write("2");
        await RefuseAsync("429 No", "Retry-After: 1\r\n");
        await change.CancelAsync();
        await first.CancellationAsync();
        using RawConnection post = await Server.AcceptAsync();
        await post.TakePostAsync(2);
        await second.Soon();
    }

    [Test]
    public async Task A_message_that_was_cancelled_under_way_is_not_sent_again_when_it_is_refused_for_now()
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        using var change = new CancellationTokenSource();
        Task[] writes = [served.Write("1", cancellationToken: change.Token), served.Write("2"), served.Write("3")];
        await ReadPostsAsync(served.Post, 1, 2, 3);
        await change.CancelAsync();
        await writes[0].CancellationAsync();
        await served.Post.SendAsync("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        using RawConnection again = await Server.AcceptAsync();
        await again.TakePostAsync(2);
        await again.TakePostAsync(3);
        await Task.WhenAll(writes[1], writes[2]).Soon();
    }

    [Test]
    public async Task Leaving_does_not_wait_for_what_is_held()
    {
        MoshpitPeer peer = Open(new() { SendTimeout = Timeout.InfiniteTimeSpan });
        using RawConnection stream = await Server.AcceptStreamAsync();
        Task write = peer.Write("1");
        await RefuseAsync("429 No", "Retry-After: 100000\r\n");
        await peer.DisposeAsync().AsTask().Soon();
        MoshpitException failure = await write.FailureAsync();
        Assert.That(failure.OutcomeUnknown, Is.False);
    }

    [Test]
    public async Task Messages_wait_for_a_server_that_can_not_be_reached()
    {
        int calls = 0;
        await using MoshpitPeer peer = new MoshpitClient("http://nowhere.invalid", new()
        {
            ConnectCallback = async (_, _) => Interlocked.Increment(ref calls) is 2 or 3
                ? throw new SocketException((int)SocketError.ConnectionRefused)
                : new NetworkStream(await Server.ConnectAsync(), ownsSocket: true),
        }).Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        Task[] writes = [peer.Write("1"), peer.Write("2")];
        using RawConnection post = await Server.AcceptAsync();
        await post.TakePostAsync(1);
        await post.TakePostAsync(2);
        await Task.WhenAll(writes).Soon();
        Assert.That(calls, Is.EqualTo(4));
    }

    [Test]
    public async Task A_connection_that_was_closed_before_a_byte_was_written_is_opened_again()
    {
        using var closed = new SemaphoreSlim(0);
        int connected = 0;
        await using MoshpitPeer peer = new MoshpitClient(Server.Url, new()
        {
            // The line stands between the connection and its first request.
            Log = line =>
            {
                if (line.StartsWith("Connected", StringComparison.Ordinal) && Interlocked.Increment(ref connected) == 2)
                    closed.Wait(Patience);
            },
        }).Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        Task write = peer.Write("1");
        (await Server.AcceptAsync()).Dispose();
        closed.Release();
        using RawConnection post = await Server.AcceptAsync();
        await post.TakePostAsync(1);
        await write.Soon();
    }

    [Test]
    public async Task A_server_that_refuses_the_connection_itself_is_heard_and_tried_again()
    {
        using var refused = new SemaphoreSlim(0);
        int connected = 0;
        await using MoshpitPeer peer = new MoshpitClient(Server.Url, new()
        {
            Log = line =>
            {
                if (line.StartsWith("Connected", StringComparison.Ordinal) && Interlocked.Increment(ref connected) == 2)
                    refused.Wait(Patience);
            },
        }).Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using (RawConnection busy = await Server.AcceptAsync())
        {
            await busy.SendAsync("HTTP/1.1 429 No\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
            refused.Release();
            await busy.WaitForEndAsync();
        }

        var clock = Stopwatch.StartNew();
        using RawConnection post = await Server.AcceptAsync();
        Assert.That(clock.Elapsed, Is.GreaterThan(TimeSpan.FromSeconds(0.7)), "the refusal said for how long");
        await post.TakePostAsync(1);
        await write.Soon();
    }

    [Test]
    public async Task What_will_not_pass_is_not_waited_for()
    {
        int calls = 0;
        await using MoshpitPeer peer = new MoshpitClient("http://nowhere.invalid", new()
        {
            ConnectCallback = async (_, _) => Interlocked.Increment(ref calls) == 2
                ? throw new InvalidOperationException("misconfigured\nhere")
                : new NetworkStream(await Server.ConnectAsync(), ownsSocket: true),
        }).Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        MoshpitException failure = await peer.Write("1").FailureAsync();
        Assert.That((failure.IsTransient, failure.OutcomeUnknown), Is.EqualTo((false, false)));
        Assert.That(failure.Message, Does.EndWith("misconfigured here"));
    }

    [Test]
    public async Task More_messages_than_a_real_server_takes_in_a_second_all_arrive_in_order()
    {
        await using TestServer server = await TestServer.StartAsync(o =>
        {
            o.Proxies.Add("127.0.0.1");
            o.RequestsPerSecondPerAddress = 20;
        });
        await using MoshpitPeer peer = new MoshpitClient($"http://127.0.0.1:{server.Port}", new()
        {
            Headers = { ["X-Forwarded-For"] = "192.0.2.1" },
        }).Open();
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => peer.Write($"{i}"))).WaitAsync(Patience * 2);
        Assert.That((await peer.ReadAsync().AsTask().Soon())!.Name, Is.EqualTo("connect"));
        var heard = new List<string>();
        while (heard.Count < 50)
            heard.Add((await peer.ReadAsync().AsTask().Soon())!.Data);
        Assert.That(heard, Is.EqualTo(Enumerable.Range(0, 50).Select(i => $"{i}")));
    }

    private async Task RefuseAsync(string status, string fields)
    {
        using RawConnection post = await Server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync($"HTTP/1.1 {status}\r\nConnection: close\r\n{fields}Content-Length: 0\r\n\r\n");
        await post.WaitForEndAsync();
    }
}
