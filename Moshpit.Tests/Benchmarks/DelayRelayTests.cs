using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Moshpit.Benchmarks.Clients;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The long way between a client and a server in the command <c>client</c>.</summary>
public sealed class DelayRelayTests : IDisposable
{
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(25);

    private readonly TcpListener _server = new(IPAddress.Loopback, 0);
    private readonly List<TcpClient> _connections = [];

    [OneTimeSetUp]
    public void Listen() => _server.Start();

    [OneTimeTearDown]
    public void Dispose()
    {
        _server.Dispose();
        _connections.ForEach(connection => connection.Dispose());
    }

    [Test]
    public async Task A_byte_takes_the_delay_in_each_direction()
    {
        using DelayRelay relay = Start(Delay);
        (NetworkStream client, NetworkStream server) = await ConnectAsync(relay);
        long sent = Stopwatch.GetTimestamp();
        client.WriteByte(1);
        await server.ReadExactlyAsync(new byte[1]).AsTask().WaitAsync(RawConnection.Patience);
        Assert.That(Stopwatch.GetElapsedTime(sent), Is.GreaterThanOrEqualTo(Delay));
        sent = Stopwatch.GetTimestamp();
        server.WriteByte(2);
        await client.ReadExactlyAsync(new byte[1]).AsTask().WaitAsync(RawConnection.Patience);
        Assert.That(Stopwatch.GetElapsedTime(sent), Is.GreaterThanOrEqualTo(Delay));
    }

    /// <summary>The relay takes what is sent long before the first byte is due; otherwise the sender would wait for room.</summary>
    [Test]
    public async Task Bytes_on_the_way_do_not_hold_up_those_behind_them()
    {
        using DelayRelay relay = Start(RawConnection.Patience * 2);
        (NetworkStream client, _) = await ConnectAsync(relay);
        await client.WriteAsync(new byte[32 << 20]).AsTask().WaitAsync(RawConnection.Patience);
    }

    [Test]
    public async Task All_bytes_arrive_in_order_and_the_end_after_them()
    {
        using DelayRelay relay = Start(Delay);
        (NetworkStream client, NetworkStream server) = await ConnectAsync(relay);
        byte[] bytes = new byte[1_000_000];
        new Random(1).NextBytes(bytes);
        Task<byte[]> received = ReadToEndAsync(server);
        for (int at = 0; at < bytes.Length; at += 1000)
            await client.WriteAsync(bytes.AsMemory(at, 1000));
        client.Socket.Shutdown(SocketShutdown.Send);
        Assert.That(await received.WaitAsync(RawConnection.Patience), Is.EqualTo(bytes));
        server.WriteByte(1);
        int length = await client.ReadAsync(new byte[2]).AsTask().WaitAsync(RawConnection.Patience);
        Assert.That(length, Is.EqualTo(1), "the other direction ended too");
    }

    [Test]
    public async Task A_relay_that_is_disposed_closes_its_connections()
    {
        DelayRelay relay = Start(Delay);
        (NetworkStream client, NetworkStream server) = await ConnectAsync(relay);
        relay.Dispose();
        await AssertClosedAsync(client);
        await AssertClosedAsync(server);
    }

    private static async Task AssertClosedAsync(NetworkStream stream)
    {
        try
        {
            Assert.That(await stream.ReadAsync(new byte[1]).AsTask().WaitAsync(RawConnection.Patience), Is.Zero);
        }
        catch (IOException)
        {
            // A reset closes the connection as well.
        }
    }

    private static async Task<byte[]> ReadToEndAsync(Stream stream)
    {
        var bytes = new MemoryStream();
        await stream.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    private DelayRelay Start(TimeSpan delay) => new((IPEndPoint)_server.LocalEndpoint, delay);

    private async Task<(NetworkStream Client, NetworkStream Server)> ConnectAsync(DelayRelay relay)
    {
        var client = new TcpClient { NoDelay = true };
        _connections.Add(client);
        await client.ConnectAsync(relay.EndPoint);
        TcpClient server = await _server.AcceptTcpClientAsync().WaitAsync(RawConnection.Patience);
        _connections.Add(server);
        return (client.GetStream(), server.GetStream());
    }
}
