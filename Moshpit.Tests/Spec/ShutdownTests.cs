using System.Net.Sockets;
using System.Runtime.CompilerServices;
using HttpMethod = Moshpit.Server.Http.HttpMethod;
using Microsoft.Extensions.Logging;
using Moshpit.Server;
using Moshpit.Server.Api;
using Moshpit.Server.Buffers;
using Moshpit.Server.Http;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>How a server ends. Where the clock is a fake, nothing but what the test does can end it.</summary>
public sealed class ShutdownTests
{
    private readonly CountingClock _clock = new();

    [TestCase(1)]
    [TestCase(40)]
    public async Task Streams_end_with_all_that_was_published_and_a_FIN(int guests)
    {
        const int Messages = 50;
        await using TestServer server = await StartAsync();
        RawPeer owner = await server.CreateAsync();
        RawPeer[] all = [owner, .. await Task.WhenAll(Enumerable.Range(0, guests).Select(_ => server.JoinAsync(owner.Id)))];
        using (var publisher = new Publisher(server.Connect(), owner))
        {
            for (int n = 0; n < Messages; n++)
                await publisher.SendAsync($"{n}");
        }

        Task stopping = server.Server.StopAsync();
        foreach (RawPeer peer in all)
        {
            List<string> heard = await peer.ReadAllAsync();
            Assert.That(
                heard.Where(text => !text.StartsWith("event: join")),
                Is.EqualTo(Enumerable.Range(0, Messages).Select(n => $"event: signal\ndata: {n}")));
            peer.Dispose();
        }

        await stopping.WaitAsync(RawConnection.Patience);
        Assert.That(server.Server.Parts.Streams.EndedFor(DisconnectReason.ServerStopped), Is.EqualTo(all.Length));
    }

    [Test]
    public async Task A_message_whose_body_is_under_way_is_still_delivered_and_answered()
    {
        await using TestServer server = await StartAsync();
        RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string body = PostText.Body(owner.Token, "1");
        connection.Send(PostText.Head("/" + owner.Id, $"{PostText.Json}Expect: 100-continue\r\nContent-Length: {body.Length}\r\n"));
        await connection.ReadUntilAsync("\r\n\r\n");
        Task stopping = server.Server.StopAsync();
        await Eventually.AsyncTrue(() => server.Server.Parts.Shutdown.HasBegun);
        connection.Send(body);
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(200));
        Assert.That(response["Connection"], Is.EqualTo("close"));
        Assert.That(await connection.ReadToEndAsync(), Is.Empty);
        connection.Dispose();
        Assert.That(await owner.Stream.ReadToEndAsync(), Is.EqualTo("event: signal\ndata: 1\n\n"));
        owner.Dispose();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task A_peer_that_joins_just_as_it_begins_to_stop_hears_what_is_still_answered_and_a_FIN()
    {
        const int StreamOpened = 200;
        TestServer? stopped = null;
        Task? stopping = null;
        int opened = 0;
        var hook = new ErrorLog
        {
            Heard = id =>
            {
                // Not by way of the listeners: one of them may be what serves this very connection, and would be waited for.
                if (id == StreamOpened && ++opened == 2)
                    stopping = stopped!.Server.Parts.StopAsync(CancellationToken.None);
            },
        };
        await using TestServer server = stopped = await StartAsync();

        // On the thread that logs, in the middle of what the server does.
        var request = new HttpRequest { Method = HttpMethod.Get };
        request.SetTarget("/"u8, default);
        LoggerOf((OpenStream)server.Server.Parts.Http.Router.Find(request, out _)!) = hook;
        using RawPeer owner = await server.CreateAsync();
        using RawConnection publisher = server.Connect();
        string body = PostText.Body(owner.Token, "1");
        publisher.Send(PostText.Head("/" + owner.Id, $"{PostText.Json}Expect: 100-continue\r\nContent-Length: {body.Length}\r\n"));
        await publisher.ReadUntilAsync("\r\n\r\n");
        using RawPeer guest = await server.JoinAsync(owner.Id);
        await Eventually.AsyncTrue(() => server.Server.Parts.Shutdown.HasBegun);
        publisher.Send(body);
        Assert.That((await publisher.ReadResponseAsync()).Status, Is.EqualTo(200));
        publisher.Dispose();
        Assert.That(await guest.ReadAllAsync(), Is.EqualTo(new[] { "event: signal\ndata: 1" }));
        owner.Dispose();
        guest.Dispose();
        await stopping!.WaitAsync(RawConnection.Patience);
        Assert.That(hook.Lines, Is.Empty);
    }

