using System.Net;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// One client address can't use up what is meant for all, and no other is harmed. The clients are behind a named proxy, which the tests
/// are, or connect to an address of this machine that is not loopback.
/// </summary>
[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class AddressBoundsTests
{
    private const string Client = "203.0.113.7";
    private const string Other = "203.0.113.8";

    private readonly FakeTimeProvider _clock = new();

    [Test]
    public async Task A_session_that_comes_back_keeps_the_place_that_it_has_among_the_streams_of_its_address()
    {
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.Proxies.Add("127.0.0.1");
            options.MaxStreamsPerAddress = 1;
        });
        string secret = SessionPeer.NewSecret(), from = Asking.From("192.0.2.1");
        SessionPeer first = await SessionPeer.OpenAsync(server, "/", secret, fields: from);
        string other = SessionPeer.FieldsOf(SessionPeer.NewSecret());
        for (int n = 0; n < 3; n++)
        {
            using SessionPeer takesOver = await SessionPeer.OpenAsync(server, "/", secret, fields: from);
            Assert.That(takesOver.Cid, Is.EqualTo(first.Cid));
            first.Dispose();
            await Eventually.AsyncTrue(() => server.Server.Parts.Streams.Sockets.Count == 1);
            Assert.That((await server.AskAsync("GET", "/", other + from)).Status, Is.EqualTo(429), "the place is taken");
            takesOver.Stream.Reset();
            await Eventually.AsyncTrue(() => server.Server.Parts.Streams.Sockets.Count == 0);
            Assert.That((await server.AskAsync("GET", "/", other + from)).Status, Is.EqualTo(429), "an away peer keeps it");
            first = await SessionPeer.OpenAsync(server, "/", secret, fields: from);
        }

        // From another address it needs a place there, and gives back the one that it had.
        using SessionPeer elsewhere = await SessionPeer.OpenAsync(server, "/", secret, fields: Asking.From("192.0.2.2"));
        first.Dispose();
        await Eventually.AsyncTrue(() => server.Server.Parts.Streams.Sockets.Count == 1);
        using SessionPeer newcomer = await SessionPeer.OpenAsync(server.Connect(), "/", other + from);
        Assert.That(newcomer.Cid, Is.Not.EqualTo(elsewhere.Cid));
        RawResponse full = await server.AskAsync("GET", "/", SessionPeer.FieldsOf(secret) + from);
        Assert.That(full.Status, Is.EqualTo(429), "that place is another's now");
    }

    [Test]
    public async Task A_peer_that_is_away_counts_as_a_stream_of_its_address_and_not_as_a_connection()
    {
        const int Most = 2;
        IPAddress own = Asking.OwnAddress();
        await using TestServer server = await StartBehindProxyAsync(
            options => (options.Host, options.MaxStreamsPerAddress, options.MaxConnectionsPerAddress) = (null, Most, Most));
        RawConnection Connect() => RawConnection.Connect(new IPEndPoint(own, server.Port));
        List<(string Secret, string Cid)> sessions = [];
        for (int n = 0; n < Most; n++)
        {
            string secret = SessionPeer.NewSecret();
            SessionPeer peer = await SessionPeer.OpenAsync(Connect(), "/", SessionPeer.FieldsOf(secret));
            sessions.Add((secret, peer.Cid));
            peer.Stream.Reset();
        }

        await Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == 0);
        using (RawConnection another = Connect())
        {
            another.Send(Asking.Text("GET", "/", SessionPeer.FieldsOf(SessionPeer.NewSecret())));
            Asking.IsRefusal(await another.ReadResponseAsync(), 429, "too many streams");
        }

        await Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == 0);
        List<SessionPeer> back = [];
        foreach ((string secret, string cid) in sessions)
        {
            back.Add(await SessionPeer.OpenAsync(Connect(), "/", SessionPeer.FieldsOf(secret)));
            Assert.That(back[^1].Cid, Is.EqualTo(cid));
        }

        back.ForEach(peer => peer.Dispose());
        await Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == 0);
        await _clock.PassUntilAsync(120, () => server.Server.Parts.Addresses.Count == 0);
    }

    [Test]
    public async Task Streams_that_were_replaced_and_do_not_end_are_at_most_as_many_as_an_address_may_have()
    {
        const int Most = 2;
        await using TestServer server = await StartBehindProxyAsync();
        string secret = SessionPeer.NewSecret(), from = Asking.From(Client);
        List<SessionPeer> streams = [];
        for (int n = 0; n < 2 * Most; n++)
            streams.Add(await SessionPeer.OpenAsync(server, "/", secret, fields: from));
        Asking.IsRefusal(await server.AskAsync("GET", "/", SessionPeer.FieldsOf(secret) + from), 429, "too many streams");
        await streams[^1].SendAsync(server, "\"data\":1");
        Assert.That((await streams[^1].ReadAsync("signal")).Data.GetInt32(), Is.EqualTo(1), "the newest goes on");
        streams[0].Dispose();
        await Eventually.AsyncTrue(() => server.Server.Parts.Streams.Sockets.Count == 2 * Most - 1);
        streams.Add(await SessionPeer.OpenAsync(server, "/", secret, fields: from));
        streams.ForEach(stream => stream.Dispose());
        await server.WhenIdleAsync();
    }

    [Test]
    public async Task Too_many_requests_within_a_second_are_refused_until_time_has_passed()
    {
        await using TestServer server = await StartBehindProxyAsync();
        using RawConnection connection = server.Connect();
        Assert.That(await ServedAsync(connection, 15, Client), Is.EqualTo(10));
        Asking.IsRefusal(await AskAsync(connection, Client), 429, "too many requests from your address");
        Assert.That(await ServedAsync(connection, 15, Other), Is.EqualTo(10), "the other one has its own");
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.That(await ServedAsync(connection, 15, Client), Is.EqualTo(10), "and the same connection goes on");
    }

    [Test]
    public async Task A_message_over_the_rate_is_refused_and_delivered_to_no_peer()
    {
        await using TestServer server = await StartBehindProxyAsync();
        using RawPeer owner = await server.CreateAsync();
        for (int n = 0; n < 10; n++)
            Assert.That((await server.PostAsync(owner, $"{n}", Asking.From(Client))).Status, Is.EqualTo(200));
        Asking.IsRefusal(await server.PostAsync(owner, "\"too much\"", Asking.From(Client)), 429, "too many requests");
        Assert.That((await server.PostAsync(owner, "10", Asking.From(Other))).Status, Is.EqualTo(200));
        for (int n = 0; n <= 10; n++)
            Assert.That(await owner.ReadSignalAsync(), Is.EqualTo($"{n}"));
    }

    [Test]
    public async Task A_message_that_is_refused_for_now_is_not_overtaken_by_those_pipelined_behind_it()
    {
        await using TestServer server = await StartBehindProxyAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string Post(int n) => PostText.WithLength("/" + owner.Id, PostText.Body(owner.Token, $"{n}"), PostText.Json + Asking.From(Client));
        connection.Send(string.Concat(Enumerable.Range(0, 20).Select(Post)));
        for (int n = 0; n < 10; n++)
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        RawResponse refused = await connection.ReadResponseAsync();
        Asking.IsRefusal(refused, 429, "too many requests");
        Assert.That(refused["Connection"], Is.EqualTo("close"));
        Assert.That(await connection.ReadToEndAsync(), Is.Empty, "and nothing behind it is answered");
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.That((await server.PostAsync(owner, "10", Asking.From(Client))).Status, Is.EqualTo(200));
        for (int n = 0; n <= 10; n++)
            Assert.That(await owner.ReadSignalAsync(), Is.EqualTo($"{n}"));
    }

    [Test]
    public async Task Too_many_new_channels_within_a_minute_are_refused_until_time_has_passed()
    {
        await using TestServer server = await StartBehindProxyAsync(options => options.MaxStreamsPerAddress = 5);
        using RawPeer first = await OpenAsync(server, Client);
        using RawPeer second = await OpenAsync(server, Client);
        Asking.IsRefusal(await server.AskAsync("GET", "/", Asking.From(Client)), 429, "created too many channels");
        using RawPeer other = await OpenAsync(server, Other);
        using RawPeer guest = await OpenAsync(server, Client, "/" + other.Id);
        _clock.Pass(30);
        using RawPeer third = await OpenAsync(server, Client);

        // There is room for one stream more: the one that was refused took none.
        Asking.IsRefusal(await server.AskAsync("GET", "/", Asking.From(Client)), 429, "created too many channels");
    }

    [Test]
    public async Task Too_many_streams_are_refused_and_no_connected_peer_is_thrown_out()
    {
        await using TestServer server = await StartBehindProxyAsync();
        RawPeer owner = await OpenAsync(server, Client);
        RawPeer guest = await OpenAsync(server, Client, "/" + owner.Id);
        Asking.IsRefusal(await server.AskAsync("GET", "/" + owner.Id, Asking.From(Client)), 429, "too many streams");
        Asking.IsRefusal(await server.AskAsync("GET", "/", Asking.From(Client)), 429, "too many streams");
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
        using RawPeer other = await OpenAsync(server, Other, "/" + owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(other)), "no peer hears of a client that was refused");
        guest.Dispose();
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.LeaveOf(guest)));
        await Eventually.AsyncTrue(() => server.Server.Parts.Streams.Streams.Count == 2);
        using RawPeer next = await TryOpenAsync(server, Client, "/" + owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(next)));
        owner.Dispose();
    }

    [Test]
    public async Task A_client_that_is_no_named_proxy_is_not_believed()
    {
        await using TestServer server = await StartBehindProxyAsync(options => options.Proxies.Clear());
        using RawConnection connection = server.Connect();
        Assert.That(await ServedAsync(connection, 50, Client), Is.EqualTo(50), "loopback has no limit, whatever address it claims to have");
        Assert.That(server.Server.Parts.Addresses.Count, Is.Zero);
    }

    [Test]
    public async Task From_afar_a_claim_to_have_another_address_changes_nothing()
    {
        IPAddress own = Asking.OwnAddress();
        await using TestServer server =
            await StartBehindProxyAsync(options => (options.Host, options.MaxConnectionsPerAddress) = (null, 100));
        using RawConnection connection = RawConnection.Connect(new IPEndPoint(own, server.Port));
        int served = 0;
        for (int n = 0; n < 30; n++)
            served += await ServedAsync(connection, 1, $"203.0.113.{n}");
        Assert.That((served, server.Server.Parts.Addresses.Count), Is.EqualTo((10, 1)));
    }

    [Test]
    public async Task More_connections_than_an_address_may_have_are_refused_and_room_can_be_used_again()
    {
        IPAddress own = Asking.OwnAddress();
        await using TestServer server = await StartBehindProxyAsync(options => options.Host = null);
        var address = new IPEndPoint(own, server.Port);
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(address), "/");
        RawPeer guest = await RawPeer.OpenAsync(RawConnection.Connect(address), "/" + owner.Id);
        using var publisher = new Publisher(RawConnection.Connect(address), guest);
        await publisher.SendAsync("1");
        using (RawConnection refused = RawConnection.Connect(address))
            Asking.IsRefusal(await AskAsync(refused, Client), 429, "too many connections open");
        await publisher.SendAsync("2");
        Assert.That((await guest.ReadSignalAsync(), await guest.ReadSignalAsync()), Is.EqualTo(("1", "2")));
        (await server.CreateAsync()).Dispose();
        guest.Dispose();
        await Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == 2);
        using RawPeer next = await RawPeer.OpenAsync(RawConnection.Connect(address), "/" + owner.Id);
    }

    [Test]
    public async Task Whoever_opens_far_more_connections_than_an_address_may_have_leaves_room_for_others()
    {
        const int Refused = 100;
        IPAddress own = Asking.OwnAddress();
        await using TestServer server = await StartBehindProxyAsync(options => (options.Host, options.MaxConnections) = (null, 20));
        RawConnection[] greedy =
            [.. Enumerable.Range(0, 3 + Refused + 50).Select(_ => RawConnection.Connect(new IPEndPoint(own, server.Port)))];
        await Eventually.AsyncTrue(
            () => greedy.Count(connection => connection.Socket.Poll(0, System.Net.Sockets.SelectMode.SelectRead)) == 50);
        using RawPeer owner = await server.CreateAsync();
        await owner.SendAsync(server, "1");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
        foreach (RawConnection connection in greedy)
            connection.Dispose();
    }

    [TestCase("")]
    [TestCase("X-Forwarded-For: nonsense\r\n")]
    [TestCase("X-Forwarded-For: ,,,,\r\n")]
    [TestCase("X-Forwarded-For: \u00ff\u00fe, ;;, 999.999.999.999\r\n")]
    [TestCase("X-Forwarded-For: 203.0.113.7, unknown\r\n")]
    [TestCase("X-Forwarded-For: [::1\r\n")]
    [TestCase("X-Forwarded-For: 127.0.0.1\r\n")]
    [TestCase("Forwarded: for=\"\r\n")]
    [TestCase("Forwarded: for=_hidden\r\n")]
    [TestCase("X-Real-IP: 203.0.113.7\r\n")]
    public async Task A_request_for_which_a_proxy_names_no_client_counts_against_the_proxy(string fields)
    {
        await using TestServer server = await StartBehindProxyAsync();
        using RawConnection connection = server.Connect();
        using RawPeer first = await RawPeer.OpenAsync(server.Connect(), "/", fields);
        using RawPeer second = await RawPeer.OpenAsync(server.Connect(), "/" + first.Id, fields);
        Asking.IsRefusal(await server.AskAsync("GET", "/" + first.Id, fields), 429, "too many streams");
        Assert.That(await ServedFieldsAsync(connection, 15, fields), Is.EqualTo(7), "three of ten were asked before");
        Assert.That(await ServedAsync(connection, 15, Client), Is.EqualTo(10), "and no client's are used up");
    }

    [Test]
    [Platform(Exclude = "Win")]
    public async Task A_proxy_on_the_Unix_socket_is_counted_by_itself()
    {
        using var folder = new TempFolder();
        await using TestServer server = await StartBehindProxyAsync(options =>
        {
            options.SocketPath = folder["socket"];
            options.Proxies.Add("unix");
        });
        using RawConnection connection = RawConnection.Connect(new System.Net.Sockets.UnixDomainSocketEndPoint(folder["socket"]));
        Assert.That(await ServedFieldsAsync(connection, 15, ""), Is.EqualTo(10));
        Assert.That(await ServedAsync(connection, 15, Client), Is.EqualTo(10));
    }

    [Test]
    public async Task A_client_can_be_named_in_Forwarded_and_can_not_choose_its_name()
    {
        await using TestServer server = await StartBehindProxyAsync();
        using RawConnection connection = server.Connect();
        int served = 0;
        for (int n = 0; n < 30; n++)
        {
            string own = n % 2 == 0 ? "" : $"for=198.51.100.{n}, ";
            served += await ServedFieldsAsync(connection, 1, $"Forwarded: {own}for=\"{Client}:{n}\";proto=https\r\n");
        }

        Assert.That(served, Is.EqualTo(10));
    }

    [TestCase("X-Forwarded-For: 203.0.113.7\r\nForwarded: for=198.51.100.#\r\n", Description = "nginx, Caddy and Envoy pass Forwarded on")]
    [TestCase("X-Forwarded-For: 198.51.100.#\r\nForwarded: for=203.0.113.7\r\n", Description = "HAProxy with option forwarded alone")]
    [TestCase("X-Forwarded-For: 203.0.113.7\r\nForwarded: for=\"#\r\n")]
    public async Task Whichever_field_a_proxy_writes_a_client_gets_no_new_name_by_the_other(string fields)
    {
        await using TestServer server = await StartBehindProxyAsync();
        using RawConnection connection = server.Connect();
        int served = 0;
        for (int n = 0; n < 30; n++)
            served += await ServedFieldsAsync(connection, 1, fields.Replace("#", $"{n}", StringComparison.Ordinal));
        Assert.That(served, Is.EqualTo(10));
    }

    [Test]
    public async Task What_a_client_claims_before_the_proxy_adds_to_it_is_ignored_on_one_line_or_two()
    {
        await using TestServer server = await StartBehindProxyAsync();
        using RawConnection connection = server.Connect();
        int served = 0;
        for (int n = 0; n < 30; n++)
        {
            string lines = n % 2 == 0 ? $"198.51.100.{n}, {Client}" : $"198.51.100.{n}\r\nX-Forwarded-For: {Client}, 127.0.0.1";
            served += await ServedAsync(connection, 1, lines);
        }

        Assert.That(served, Is.EqualTo(10));
    }

    [Test]
    public async Task An_IPv6_network_of_64_bits_is_one_client()
    {
        await using TestServer server = await StartBehindProxyAsync();
        using RawConnection connection = server.Connect();
        int served = 0;
        for (int n = 0; n < 30; n++)
            served += await ServedAsync(connection, 1, $"2001:db8:1:2:{n}::{n}");
        Assert.That(served, Is.EqualTo(10));
        Assert.That(await ServedAsync(connection, 15, "2001:db8:1:3::1"), Is.EqualTo(10));
    }

    [Test]
    public async Task When_all_have_left_and_time_has_passed_no_address_is_remembered()
    {
        await using TestServer server = await StartBehindProxyAsync();
        using RawPeer first = await OpenAsync(server, Client);
        RawPeer second = await OpenAsync(server, Other);
        for (int n = 10; n < 60; n++)
            await server.AskAsync("GET", "/nowhere", Asking.From($"203.0.113.{n}"));
        Assert.That(server.Server.Parts.Addresses.Count, Is.EqualTo(52));
        second.Dispose();
        await Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == 1);
        await _clock.PassUntilAsync(60, () => server.Server.Parts.Addresses.Count == 1);
        first.Dispose();
        await Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == 0);
        await _clock.PassUntilAsync(1, () => server.Server.Parts.Addresses.Count == 0);
    }

    [Test]
    public async Task A_client_that_is_reset_in_the_middle_of_a_forwarded_request_is_forgotten_too()
    {
        await using TestServer server = await StartBehindProxyAsync(options => options.SendBuffer = 1);
        using RawPeer owner = await server.CreateAsync();
        using (RawConnection narrow = server.ConnectNarrow())
        {
            // Received at once; when the body is waited for, in the client's name, more answers are to be sent than the proxy takes.
            string answered = string.Concat(Enumerable.Repeat("GET /x HTTP/1.1\r\nHost:a\r\n\r\n", 40));
            narrow.Send(answered + PostText.Head("/" + owner.Id, $"{PostText.Json}{Asking.From(Client)}Content-Length: 5\r\n"));
            await Eventually.AsyncTrue(() => server.Server.Parts.Addresses.Count == 2);
            narrow.Reset();
        }

        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 0);
        await _clock.PassUntilAsync(60, () => server.Server.Parts.Addresses.Count == 1);
        Assert.That(server.Server.Parts.Streams.Streams.Count, Is.EqualTo(1),
            "The owner's stream counts against the proxy, which named no client.");
    }

    /// <summary>A server to which loopback is a proxy, and which lets an address do very little.</summary>
    private Task<TestServer> StartBehindProxyAsync(Action<MoshpitServerOptions>? configure = null) => TestServer.StartAsync(options =>
    {
        BoundsTests.Strict(options);
        options.TimeProvider = _clock;
        options.Proxies.Add("127.0.0.1");
        configure?.Invoke(options);
    });

    private static Task<RawPeer> OpenAsync(TestServer server, string client, string target = "/") =>
        RawPeer.OpenAsync(server.Connect(), target, Asking.From(client));

    /// <summary>As <see cref="OpenAsync"/>, for room that is given back a moment after the last byte to a peer that left.</summary>
    private static async Task<RawPeer> TryOpenAsync(TestServer server, string client, string target)
    {
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 0);
        return await OpenAsync(server, client, target);
    }

    private static async Task<RawResponse> AskAsync(RawConnection connection, string client)
    {
        connection.Send(Asking.Text("GET", "/nowhere", Asking.From(client)));
        return await connection.ReadResponseAsync();
    }

    /// <summary>How many of <paramref name="count"/> requests were not refused for their number.</summary>
    private static Task<int> ServedAsync(RawConnection connection, int count, string client) =>
        ServedFieldsAsync(connection, count, Asking.From(client));

    private static async Task<int> ServedFieldsAsync(RawConnection connection, int count, string fields)
    {
        int served = 0;
        for (int n = 0; n < count; n++)
        {
            connection.Send(Asking.Text("GET", "/nowhere", fields));
            int status = (await connection.ReadResponseAsync()).Status;
            Assert.That(status, Is.AnyOf(404, 429));
            served += status == 404 ? 1 : 0;
        }

        return served;
    }
}
