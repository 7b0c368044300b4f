using Microsoft.Extensions.Logging;
using Moshpit.Server.Buffers;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>GET: creating, joining, and what the owner hears.</summary>
public sealed class StreamTests
{
    [Test]
    public async Task Creating_answers_201_with_the_headers_of_an_unbuffered_stream()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        Assert.Multiple(() =>
        {
            Assert.That(owner.Response.Header, Does.StartWith("HTTP/1.1 201 Created\r\n"));
            Assert.That(owner.Response["Content-Type"], Is.EqualTo("text/event-stream; charset=utf-8"));
            Assert.That(owner.Response["Cache-Control"], Is.EqualTo("no-cache, no-store, no-transform"));
            Assert.That(owner.Response["X-Accel-Buffering"], Is.EqualTo("no"));
            Assert.That(owner.Response["Connection"], Is.EqualTo("close"));
            Assert.That(owner.Response["Access-Control-Allow-Origin"], Is.EqualTo("*"));
            Assert.That(owner.Response["Date"], Does.EndWith(" GMT"));
            Assert.That(owner.Response["X-Content-Type-Options"], Is.EqualTo("nosniff"));
            Assert.That(owner.Response["Transfer-Encoding"], Is.EqualTo("chunked"));
            Assert.That(owner.Response.Length, Is.Null);
            Assert.That(new[] { owner.Id, owner.Cid, owner.Token }, Is.All.Match("^[0-9a-f]{32}$"));
            Assert.That(new[] { owner.Id, owner.Cid, owner.Token }, Is.Unique);
        });
    }

    [TestCase("Accept: text/event-stream\r\n", 200, TestName = "Creating_answers_200_if_Accept_names_event_streams_as_browsers_do")]
    [TestCase("Accept: */*\r\n", 201, TestName = "Creating_answers_201_if_Accept_allows_anything")]
    public async Task Creating_answers(string fields, int status)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await RawPeer.OpenAsync(server.Connect(), "/?a=b", fields);
        Assert.That(owner.Response.Status, Is.EqualTo(status));
    }

    [Test]
    public async Task Joining_answers_200_and_the_owner_hears_join_and_leave()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using (RawPeer guest = await RawPeer.OpenAsync(server.Connect(), $"///{owner.Id}?x"))
        {
            Assert.That(guest.Response.Status, Is.EqualTo(200));
            Assert.That(guest.Id, Is.EqualTo(owner.Id));
            Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
            guest.Stream.SendEnd();
            Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.LeaveOf(guest)));
            Assert.That(await guest.Stream.ReadToEndAsync(), Is.Empty);
        }
    }

    [Test]
    public async Task A_reset_is_a_leave()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        RawPeer guest = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        guest.Stream.Reset();
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.LeaveOf(guest)));
        Assert.That(server.Server.Parts.Streams.EndedFor(DisconnectReason.Reset), Is.EqualTo(1));
    }

    [Test]
    public async Task Guests_hear_nothing_of_joins_and_leaves()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        using (RawPeer other = await server.JoinAsync(owner.Id))
            Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
        await owner.ReadEventAsync();
        await owner.ReadEventAsync();
        await owner.SendAsync(server, "1");
        Assert.That(await guest.ReadEventAsync(), Is.EqualTo("event: signal\ndata: 1"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task When_the_owner_goes_every_stream_ends_and_the_channel_is_gone(bool reset)
    {
        await using TestServer server = await TestServer.StartAsync();
        RawPeer owner = await server.CreateAsync();
        using RawPeer first = await server.JoinAsync(owner.Id);
        using RawPeer second = await server.JoinAsync(owner.Id);
        if (reset)
            owner.Stream.Reset();
        else
            owner.Dispose();
        Assert.That(await first.Stream.ReadToEndAsync(), Is.Empty);
        Assert.That(await second.Stream.ReadToEndAsync(), Is.Empty);

        using RawConnection late = server.Connect();
        late.Send(first.Post("1"));
        Assert.That((await late.ReadResponseAsync()).Status, Is.EqualTo(404));
        late.Send($"GET /{owner.Id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Assert.That((await late.ReadResponseAsync()).Status, Is.EqualTo(404));
    }

    [TestCase("/0123456789abcdef0123456789abcdef", "", 404)]
    [TestCase("/abc", "", 404)]
    [TestCase("/ABC", "", 404)]
    [TestCase("/a/b", "", 404)]
    [TestCase("//", "", 404)]
    [TestCase("/index.html", "", 404)]
    [TestCase("/", "Accept: text/html\r\n", 406)]
    [TestCase("/", "Accept: text/event-stream;q=0, */*\r\n", 406)]
    [TestCase("/0123456789abcdef0123456789abcdef", "Accept: text/html\r\n", 406)]
    public async Task Other_targets_and_types_are_refused_in_one_sentence(string target, string fields, int status)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawConnection connection = server.Connect();
        connection.Send($"GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(status));
        Assert.That(response["Content-Type"], Is.EqualTo("text/plain; charset=utf-8"));
        Assert.That(response.Body, Does.EndWith(".\n"));
        Assert.That(server.Server.Parts.Channels.Count, Is.Zero);
    }

    [Test]
    public async Task HEAD_gives_the_headers_of_GET_and_creates_nothing()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawConnection connection = server.Connect();
        connection.Send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        string all = await connection.ReadToEndAsync();
        Assert.That(all, Does.StartWith("HTTP/1.1 201 Created\r\nContent-Type: text/event-stream; charset=utf-8\r\n")
            .And.EndWith("\r\n\r\n"));
        Assert.That(server.Server.Parts.Channels.Count, Is.Zero);

        using RawConnection unknown = server.Connect();
        unknown.Send("HEAD /abc HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /abc HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Assert.That((await unknown.ReadResponseAsync(head: true)).Status, Is.EqualTo(404));
        Assert.That((await unknown.ReadResponseAsync(head: true)).Status, Is.EqualTo(404));
    }

    [TestCase("PUT")]
    [TestCase("DELETE")]
    [TestCase("FOOBAR")]
    public async Task Other_methods_are_answered_405_with_Allow_and_open_nothing(string method)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawConnection connection = server.Connect();
        connection.Send($"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(405));
        Assert.That(response["Allow"], Is.EqualTo("GET, HEAD, POST, OPTIONS"));
        Assert.That(server.Server.Parts.Channels.Count, Is.Zero);
    }

    [Test]
    public async Task OPTIONS_on_any_path_permits_what_was_asked_for()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawConnection connection = server.Connect();
        connection.Send("OPTIONS /whatever/it.is HTTP/1.1\r\nHost: localhost\r\nOrigin: http://app.example\r\n" +
            "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type, x-mine\r\n\r\n");
        RawResponse response = await connection.ReadResponseAsync();
        Assert.Multiple(() =>
        {
            Assert.That(response.Status, Is.EqualTo(204));
            Assert.That(response["Access-Control-Allow-Origin"], Is.EqualTo("http://app.example"));
            Assert.That(response["Access-Control-Allow-Headers"], Is.EqualTo("content-type, x-mine"));
            Assert.That(response["Access-Control-Allow-Methods"], Does.Contain("POST"));
            Assert.That(response["Vary"], Is.EqualTo("Origin"));
        });
    }

    [Test]
    public async Task What_a_peer_sends_on_its_stream_is_dropped_and_does_not_hide_its_end()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        guest.Stream.Send(owner.Post("\"never\"") + new string('x', 10_000));
        guest.Stream.SendEnd();
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.LeaveOf(guest)));
        Assert.That(await guest.Stream.ReadToEndAsync(), Is.Empty);
    }

    [Test]
    public async Task A_peer_that_keeps_sending_on_its_stream_is_cut()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.StreamInputLimit = 1000);
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        guest.Stream.Send(new string('x', 1001));
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.LeaveOf(guest)));
        Assert.That(server.Server.Parts.Streams.EndedFor(DisconnectReason.TooMuchInput), Is.EqualTo(1));
    }

    [Test]
    public async Task No_log_tells_a_token_a_payload_or_a_whole_id()
    {
        var log = new ErrorLog(LogLevel.Trace);
        await using (TestServer server = await TestServer.StartAsync(options => options.LoggerFactory = log))
        {
            using RawPeer owner = await server.CreateAsync();
            using (RawPeer guest = await server.JoinAsync(owner.Id))
                Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
            await owner.SendAsync(server, "\"precious\"");
            using RawConnection refused = server.Connect();
            refused.Send(PostText.WithLength("/" + owner.Id, PostText.Body(owner.Token, "\"precious\"") + "x", PostText.Json));
            Assert.That((await refused.ReadResponseAsync()).Status, Is.EqualTo(400));
            await Eventually.AsyncTrue(() => log.Lines.Any(line => line.Contains($"joined channel {owner.Id[..8]}.")));
        }

        Assert.That(log.Lines, Has.Some.Contain("left channel").And.Some.Contain("refused"));
        Assert.That(log.Lines, Has.None.Contain("precious").And.None.Match("[0-9a-f]{9}"));
    }
}
