using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server;
using Moshpit.Server.Api;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>Deadlines, all with a clock that moves when the test says so.</summary>
public sealed class TimeoutTests
{
    private const string Ask = "OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    private readonly FakeTimeProvider _clock = new();

    [Test]
    public async Task A_head_may_take_its_time_but_no_longer_however_it_drips()
    {
        await using TestServer server = await StartAsync(options => options.HeaderTimeout = TimeSpan.FromSeconds(10));
        using RawConnection connection = await BeginSecondRequestAsync(server);
        await DripAsync(server, connection, "xxxxxxxxx");
        string all = await _clock.PassUntilAsync(2, connection.ReadToEndAsync());
        Assert.That(all, Does.StartWith("HTTP/1.1 408 Request Timeout\r\n").And.Contains("\r\nConnection: close\r\n"));
    }

    [Test]
    public async Task A_head_that_comes_within_its_time_is_served()
    {
        await using TestServer server = await StartAsync(options => options.HeaderTimeout = TimeSpan.FromSeconds(10));
        using RawConnection connection = await BeginSecondRequestAsync(server);
        _clock.Pass(10);
        connection.Send("\r\nHost: localhost\r\n\r\n");
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(204));
    }

    [Test]
    public async Task A_body_may_take_its_time_but_no_longer_however_it_drips()
    {
        await using TestServer server = await StartAsync(options => options.BodyTimeout = TimeSpan.FromSeconds(20));
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = await BeginBodyAsync(server, owner);
        await DripAsync(server, connection, new string(' ', 19));
        string all = await _clock.PassUntilAsync(2, connection.ReadToEndAsync());
        Assert.That(all, Does.StartWith("HTTP/1.1 408 Request Timeout\r\n").And.Contains("\r\nConnection: close\r\n"));
    }

    [Test]
    public async Task A_body_that_comes_within_its_time_is_served()
    {
        await using TestServer server = await StartAsync(options => options.BodyTimeout = TimeSpan.FromSeconds(20));
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = await BeginBodyAsync(server, owner);
        _clock.Pass(20);
        connection.Send(PostText.Body(owner.Token, "1").PadLeft(100));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
    }

    [Test]
    public async Task A_connection_between_requests_is_closed_without_a_word_when_it_was_idle_for_long()
    {
        await using TestServer server = await StartAsync(options => options.IdleTimeout = TimeSpan.FromSeconds(75));
        using RawConnection connection = server.Connect();
        for (int i = 0; i < 2; i++)
        {
            connection.Send(Ask);
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(204));
            if (i == 0)
                _clock.Pass(75);
        }

        Assert.That(await _clock.PassUntilAsync(76, connection.ReadToEndAsync()), Is.Empty);
    }

    [TestCase("")]
    [TestCase("\r\n", TestName = "An_empty_line_is_not_the_beginning_of_a_request")]
    public async Task A_connection_on_which_nothing_is_said_is_closed_without_a_word(string said)
    {
        await using TestServer server = await StartAsync(options => options.HeaderTimeout = TimeSpan.FromSeconds(10));
        using RawConnection patient = server.Connect();
        using RawConnection silent = server.Connect();
        silent.Send(said);
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 2);
        _clock.Pass(10);
        patient.Send(Ask);
        Assert.That((await patient.ReadResponseAsync()).Status, Is.EqualTo(204));
        Assert.That(await _clock.PassUntilAsync(1, silent.ReadToEndAsync()), Is.Empty);
    }

    [Test]
    public async Task A_head_whose_rest_came_while_the_process_was_stopped_is_served()
    {
        await using TestServer server = await StartAsync(options => options.HeaderTimeout = TimeSpan.FromSeconds(10));
        using RawConnection connection = await BeginSecondRequestAsync(server);

        // The first tick after a stop comes before any socket is read, so here it comes before the rest is sent.
        _clock.Advance(TimeSpan.FromSeconds(13));
        connection.Send("\r\nHost: localhost\r\n\r\n");
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(204));
    }

    [Test]
    public async Task A_body_whose_rest_came_while_the_process_was_stopped_is_delivered()
    {
        await using TestServer server = await StartAsync(options => options.BodyTimeout = TimeSpan.FromSeconds(10));
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = await BeginBodyAsync(server, owner);
        _clock.Advance(TimeSpan.FromSeconds(13));
        connection.Send(PostText.Body(owner.Token, "1").PadLeft(100));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
    }

    [Test]
    public async Task A_kept_connection_outlives_a_stop_of_the_process_and_is_closed_in_its_time()
    {
        await using TestServer server = await StartAsync(options => options.IdleTimeout = TimeSpan.FromSeconds(10));
        using RawConnection connection = server.Connect();
        connection.Send(Ask);
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(204));
        _clock.Advance(TimeSpan.FromSeconds(13));
        connection.Send(Ask);
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(204));
        Assert.That(await _clock.PassUntilAsync(10, connection.ReadToEndAsync()), Is.Empty);
    }

    [Test]
    public async Task A_slow_sender_is_cut_at_its_deadline_after_a_stop_of_the_process_too()
    {
        await using TestServer server = await StartAsync(options => options.HeaderTimeout = TimeSpan.FromSeconds(10));
        using RawConnection connection = await BeginSecondRequestAsync(server);
        _clock.Advance(TimeSpan.FromSeconds(13));
        await DripAsync(server, connection, "xxxxxxx");
        Assert.That(connection.Socket.Available, Is.Zero, "it is not cut before its deadline");
        string all = await _clock.PassUntilAsync(2, connection.ReadToEndAsync());
        Assert.That(all, Does.StartWith("HTTP/1.1 408 Request Timeout\r\n"));
    }

    [Test]
    public async Task A_client_that_was_refused_and_never_closes_is_let_go_after_a_while()
    {
        await using TestServer server = await StartAsync(options => options.LingerTimeout = TimeSpan.FromSeconds(5));
        using RawConnection connection = server.Connect();
        connection.Send("nonsense\r\n");
        Assert.That(await connection.ReadToEndAsync(), Does.StartWith("HTTP/1.1 400 Bad Request\r\n"));
        Assert.That(server.Server.Parts.Http.Connections.Count, Is.EqualTo(1));
        await _clock.PassUntilAsync(6, () => server.Server.Parts.Http.Connections.Count == 0);
    }

    [Test]
    public async Task A_client_that_asks_on_and_on_without_reading_the_answers_is_cut()
    {
        await using TestServer server = await StartAsync(options =>
        {
            options.LingerTimeout = TimeSpan.FromSeconds(5);
            options.UnacknowledgedTimeout = TimeSpan.FromHours(1); // the kernel's real time must not do it
        });
        using RawConnection connection = server.ConnectNarrow();
        Task<bool> cut = Task.Run(() =>
        {
            string many = string.Concat(Enumerable.Repeat(Ask, 500));
            try
            {
                while (true)
                    connection.Send(many);
            }
            catch (SocketException)
            {
                return true;
            }
        });
        HttpConnection? serving = null;
        await Eventually.AsyncTrue(
            () => (serving = server.Server.Parts.Http.Connections.Snapshot().ToArray().FirstOrDefault()) is not null);
        await Eventually.AsyncTrue(() => PipeliningTests.IsSending(serving!));
        Assert.That(cut.IsCompleted, Is.False, "it has its time to read");
        Assert.That(await _clock.PassUntilAsync(5, cut), Is.True);
        await server.WhenIdleAsync();
    }

    [Test]
    public async Task A_stream_that_was_silent_for_long_hears_a_comment_and_not_before()
    {
        await using TestServer server = await StartAsync(options => options.Heartbeat = TimeSpan.FromSeconds(25));
        using RawPeer owner = await server.CreateAsync();
        for (int n = 0; n < 3; n++)
        {
            _clock.Pass(24);
            await owner.SendAsync(server, $"{n}");
            Assert.That(await owner.ReadEventAsync(), Is.EqualTo($"event: signal\ndata: {n}"), "traffic puts the heartbeat off");
        }

        _clock.Pass(25);
        Assert.That(await owner.Stream.ReadUntilAsync("\n\n"), Is.EqualTo(":\n\n"));
        _clock.Pass(24);
        await owner.SendAsync(server, "3");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("3"));
    }

    [Test]
    public async Task Every_stream_has_a_heartbeat_of_its_own()
    {
        await using TestServer server = await StartAsync(options => options.Heartbeat = TimeSpan.FromSeconds(25));
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        _clock.Pass(20);
        await owner.SendAsync(server, "1", guest.Cid);
        Assert.That(await guest.ReadSignalAsync(), Is.EqualTo("1"));
        _clock.Pass(5);
        await owner.SendAsync(server, "2");
        Assert.That(await owner.Stream.ReadUntilAsync("\n\n"), Is.EqualTo(":\n\n"));
        Assert.That((await owner.ReadSignalAsync(), await guest.ReadSignalAsync()), Is.EqualTo(("2", "2")));
    }

    [Test]
    public async Task Without_a_heartbeat_a_stream_is_as_silent_as_its_channel()
    {
        await using TestServer server = await StartAsync(options => options.Heartbeat = TimeSpan.Zero);
        using RawPeer owner = await server.CreateAsync();
        _clock.Pass(3600);
        await owner.SendAsync(server, "1");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
    }

    [Test]
    public async Task A_peer_that_never_closes_after_the_end_of_its_stream_is_let_go_after_a_while()
    {
        await using TestServer server = await StartAsync(options => options.LingerTimeout = TimeSpan.FromSeconds(5));
        RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        owner.Dispose();
        Assert.That(await guest.Stream.ReadToEndAsync(), Is.Empty);
        await Eventually.AsyncTrue(() => server.Server.Parts.Streams.Streams.Count == 1);
        await _clock.PassUntilAsync(5, () => server.Server.Parts.Streams.Streams.Count == 0);
    }

    private Task<TestServer> StartAsync(Action<MoshpitServerOptions> configure) => TestServer.StartAsync(options =>
    {
        options.TimeProvider = _clock;

        // What is not the matter of a test is out of its way.
        options.HeaderTimeout = options.BodyTimeout = options.IdleTimeout = options.LingerTimeout = TimeSpan.FromHours(2);
        options.Heartbeat = TimeSpan.FromHours(2);
        configure(options);
    });

    /// <summary>Sends a byte a second, each read before the next.</summary>
    private async Task DripAsync(TestServer server, RawConnection connection, string bytes)
    {
        foreach (char c in bytes)
        {
            connection.Send(c.ToString());
            await Eventually.AsyncTrue(
                () => !server.Server.Parts.Http.Connections.Snapshot().ToArray().Any(other => other?.Socket.Available > 0));
            _clock.Pass(1);
        }
    }

    /// <summary>The answer to the first request shows that the server has seen where the second one begins.</summary>
    private static async Task<RawConnection> BeginSecondRequestAsync(TestServer server)
    {
        RawConnection connection = server.Connect();
        connection.Send(Ask + "OPTIONS / HTTP/1.1");
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(204));
        return connection;
    }

    private static async Task<RawConnection> BeginBodyAsync(TestServer server, RawPeer owner)
    {
        RawConnection connection = server.Connect();
        connection.Send(PostText.Head("/" + owner.Id, PostText.Json + "Expect: 100-continue\r\nContent-Length: 100\r\n"));
        Assert.That(await connection.ReadUntilAsync("\r\n\r\n"), Is.EqualTo("HTTP/1.1 100 Continue\r\n\r\n"));
        return connection;
    }
}
