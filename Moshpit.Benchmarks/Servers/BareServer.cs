using System.Net;
using System.Net.Sockets;
using Moshpit.Benchmarks.Polling;

namespace Moshpit.Benchmarks.Servers;

/// <summary>
/// The least that a server of events can do: one thread, and for each message one non-blocking send to each peer, one after the
/// other. It knows just enough HTTP to understand the benchmarks' own requests. <c>GET /channel</c> subscribes, <c>POST /channel</c>
/// publishes its body.
/// </summary>
internal sealed class BareServer : IServer
{
    private const int ReceiveBufferLength = 64 * 1024;
    private const int AcceptQueueLength = 4096;

    private readonly Dictionary<string, List<BareConnection>> _channels = [];
    private readonly byte[] _buffer = new byte[ReceiveBufferLength];
    private readonly Epoll _epoll = new();

    /// <summary>Where all connections receive; free again after each call.</summary>
    public byte[] Buffer => _buffer;

    public Task<int> StartAsync(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        socket.Listen(AcceptQueueLength);
        _epoll.Add(new BareListener(socket, this));
        new Thread(Run) { IsBackground = true, Name = "bare loop" }.Start();
        return Task.FromResult(((IPEndPoint)socket.LocalEndPoint!).Port);
    }

    /// <summary>Nothing to do: its thread and sockets end with the process, and looking for an earlier end would cost it.</summary>
    public ValueTask DisposeAsync() => default;

    public void Accept(Socket socket)
    {
        socket.Blocking = false;
        socket.NoDelay = true;
        _epoll.Add(new BareConnection(socket, this));
    }

    public void Subscribe(string channel, BareConnection peer)
    {
        if (!_channels.TryGetValue(channel, out List<BareConnection>? peers))
            _channels.Add(channel, peers = []);
        peers.Add(peer);
    }

    public void Publish(string channel, ReadOnlySpan<byte> frame)
    {
        if (!_channels.TryGetValue(channel, out List<BareConnection>? peers))
            return;
        foreach (BareConnection peer in peers)
            peer.Send(frame);
    }

    public void Close(BareConnection connection)
    {
        if (connection.Channel is not null)
            _channels[connection.Channel].Remove(connection);
        _epoll.Close(connection);
    }

    private void Run()
    {
        while (true)
            _epoll.Wait(-1);
    }
}
