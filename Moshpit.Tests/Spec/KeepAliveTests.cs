using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>Several requests on one connection, and how it ends.</summary>
public sealed class KeepAliveTests
{
    [Test]
    public async Task Pipelined_messages_are_answered_and_delivered_in_order()
    {
        const int Count = 300;
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        using RawConnection connection = server.Connect();

        // Every third is refused, in its place; every third is for the guest alone.
        connection.Send(string.Concat(Enumerable.Range(0, Count).Select(n => (n % 3) switch
        {
            0 => owner.Post($"{n}"),
            1 => guest.Post($"{n}", guest.Cid),
            _ => PostText.WithLength("/" + owner.Id, "{["),
        })));
        for (int n = 0; n < Count; n++)
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(n % 3 == 2 ? 400 : 200), $"the answer to {n}");
        for (int n = 0; n < Count; n++)
        {
            if (n % 3 == 0)
                Assert.That(await owner.ReadSignalAsync(), Is.EqualTo($"{n}"));
            if (n % 3 != 2)
                Assert.That(await guest.ReadSignalAsync(), Is.EqualTo($"{n}"));
        }
    }

    [Test]
    public async Task Pipelined_messages_to_several_channels_all_arrive()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer here = await server.CreateAsync();
        using RawPeer there = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(here.Post("1") + there.Post("2"));
        for (int n = 0; n < 2; n++)
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That((await here.ReadSignalAsync(), await there.ReadSignalAsync()), Is.EqualTo(("1", "2")));
    }

    [Test]
    public async Task A_message_does_not_wait_for_the_rest_of_the_next_one()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string next = owner.Post("2");
        connection.Send(owner.Post("1") + next[..^1]);
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
        connection.Send(next[^1..]);
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("2"));
    }

    [Test]
    public async Task What_follows_a_request_that_ends_the_connection_is_not_served()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string last = PostText.WithLength("/" + owner.Id, PostText.Body(owner.Token, "1"), PostText.Json + "Connection: close\r\n");
        connection.Send(last + owner.Post("2"));
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(200));
        Assert.That(response["Connection"], Is.EqualTo("close"));
        Assert.That(await connection.ReadToEndAsync(), Is.Empty);
        await owner.SendAsync(server, "3");
        Assert.That((await owner.ReadSignalAsync(), await owner.ReadSignalAsync()), Is.EqualTo(("1", "3")));
    }

    [Test]
    public async Task HTTP_1_0_closes_after_the_answer()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength("/" + owner.Id, PostText.Body(owner.Token, "1"), version: "HTTP/1.0"));
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Header, Does.StartWith("HTTP/1.1 200 OK\r\n"));
        Assert.That(response["Connection"], Is.EqualTo("close"));
        Assert.That(await connection.ReadToEndAsync(), Is.Empty);
    }

    [Test]
    public async Task HTTP_1_0_goes_on_where_the_client_asks_for_it_and_is_told_so()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string fields = PostText.Json + "Connection: keep-alive\r\n";
        for (int n = 1; n <= 2; n++)
        {
            connection.Send(PostText.WithLength("/" + owner.Id, PostText.Body(owner.Token, $"{n}"), fields, "HTTP/1.0"));
            RawResponse response = await connection.ReadResponseAsync();
            Assert.That(response.Status, Is.EqualTo(200));
            Assert.That(response["Connection"], Is.EqualTo("keep-alive"));
            Assert.That(await owner.ReadSignalAsync(), Is.EqualTo($"{n}"));
        }
    }

    [Test]
    public async Task A_stream_is_the_same_events_for_HTTP_1_0_and_ends_with_the_connection()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send($"GET /{owner.Id} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        RawResponse response = await connection.ReadHeadAsync();
        Assert.That(response["Connection"], Is.EqualTo("close"));
        Assert.That(response["Transfer-Encoding"], Is.Null);
        Assert.That(await connection.ReadUntilAsync("\n\n"), Does.StartWith("event: connect\ndata: "));
        await owner.SendAsync(server, "1");
        Assert.That(await connection.ReadUntilAsync("\n\n"), Is.EqualTo("event: signal\ndata: 1\n\n"));
        owner.Stream.SendEnd();
        Assert.That(await connection.ReadToEndAsync(), Is.Empty);
    }

    [Test]
    public async Task A_sender_that_closed_its_sending_side_still_gets_its_answer()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(owner.Post("1"));
        connection.SendEnd();
        string all = await connection.ReadToEndAsync();
        Assert.That(all, Does.StartWith("HTTP/1.1 200 OK\r\n").And.EndWith("\r\n\r\nOK"));
    }

    [TestCase("POST /x HTTP/1.1\r\nHost: loc")]
    [TestCase("POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")]
    public async Task A_request_that_ends_in_the_middle_is_told_so(string beginning)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawConnection connection = server.Connect();
        connection.Send(beginning);
        connection.SendEnd();
        Assert.That(await connection.ReadToEndAsync(), Does.StartWith("HTTP/1.1 400 Bad Request\r\n"));
    }

    [Test]
    public async Task A_client_that_goes_without_a_word_is_let_go_without_a_word()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawConnection connection = server.Connect();
        connection.SendEnd();
        Assert.That(await connection.ReadToEndAsync(), Is.Empty);
    }

    [Test]
    public async Task A_body_on_a_GET_is_neither_waited_for_nor_taken_for_a_request()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        string smuggled = owner.Post("\"never\"");
        using RawConnection refused = server.Connect();
        refused.Send($"GET /nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: {smuggled.Length}\r\n\r\n{smuggled}");
        RawResponse response = await refused.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(404));
        Assert.That(response["Connection"], Is.EqualTo("close"));
        Assert.That(await refused.ReadToEndAsync(), Is.Empty);

        using RawConnection joining = server.Connect();
        joining.Send($"GET /{owner.Id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {smuggled.Length}\r\n\r\n{smuggled}");
        Assert.That((await joining.ReadHeadAsync()).Status, Is.EqualTo(200));
        Assert.That(await joining.ReadUntilAsync("\n\n"), Does.StartWith("event: connect\n"));
        await owner.ReadEventAsync();
        await owner.SendAsync(server, "1");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
        Assert.That(await joining.ReadUntilAsync("\n\n"), Is.EqualTo("event: signal\ndata: 1\n\n"));
    }

    [TestCase(2)]
    [TestCase(8)]
    public async Task Empty_lines_between_requests_are_ignored(int count)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string empty = string.Concat(Enumerable.Repeat("\r\n", count));
        connection.Send(empty + owner.Post("1") + empty + owner.Post("2") + empty);
        for (int n = 0; n < 2; n++)
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        connection.SendEnd();
        Assert.That(await connection.ReadToEndAsync(), Is.Empty, "what follows the last one is no request");
    }

    [TestCase("OPTIONS / HTTP/1.1", 204)]
    [TestCase("GET /nobody HTTP/1.1", 404)]
    [TestCase("DELETE / HTTP/1.1", 405)]
    public async Task A_body_that_is_announced_as_empty_keeps_the_connection(string requestLine, int status)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawConnection connection = server.Connect();
        for (int n = 0; n < 2; n++)
        {
            connection.Send($"{requestLine}\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            RawResponse response = await connection.ReadResponseAsync();
            Assert.That((response.Status, response["Connection"]), Is.EqualTo((status, "keep-alive")));
        }
    }

    [TestCase(75_000, "timeout=75")]
    [TestCase(1_999, "timeout=1")]
    [TestCase(999, null)]
    public async Task Answers_say_for_how_many_whole_seconds_an_idle_connection_is_kept(int milliseconds, string? said)
    {
        // A clock that does not move: nothing is closed for being idle.
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.TimeProvider = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
            options.IdleTimeout = TimeSpan.FromMilliseconds(milliseconds);
        });
        using RawPeer owner = await server.CreateAsync();
        Assert.That((owner.Response["Connection"], owner.Response["Keep-Alive"]), Is.EqualTo(("close", (string?)null)));
        using RawConnection connection = server.Connect();
        foreach (string version in new[] { "HTTP/1.1", "HTTP/1.0" })
        {
            string options = $"OPTIONS / {version}\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
            string fields = PostText.Json + "Connection: keep-alive\r\n";
            connection.Send(options + PostText.WithLength("/" + owner.Id, PostText.Body(owner.Token, "1"), fields, version) +
                PostText.WithLength("/nobody", "{}", fields, version));
            foreach (int status in new[] { 204, 200, 404 })
            {
                RawResponse response = await connection.ReadResponseAsync();
                Assert.That((response.Status, response["Keep-Alive"]), Is.EqualTo((status, said)));
            }
        }

        connection.Send("OPTIONS / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        RawResponse last = await connection.ReadResponseAsync();
        Assert.That((last["Connection"], last["Keep-Alive"]), Is.EqualTo(("close", (string?)null)));
    }

    [Test]
    public async Task Answers_to_what_was_pipelined_before_a_stream_come_before_it()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawConnection connection = server.Connect();
        connection.Send("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(204));
        Assert.That((await connection.ReadHeadAsync()).Status, Is.EqualTo(201));
        Assert.That(await connection.ReadUntilAsync("\n\n"), Does.StartWith("event: connect\n"));
    }
}