    [Test]
    public async Task A_message_whose_body_takes_too_long_then_is_refused_and_its_sender_told_why()
    {
        await using TestServer server = await StartAsync();
        RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(PostText.Head("/" + owner.Id, $"{PostText.Json}Expect: 100-continue\r\nContent-Length: 100\r\n"));
        await connection.ReadUntilAsync("\r\n\r\n");
        Task stopping = server.Server.StopAsync();
        await Eventually.AsyncTrue(() => server.Server.Parts.Shutdown.HasBegun);
        Asking.IsRefusal(await _clock.PassUntilAsync(3, connection.ReadResponseAsync()), 503, "shutting down");
        connection.Send("{");
        Assert.That(await connection.ReadToEndAsync(), Is.Empty, "no reset, which could have lost the answer");
        connection.Dispose();
        Assert.That(await owner.Stream.ReadToEndAsync(), Is.Empty);
        owner.Dispose();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task A_request_whose_head_is_under_way_is_told_that_the_server_stops()
    {
        await using TestServer server = await StartAsync();
        using RawConnection connection = server.Connect();
        connection.Send("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\n");
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(204));
        Task stopping = server.Server.StopAsync();
        await Eventually.AsyncTrue(() => server.Server.Parts.Shutdown.HasBegun);
        connection.Send("Host: localhost\r\n\r\n");
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(503));
        Assert.That(response["Retry-After"], Is.Not.Null);
        Assert.That(await connection.ReadToEndAsync(), Is.Empty);
        connection.Dispose();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task Connections_between_requests_are_closed_at_once_and_gently()
    {
        await using TestServer server = await StartAsync();
        using RawConnection fresh = server.Connect();
        using RawConnection idle = server.Connect();
        idle.Send("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Assert.That((await idle.ReadResponseAsync()).Status, Is.EqualTo(204));
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 2);
        await server.Server.StopAsync().WaitAsync(RawConnection.Patience);
        Assert.That(await idle.ReadToEndAsync(), Is.Empty);
        Assert.That(await fresh.ReadToEndAsync(), Is.Empty);
    }

    [Test]
    public async Task A_connection_that_has_just_been_answered_does_not_hold_up_the_end()
    {
        // Again and again, because it is the moment between two requests that matters.
        for (int round = 0; round < 100; round++)
        {
            await using TestServer server = await StartAsync();
            RawConnection[] connections = [.. Enumerable.Range(0, 4).Select(_ => server.Connect())];
            await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == connections.Length);
            foreach (RawConnection connection in connections)
                connection.Send("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            Task stopping = server.Server.StopAsync();
            foreach (RawConnection connection in connections)
            {
                await connection.ReadToEndOrResetAsync();
                connection.Dispose();
            }

            await stopping.WaitAsync(RawConnection.Patience);
        }
    }

