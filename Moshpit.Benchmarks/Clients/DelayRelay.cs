using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Moshpit.Benchmarks.Clients;

/// <summary>
/// A long way to a server: the relay accepts connections on the loopback address and forwards their bytes both ways, each chunk a fixed
/// time after it came. Later chunks do not wait until earlier ones are forwarded, so the delay limits no throughput. Opening a connection
/// takes no delay.
/// </summary>
internal sealed class DelayRelay : IDisposable
{
    private const int ChunkLength = 64 * 1024;

    private readonly Lock _gate = new();
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _sockets = [];
    private readonly IPEndPoint _server;
    private readonly TimeSpan _delay;
    private bool _isDisposed;

    /// <summary>Starts a relay to <paramref name="server"/>.</summary>
    /// <param name="server">Where the bytes go.</param>
    /// <param name="delay">Of each chunk, in each direction: half a round trip.</param>
    public DelayRelay(IPEndPoint server, TimeSpan delay)
    {
        _server = server;
        _delay = delay;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        Start(AcceptAll);
    }

    public IPEndPoint EndPoint { get; }

    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            _listener.Dispose();
            foreach (Socket socket in _sockets)
                socket.Dispose();
        }
    }

    // Threads that block, because they wake up within a fraction of a millisecond; the timers of tasks take some milliseconds more.
    private static void Start(Action work) => new Thread(() => Run(work)) { IsBackground = true }.Start();

    private static void Run(Action work)
    {
        try
        {
            work();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The connection is over, or the relay is.
        }
    }

    private void AcceptAll()
    {
        while (true)
        {
            Socket front = Keep(_listener.Accept());
            Socket back = Keep(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            back.Connect(_server);
            Forward(front, back);
            Forward(back, front);
        }
    }

    /// <summary>Has the socket closed with the relay, at once if that is over already.</summary>
    private Socket Keep(Socket socket)
    {
        lock (_gate)
        {
            if (_isDisposed)
                socket.Dispose();
            _sockets.Add(socket);
        }

        socket.NoDelay = true;
        return socket;
    }

    private void Forward(Socket from, Socket to)
    {
        var chunks = new BlockingCollection<(long Received, byte[] Bytes)>();
        Start(() => Receive(from, to, chunks));
        Start(() => Send(to, chunks));
    }

    private static void Receive(Socket from, Socket to, BlockingCollection<(long Received, byte[] Bytes)> chunks)
    {
        byte[] buffer = new byte[ChunkLength];
        try
        {
            int length;
            while ((length = from.Receive(buffer)) > 0)
                chunks.Add((Stopwatch.GetTimestamp(), buffer[..length]));

            // No bytes stand for the end, which is as late as they are.
            chunks.Add((Stopwatch.GetTimestamp(), []));
        }
        catch (SocketException)
        {
            // A reset has no place among the bytes.
            to.Dispose();
        }
        finally
        {
            chunks.CompleteAdding();
        }
    }

    private void Send(Socket to, BlockingCollection<(long Received, byte[] Bytes)> chunks)
    {
        foreach ((long received, byte[] bytes) in chunks.GetConsumingEnumerable())
        {
            while (_delay - Stopwatch.GetElapsedTime(received) is { Ticks: > 0 } remaining)
                Thread.Sleep((int)Math.Ceiling(remaining.TotalMilliseconds));
            if (bytes.Length > 0)
                to.Send(bytes);
            else
                to.Shutdown(SocketShutdown.Send);
        }
    }
}
