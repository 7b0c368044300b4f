using System.Net;
using System.Net.Sockets;

namespace Moshpit.Benchmarks.Recoveries;

/// <summary>A way to a server on the loopback address that can fail as networks do.</summary>
internal sealed class FaultyRelay : IDisposable
{
    private const int ChunkLength = 16 * 1024;

    private readonly Lock _gate = new();
    private readonly List<Link> _links = [];
    private readonly IPEndPoint _at;
    private Socket _listener;

    /// <param name="serverPort">Where the server listens.</param>
    public FaultyRelay(int serverPort)
    {
        ServerPort = serverPort;
        _listener = Listen(new IPEndPoint(IPAddress.Loopback, 0));
        _at = (IPEndPoint)_listener.LocalEndPoint!;
    }

    public int Port => _at.Port;

    /// <summary>Where new connections lead.</summary>
    public int ServerPort { get; set; }

    /// <summary>Resets all connections.</summary>
    public void Kill() => ForEach(link => link.Reset());

    /// <summary>Resets all connections, and refuses new ones until <see cref="Accept"/>.</summary>
    public void Refuse()
    {
        _listener.Dispose();
        Kill();
    }

    public void Accept() => _listener = Listen(_at);

    /// <summary>The connections that there are deliver nothing more, without a sign of it. New ones work.</summary>
    public void GoHalfOpen() => ForEach(link => link.Swallows = true);

    /// <summary>What comes is held until <see cref="GoOn"/>.</summary>
    public void Suspend() => ForEach(link => link.Suspend());

    public void GoOn() => ForEach(link => link.GoOn());

    public void Dispose()
    {
        _listener.Dispose();
        Kill();
    }

    private Socket Listen(IPEndPoint at)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(at);
        listener.Listen();
        _ = AcceptAllAsync(listener);
        return listener;
    }

    private async Task AcceptAllAsync(Socket listener)
    {
        try
        {
            while (true)
            {
                var link = new Link(await listener.AcceptAsync());
                lock (_gate)
                    _links.Add(link);
                _ = link.RunAsync(ServerPort);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It refuses, or was disposed of.
        }
    }

    private void ForEach(Action<Link> action)
    {
        lock (_gate)
            _links.ForEach(action);
    }

    private sealed class Link(Socket client)
    {
        private readonly Socket _server = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private volatile TaskCompletionSource _way = Done();

        public volatile bool Swallows;

        public async Task RunAsync(int port)
        {
            try
            {
                client.NoDelay = true;
                await _server.ConnectAsync(IPAddress.Loopback, port);
                await Task.WhenAny(ForwardAsync(client, _server), ForwardAsync(_server, client));
            }
            catch (SocketException)
            {
                // The server is not there.
            }

            if (!Swallows)
                Reset();
        }

        public void Suspend() => _way = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        public void GoOn() => _way.TrySetResult();

        public void Reset()
        {
            foreach (Socket socket in new[] { client, _server })
            {
                try
                {
                    socket.LingerState = new LingerOption(true, 0);
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    // It is closed already, or not connected.
                }

                socket.Dispose();
            }
        }

        private static TaskCompletionSource Done()
        {
            var done = new TaskCompletionSource();
            done.SetResult();
            return done;
        }

        private async Task ForwardAsync(Socket from, Socket to)
        {
            byte[] buffer = new byte[ChunkLength];
            try
            {
                int length;
                while ((length = await from.ReceiveAsync(buffer)) > 0)
                {
                    await _way.Task;
                    for (int sent = 0; sent < length && !Swallows;)
                        sent += await to.SendAsync(buffer.AsMemory(sent, length - sent));
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // One side has ended.
            }
        }
    }
}
