using System.Net;
using System.Net.Sockets;
using Moshpit.Tests.Support;

namespace Moshpit.Tests;

/// <summary>The relay breaks connections exactly where it is told to.</summary>
public sealed class ResettingRelayTests : IDisposable
{
    private readonly TcpListener _server = new(IPAddress.Loopback, 0);
    private readonly List<IDisposable> _connections = [];

    [OneTimeSetUp]
    public void Listen() => _server.Start();

    [OneTimeTearDown]
    public void Dispose()
    {
        _connections.ForEach(connection => connection.Dispose());
        _server.Dispose();
    }

    [Test]
    public async Task A_cut_comes_right_behind_its_byte()
    {
        using ResettingRelay relay = Start();
        relay.CutAfter(4, 7);
        foreach (int count in new[] { 4, 7 })
        {
            (RawConnection client, Socket server) = await ConnectAsync(relay);
            server.Send("0123456789"u8);
            Assert.That(await client.ReadAsync(count), Is.EqualTo("0123456789"[..count]));
            AssertReset(() => client.ReadAsync(1));
        }

        Assert.That(relay.Cuts, Is.EqualTo(2));
        (RawConnection last, Socket lasting) = await ConnectAsync(relay);
        lasting.Send("0123456789"u8);
        Assert.That(await last.ReadAsync(10), Is.EqualTo("0123456789"));
        last.Send("abc");
        Assert.That(lasting.Receive(new byte[3]), Is.EqualTo(3));
    }

    [Test]
    public async Task A_reset_reaches_both_sides()
    {
        using ResettingRelay relay = Start();
        (RawConnection client, Socket server) = await ConnectAsync(relay);
        relay.Reset();
        AssertReset(() => client.ReadAsync(1));
        AssertReset(async () => await server.ReceiveAsync(new byte[1]));
    }

    [Test]
    public async Task The_server_does_not_notice_what_happens_to_a_silent_connection()
    {
        using ResettingRelay relay = Start();
        (RawConnection client, Socket server) = await ConnectAsync(relay);
        relay.FallSilent();
        server.Send("lost"u8);
        await Eventually.AsyncTrue(() => relay.Responses[0] == "lost");
        relay.ResetClients();
        AssertReset(() => client.ReadAsync(1));
        server.Send("lost too"u8);
        await Eventually.AsyncTrue(() => relay.Responses[0] == "lostlost too");
        Assert.That(server.Poll(0, SelectMode.SelectRead), Is.False, "neither an end nor a reset");
    }

    private static void AssertReset(Func<Task> receive) => Assert.That(
        receive, Throws.InstanceOf<SocketException>().With.Property("SocketErrorCode").EqualTo(SocketError.ConnectionReset));

    private ResettingRelay Start() => new(((IPEndPoint)_server.LocalEndpoint).Port);

    /// <summary>A connection that leads through <paramref name="relay"/>, and the server's side of it.</summary>
    private async Task<(RawConnection Client, Socket Server)> ConnectAsync(ResettingRelay relay)
    {
        RawConnection client = RawConnection.Connect(relay.Port);
        Socket server = await _server.AcceptSocketAsync().WaitAsync(RawConnection.Patience);
        _connections.AddRange([client, server]);
        return (client, server);
    }
}
