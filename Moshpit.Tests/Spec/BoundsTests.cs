using System.Net.Sockets;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// At a bound of the whole server new work is refused, no connected peer is thrown out, and room that is given back can be used again.
/// </summary>
[Parallelizable]
public sealed class BoundsTests
{
    [Test]
    public async Task More_connections_than_the_server_takes_are_refused()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.MaxConnections = 3);
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        using var publisher = new Publisher(server.Connect(), guest);
        await publisher.SendAsync("1");
        foreach (string target in new[] { "/", "/" + owner.Id })
            Asking.IsRefusal(await server.AskAsync("GET", target), 503, "as many connections as it takes");
        Asking.IsRefusal(await server.PostAsync(guest, "2"), 503, "as many connections as it takes");
        await publisher.SendAsync("3");
        Assert.That((await guest.ReadSignalAsync(), await guest.ReadSignalAsync()), Is.EqualTo(("1", "3")));
        publisher.Dispose();
        await Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == 2);
        Assert.That((await server.PostAsync(guest, "4")).Status, Is.EqualTo(200));
        Assert.That(await guest.ReadSignalAsync(), Is.EqualTo("4"));
    }

    [Test]
    public async Task A_client_that_is_being_refused_does_not_take_the_room_that_others_give_back()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.MaxConnections = 2);
        using RawPeer owner = await server.CreateAsync();
        RawPeer guest = await server.JoinAsync(owner.Id);
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 0);
        using RawConnection silent = server.Connect();
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 1);
        guest.Dispose();
        await Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == 1);
        (await server.JoinAsync(owner.Id)).Dispose();
    }

    [Test]
    public async Task Of_very_many_connections_too_many_only_some_are_told_why_and_the_rest_are_closed()
    {
        const int Refused = 100;
        await using TestServer server =
            await TestServer.StartAsync(options => (options.MaxConnections, options.HeaderTimeout) = (1, TimeSpan.FromHours(1)));
        using RawPeer owner = await server.CreateAsync();
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 0);
        RawConnection[] silent = [.. Enumerable.Range(0, Refused).Select(_ => server.Connect())];
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == Refused);
        for (int n = 0; n < 20; n++)
        {
            using RawConnection connection = server.Connect();
            await connection.ReadToEndOrResetAsync();
        }

        silent[0].Send(Asking.Text("GET", "/"));
        Asking.IsRefusal(await silent[0].ReadResponseAsync(), 503, "as many connections as it takes");
        using (RawPeer stays = owner)
        {
            foreach (RawConnection connection in silent)
                connection.Dispose();
            await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 0);
            Assert.That(stays.Stream.Socket.Poll(0, SelectMode.SelectRead), Is.False, "a connected peer stays");
        }

        await Eventually.AsyncTrue(() => server.Server.Parts.Admission.Connections == 0);
        (await server.CreateAsync()).Dispose();
    }

    [Test]
    public async Task More_channels_than_the_server_takes_are_refused()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.MaxChannels = 2);
        RawPeer first = await server.CreateAsync();
        using RawPeer second = await server.CreateAsync();
        Asking.IsRefusal(await server.AskAsync("GET", "/"), 503, "as many channels as it takes");
        using RawPeer guest = await server.JoinAsync(second.Id);
        Assert.That(await second.ReadEventAsync(), Is.EqualTo(second.JoinOf(guest)), "joining is not creating");
        first.Dispose();
        await Eventually.AsyncTrue(() => server.Server.Parts.Channels.Count == 1);
        using RawPeer third = await server.CreateAsync();
        Asking.IsRefusal(await server.AskAsync("GET", "/"), 503, "as many channels as it takes");
    }

    [Test]
    public async Task A_connection_that_was_refused_a_channel_may_ask_for_something_else()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.MaxChannels = 1);
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(Asking.Text("GET", "/"));
        Asking.IsRefusal(await connection.ReadResponseAsync(), 503, "as many channels as it takes");
        connection.Send(owner.Post("1"));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
    }

    [Test]
    public async Task More_peers_than_a_channel_takes_are_refused()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.MaxPeersPerChannel = 3);
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        RawPeer last = await server.JoinAsync(owner.Id);
        Asking.IsRefusal(await server.AskAsync("GET", "/" + owner.Id), 503, "as many peers as it takes");
        await owner.SendAsync(server, "1");
        Assert.That((await guest.ReadSignalAsync(), await last.ReadSignalAsync()), Is.EqualTo(("1", "1")));
        (await server.CreateAsync()).Dispose();
        last.Dispose();
        foreach (string told in new[] { owner.JoinOf(guest), owner.JoinOf(last), "event: signal\ndata: 1", owner.LeaveOf(last) })
            Assert.That(await owner.ReadEventAsync(), Is.EqualTo(told), "no peer hears of a client that was refused");
        using RawPeer next = await server.JoinAsync(owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(next)));
    }

    [Test]
    public async Task On_loopback_no_client_is_limited_by_address()
    {
        await using TestServer server = await TestServer.StartAsync(Strict);
        await AskManyAsync(server.Connect);
    }

    [Test]
    [Platform(Exclude = "Win")]
    public async Task On_a_Unix_socket_no_client_is_limited_by_address()
    {
        using var folder = new TempFolder();
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            Strict(options);
            options.SocketPath = folder["socket"];
        });
        await AskManyAsync(() => RawConnection.Connect(new UnixDomainSocketEndPoint(folder["socket"])));
        Assert.That(server.Server.Parts.Addresses.Count, Is.Zero);
    }

    internal static void Strict(Moshpit.Server.MoshpitServerOptions options)
    {
        options.RequestsPerSecondPerAddress = 10;
        options.ChannelsPerMinutePerAddress = 2;
        options.MaxStreamsPerAddress = 2;
        options.MaxConnectionsPerAddress = 3;
    }

    /// <summary>1,500 requests in a row, and more channels, streams and connections than <see cref="Strict"/> lets a client have.</summary>
    private static async Task AskManyAsync(Func<RawConnection> connect)
    {
        var peers = new List<RawPeer>();
        for (int n = 0; n < 6; n++)
            peers.Add(await RawPeer.OpenAsync(connect(), "/"));
        using RawConnection connection = connect();
        for (int n = 0; n < 1500; n++)
        {
            connection.Send(peers[0].Post($"{n}"));
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
            Assert.That(await peers[0].ReadSignalAsync(), Is.EqualTo($"{n}"));
        }

        foreach (RawPeer peer in peers)
            peer.Dispose();
    }
}
