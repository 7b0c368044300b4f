using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Moshpit.Benchmarks.Polling;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// Many peers and the publishers that speak to them, all driven by the thread that calls: nothing to lock, nothing handed over, and the
/// rest of the machine is the server's.
/// </summary>
internal sealed class Swarm : IDisposable
{
    private const int ReceiveBufferLength = 256 * 1024;

    /// <summary>Streams asked for and not yet there; more could overflow the server's accept queue.</summary>
    private const int MaxJoining = 64;

    /// <summary>How long the server may be silent while peers join.</summary>
    private const long JoinPatience = 10_000_000_000;

    private readonly IPEndPoint _server;
    private readonly int _lanes;
    private SwarmRun? _run;
    private int _joining;
    private uint _nextNumber;

    /// <param name="server">Where all connect to.</param>
    /// <param name="dialect">How the server is spoken to.</param>
    /// <param name="channels">How many channels.</param>
    /// <param name="publishers">Connections that POST; where there are more than channels, several speak in each.</param>
    public Swarm(IPEndPoint server, Dialect dialect, int channels, int publishers = 1)
    {
        _server = server;
        Host = server.ToString();
        Dialect = dialect;
        PublisherCount = publishers;
        _lanes = Math.Max(1, publishers / channels);
        Channels = [.. Enumerable.Range(0, channels).Select(index => new SwarmChannel(index, _lanes))];
    }

    public Dialect Dialect { get; }

    public string Host { get; }

    public Epoll Epoll { get; } = new();

    public SwarmChannel[] Channels { get; }

    public int PublisherCount { get; }

    /// <summary>Where all sockets receive; free again after each call.</summary>
    public byte[] Buffer { get; } = new byte[ReceiveBufferLength];

    /// <summary>Length of the payloads that are expected.</summary>
    public int PayloadLength { get; private set; }

    /// <summary>Open streams.</summary>
    public int PeerCount { get; private set; }

    /// <summary>Opens <paramref name="count"/> more streams, spread over the channels, and waits until the server has let them in.</summary>
    public void Join(int count, Action<int>? progress = null)
    {
        int target = PeerCount + count;
        for (int i = PeerCount; i < target; i++)
        {
            // The others need to know the channel's name, so all owners come first.
            if (i == Channels.Length)
                WaitForJoins(0);
            Open(Channels[i % Channels.Length]);
            WaitForJoins(MaxJoining);
            progress?.Invoke(i + 1);
        }

        WaitForJoins(0);
    }

    /// <summary>Closes every stream; for <see cref="Join"/> to begin anew, <paramref name="owners"/> may stay.</summary>
    public void Leave(bool owners)
    {
        foreach (SwarmChannel channel in Channels)
        {
            int kept = owners ? 0 : Math.Min(1, channel.Peers.Count);
            foreach (StreamPeer peer in channel.Peers.Skip(kept))
                Epoll.Close(peer);
            PeerCount -= channel.Peers.Count - kept;
            channel.Peers.RemoveRange(kept, channel.Peers.Count - kept);
        }
    }

    /// <summary>Publishes as <paramref name="plan"/> says, until everything is everywhere or nothing more comes.</summary>
    /// <param name="plan">What to publish.</param>
    /// <param name="progress">Called now and then.</param>
    public RunResult Run(RunPlan plan, Action<InFlight>? progress = null)
    {
        PayloadLength = plan.Size;
        using var run = new SwarmRun(this, plan, _nextNumber);
        _run = run;
        RunResult result = run.Go(progress);
        _nextNumber = run.InFlight.NextNumber;
        _run = null;
        return result;
    }

    public Socket Connect()
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(_server.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.NoDelay = true;
            socket.Connect(_server);
            socket.Blocking = false;
            return socket;
        }
        catch (SocketException e)
        {
            socket?.Dispose();
            throw new BenchmarkException($"No connection to the server: {e.Message}.");
        }
    }

    public void OnJoined(StreamPeer peer)
    {
        _joining--;
        PeerCount++;
    }

    public void OnEnded(StreamPeer peer)
    {
        _run?.OnEnded();
        Epoll.Close(peer);
        peer.Channel.Peers.Remove(peer);
        PeerCount--;
    }

    /// <summary>A publisher's connection ended, and what it had sent may or may not have been heard.</summary>
    public void OnEnded(Publisher publisher)
    {
        _run?.OnEnded();
        Epoll.Close(publisher);
    }

    public void OnDelivery(StreamPeer peer, uint number, long now) => _run?.InFlight.OnDelivery(peer, number, now);

    public void OnAnswer(uint number) => _run?.InFlight.OnAnswer(number);

    public void Dispose() => Epoll.Dispose();

    private void Open(SwarmChannel channel)
    {
        var peer = new StreamPeer(Connect(), this, channel, channel.Peers.Count, _lanes);
        channel.Peers.Add(peer);
        _joining++;
        Epoll.Add(peer);

        // HTTP/1.0: no server then sends the stream in chunks, which nobody needs here.
        string request = string.Create(
            CultureInfo.InvariantCulture,
            $"GET {Dialect.SubscribePath(peer)} HTTP/1.0\r\nHost: {Host}\r\nAccept: text/event-stream\r\n\r\n");
        peer.Socket.Send(Encoding.ASCII.GetBytes(request));
    }

    private void WaitForJoins(int allowed)
    {
        while (_joining > allowed)
        {
            if (Epoll.Wait(JoinPatience) == 0)
                throw new BenchmarkException($"The server left {_joining} joining peers waiting.");
        }
    }
}