    [Test]
    public async Task A_stream_that_is_just_being_opened_does_not_hold_up_the_end()
    {
        for (int round = 0; round < 100; round++)
        {
            await using TestServer server = await StartAsync();
            RawConnection[] connections = [.. Enumerable.Range(0, 4).Select(_ => server.Connect())];
            await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == connections.Length);
            foreach (RawConnection connection in connections)
                connection.Send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            Task stopping = server.Server.StopAsync();
            foreach (RawConnection connection in connections)
            {
                await connection.ReadToEndOrResetAsync();
                connection.Dispose();
            }

            await stopping.WaitAsync(RawConnection.Patience);
        }
    }

    [Test]
    public async Task Whatever_goes_on_when_it_stops_what_was_answered_is_delivered_and_no_event_is_cut_short()
    {
        for (int round = 0; round < 100; round++)
        {
            await using TestServer server = await StartAsync();
            int port = server.Port;
            RawPeer owner = await server.CreateAsync();
            RawPeer[] peers = [owner, await server.JoinAsync(owner.Id), await server.JoinAsync(owner.Id)];
            Task<List<string>>[] hearing = [.. peers.Select(peer => peer.ReadAllAsync())];
            Task<int>[] publishing =
                [.. Enumerable.Range(0, 2).Select(sender => Task.Run(() => PublishAsync(port, peers[sender], sender)))];
            Task joining = Task.Run(() => JoinAsync(port, owner.Id));
            Thread.SpinWait(round * 1000);
            Task stopping = server.Server.StopAsync();
            int[] answered = await Task.WhenAll(publishing);
            await joining;
            foreach (List<string> heard in await Task.WhenAll(hearing))
            {
                for (int sender = 0; sender < answered.Length; sender++)
                {
                    string[] own = [.. heard.Where(text => text.StartsWith($"event: signal\ndata: [{sender},"))];
                    Assert.That(own, Is.EqualTo(Enumerable.Range(0, own.Length).Select(n => $"event: signal\ndata: [{sender},{n}]")));
                    Assert.That(own, Has.Length.AtLeast(answered[sender]));
                }
            }

            foreach (RawPeer peer in peers)
                peer.Dispose();
            await stopping.WaitAsync(RawConnection.Patience);
        }
    }

    [Test]
    public async Task A_log_that_fails_harms_no_peer_and_does_not_hold_up_the_end()
    {
        var log = new ErrorLog { Heard = _ => throw new IOException("The disk is full.") };
        await using TestServer server = await StartAsync(options => options.LoggerFactory = log);
        using (RawPeer owner = await server.CreateAsync())
        using (RawPeer guest = await server.JoinAsync(owner.Id))
        {
            Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
            guest.Dispose();
            Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.LeaveOf(guest)));
            Assert.That((await server.AskAsync("GET", "/nowhere")).Status, Is.EqualTo(404));
        }

        await server.WhenIdleAsync();
        await server.Server.StopAsync().WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task Clients_that_never_close_are_cut_after_a_while()
    {
        await using TestServer server = await StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        using RawConnection middle = server.Connect();
        middle.Send("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP");
        Assert.That((await middle.ReadResponseAsync()).Status, Is.EqualTo(204));
        Task stopping = server.Server.StopAsync();
        await owner.Stream.ReadUntilAsync("\n\n");

        // First a client in the middle of a request has its time, then a peer that has to close its stream.
        Assert.That(await _clock.PassUntilAsync(3, owner.Stream.ReadToEndAsync()), Is.Empty);
        RawResponse refused = await middle.ReadResponseAsync();
        Assert.That((refused.Status, refused["Connection"]), Is.EqualTo((503, "close")), "told why its request is not answered");
        Assert.That(await guest.Stream.ReadToEndAsync(), Is.Empty);
        Assert.That(stopping.IsCompleted, Is.False);
        await _clock.PassUntilAsync(3, () => stopping.IsCompleted);
        await stopping;
        Assert.That(server.Server.Parts.Http.Connections.Count + server.Server.Parts.Streams.Streams.Count, Is.Zero);
    }

    [Test]
    public async Task Many_streams_end_one_after_another_so_that_their_clients_do_not_all_come_back_at_once()
    {
        await using TestServer server = await StartAsync(options => options.DrainTime = TimeSpan.FromSeconds(1));
        RawPeer[] owners = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => server.CreateAsync()));
        Task<string>[] ends = [.. owners.Select(owner => owner.Stream.ReadToEndAsync())];
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 0);
        int waits = _clock.Waits;
        Task stopping = server.Server.StopAsync();
        await Eventually.AsyncTrue(() => ends.Count(end => end.IsCompleted) == 10 && _clock.Waits == waits + 1);
        _clock.Advance(TimeSpan.FromMilliseconds(10));
        await Eventually.AsyncTrue(() => ends.Count(end => end.IsCompleted) == 20 && _clock.Waits == waits + 2);
        Assert.That(stopping.IsCompleted, Is.False);
        _clock.Advance(TimeSpan.FromMilliseconds(10));
        await Task.WhenAll(ends).WaitAsync(RawConnection.Patience);
        foreach (RawPeer owner in owners)
            owner.Dispose();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task The_caller_of_the_stop_can_have_all_connections_cut_at_once()
    {
        await using TestServer server = await StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using var cut = new CancellationTokenSource();
        Task stopping = server.Server.StopAsync(cut.Token);
        Assert.That(await owner.Stream.ReadToEndAsync(), Is.Empty);
        Assert.That(stopping.IsCompleted, Is.False);
        await cut.CancelAsync();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task A_later_caller_of_the_stop_can_have_all_connections_cut_as_well()
    {
        await using TestServer server = await StartAsync();
        using RawPeer owner = await server.CreateAsync();
        Task stopping = server.Server.StopAsync();
        Assert.That(await owner.Stream.ReadToEndAsync(), Is.Empty);
        Assert.That(stopping.IsCompleted, Is.False);
        await server.Server.StopAsync(new CancellationToken(true)).WaitAsync(RawConnection.Patience);
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task A_client_that_reads_a_long_answer_when_it_stops_gets_all_of_it_and_a_FIN()
    {
        const int Requests = 1000;
        await using TestServer server = await StartAsync();
        using RawConnection connection = server.ConnectNarrow();
        connection.Send(string.Concat(Enumerable.Repeat("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n", Requests)));
        HttpConnection serving = null!;
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Snapshot() is [{ } first] && (serving = first) is not null);
        await Eventually.AsyncTrue(() => PipeliningTests.IsSending(serving));
        Task stopping = server.Server.StopAsync();
        await Eventually.AsyncTrue(() => server.Server.Parts.Shutdown.HasBegun);
        string answers = await connection.ReadToEndAsync();
        Assert.That(answers.Split("HTTP/1.1 204").Length - 1, Is.InRange(1, Requests));
        Assert.That(answers, Does.EndWith("\r\n\r\n"));
        connection.Dispose();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task Once_it_stops_no_new_client_is_let_in_and_the_port_is_free()
    {
        await using TestServer server = await StartAsync();
        int port = server.Port;
        using RawPeer owner = await server.CreateAsync();
        Task stopping = server.Server.StopAsync();
        Assert.That(await owner.Stream.ReadToEndAsync(), Is.Empty);
        Assert.That(() => RawConnection.Connect(port), Throws.InstanceOf<SocketException>());
        Assert.That(server.Server.EndPoints, Is.Empty);
        owner.Dispose();
        await stopping.WaitAsync(RawConnection.Patience);
        await using TestServer successor = await TestServer.StartAsync(options => options.Port = port);
        (await successor.CreateAsync()).Dispose();
    }

    [Test]
    public async Task Stopping_twice_or_what_never_started_is_no_error()
    {
        await using TestServer server = await StartAsync();
        await Task.WhenAll(server.Server.StopAsync(), server.Server.StopAsync());
        await server.Server.DisposeAsync();
        await server.Server.StopAsync();
        await new MoshpitServer().StopAsync();
        for (int round = 0; round < 200; round++)
        {
            await using TestServer other = await StartAsync();
            var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Task[] stopping = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
            {
                await start.Task;
                await other.Server.StopAsync();
            }))];
            start.SetResult();
            await Task.WhenAll(stopping);
        }
    }

    [Test]
    public async Task What_was_stopped_does_not_start()
    {
        var server = new MoshpitServer(new MoshpitServerOptions { Port = 0, Host = "127.0.0.1" });
        await server.StopAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => server.StartAsync());
        Assert.That(server.EndPoints, Is.Empty);
    }

    [Test]
    public async Task Starting_twice_is_an_error_and_does_not_disturb_connected_peers()
    {
        await using TestServer server = await StartAsync();
        using RawPeer owner = await server.CreateAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => server.Server.StartAsync());
        await owner.SendAsync(server, "1");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
        owner.Dispose();
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "<Logger>k__BackingField")]
    private static extern ref ILogger LoggerOf(OpenStream handler);

    /// <summary>Publishes until it is no longer let; how many messages were answered with 200.</summary>
    private static async Task<int> PublishAsync(int port, RawPeer peer, int sender)
    {
        int answered = 0;
        try
        {
            using RawConnection connection = RawConnection.Connect(port);
            while (true)
            {
                connection.Send(peer.Post($"[{sender},{answered}]"));
                if (await connection.TryReadUntilAsync("\r\n\r\n") is not { } head || new RawResponse(head).Status != 200)
                    return answered;
                answered++;
                await connection.ReadAsync("OK".Length);
            }
        }
        catch (SocketException)
        {
            // Closed between two requests, just when the next one was on its way; or not even let in.
            return answered;
        }
    }

    /// <summary>
    /// Joins again and again until it is no longer let; what each time begins, begins with <c>connect</c> and ends with an event's end.
    /// </summary>
    private static async Task JoinAsync(int port, string id)
    {
        try
        {
            while (true)
            {
                using RawConnection connection = RawConnection.Connect(port);
                connection.Send($"GET /{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                if (await connection.TryReadHeadAsync() is not { Status: 200 })
                    return;
                connection.SendEnd();
                string events = await connection.ReadToEndAsync();
                Assert.That(events, Does.StartWith("event: connect\n").And.EndsWith("\n\n"));
            }
        }
        catch (SocketException)
        {
            // As above.
        }
    }

    private Task<TestServer> StartAsync(Action<MoshpitServerOptions>? configure = null) => TestServer.StartAsync(options =>
    {
        options.TimeProvider = _clock;
        options.ShutdownTimeout = TimeSpan.FromSeconds(3);
        options.DrainTime = TimeSpan.Zero;
        configure?.Invoke(options);
    });
}
