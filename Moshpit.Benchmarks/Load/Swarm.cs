using System.Globalization;
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
    /// <summary>In place of the length of an event: lengths differ, or an event is not one run of bytes.</summary>
    public const int Uneven = -1;

    private const int ReceiveBufferLength = 256 * 1024;

    /// <summary>Streams asked for and not yet there; more could overflow the server's accept queue.</summary>
    private const int MaxJoining = 64;

    /// <summary>How long the server may be silent while peers join.</summary>
    private const long JoinPatience = 10_000_000_000;

    /// <summary>A check sends at least that many messages, and to each peer that many.</summary>
    private const int LeastChecked = 64;
    private const int CheckedTurns = 4;

    private SwarmRun? _run;
    private int _joining;
    private uint _nextNumber;
    private int _eventLength;

    /// <param name="server">Where all connect to.</param>
    /// <param name="dialect">How the server is spoken to.</param>
    /// <param name="channels">How many channels.</param>
    /// <param name="publishers">Connections that POST; where there are more than channels, several speak in each.</param>
    public Swarm(LoadTarget server, Dialect dialect, int channels, int publishers = 1)
    {
        Server = server;
        Dialect = dialect;
        PublisherCount = publishers;
        Lanes = Math.Max(1, publishers / channels);
        Channels = [.. Enumerable.Range(0, channels).Select(index => new SwarmChannel(index))];
    }

    public Dialect Dialect { get; }

    public LoadTarget Server { get; }

    public Epoll Epoll { get; } = new();

    public SwarmChannel[] Channels { get; }

    public int PublisherCount { get; }

    /// <summary>How many of the publishers speak in each channel.</summary>
    public int Lanes { get; }

    /// <summary>Where all sockets receive; free again after each call.</summary>
    public byte[] Buffer { get; } = new byte[ReceiveBufferLength];

    /// <summary>Length of the payloads that are expected.</summary>
    public int PayloadLength { get; private set; }

    /// <summary>Bytes of every event that was looked at, with its chunk.</summary>
    /// <exception cref="BenchmarkException">Events differ in length, or none was seen.</exception>
    public int EventLength => _eventLength > 0
        ? _eventLength
        : throw new BenchmarkException("The length of an event is not known: events differ in length, or none was seen.");

    /// <summary>Open streams.</summary>
    public int PeerCount { get; private set; }

    /// <summary>
    /// Opens <paramref name="count"/> more streams, spread over the channels, and waits until the server has let them in.
    /// </summary>
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
    /// <param name="progress">Called after each wait for something to come.</param>
    /// <exception cref="BenchmarkException">Bytes are to be counted, and no run before this one found all events equally long.</exception>
    public RunResult Run(RunPlan plan, Action<InFlight>? progress = null)
    {
        if (PayloadLength != plan.Size)
            _eventLength = 0;
        PayloadLength = plan.Size;
        using var run = new SwarmRun(this, plan, _nextNumber, plan.CountOnly && PeerCount > 0 ? EventLength : 0);
        _run = run;
        RunResult result = run.Go(progress);
        _nextNumber = run.InFlight.NextNumber;
        _run = null;
        return result;
    }

    /// <summary>
    /// Publishes some messages as <paramref name="plan"/> does and looks at every delivery; each peer gets several. Needed before
    /// deliveries are counted, and after it.
    /// </summary>
    /// <exception cref="BenchmarkException">Something was lost, misplaced or not intact, or events differ in length.</exception>
    public void Check(RunPlan plan)
    {
        int turns = plan.Direct ? PeerCount : Channels.Length;
        RunResult result = Run(new RunPlan
        {
            Messages = Math.Max(LeastChecked, turns * CheckedTurns), Window = plan.Window, Direct = plan.Direct, Size = plan.Size,
        }).RequireFaultless();
        if (_eventLength == Uneven)
            throw new BenchmarkException("Deliveries can't be counted by their bytes: events differ in length.");
        if (PeerCount > 0 && result.Delivered < result.Messages)
            throw new BenchmarkException($"{result.Messages} messages led to {result.Delivered} deliveries.");
    }

    public LoadConnection Connect() => Server.Connect();

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

    /// <summary><paramref name="peer"/> got message <paramref name="number"/> in an event of <paramref name="length"/> bytes.</summary>
    public void OnDelivery(StreamPeer peer, uint number, int length, long now)
    {
        if (_eventLength != length)
            _eventLength = _eventLength == 0 ? length : Uneven;
        _run?.InFlight.OnDelivery(peer, number, now);
    }

    public void OnBytes(StreamPeer peer, long bytes) => _run?.InFlight.OnBytes(peer, bytes);

    public void OnAnswer(uint number) => _run?.InFlight.OnAnswer(number);

    /// <summary>Resets the connection of <paramref name="peer"/>, which remains in its channel.</summary>
    public void Cut(StreamPeer peer)
    {
        peer.Socket.LingerState = new LingerOption(enable: true, seconds: 0);
        Epoll.Close(peer);
        PeerCount--;
    }

    /// <summary>Opens the next stream of a peer that was cut.</summary>
    /// <param name="peer">Its place in the channel is taken by a new one.</param>
    /// <param name="atOnce">Whether it goes on before the connection is there, however many others wait to be let in.</param>
    public void Resume(StreamPeer peer, bool atOnce)
    {
        if (peer.Channel.Peers[peer.Index] != peer)
            throw new BenchmarkException("A peer is not where it was when it was cut.");
        var next = new StreamPeer(atOnce ? Server.BeginConnect() : Connect(), peer);
        peer.Channel.Peers[peer.Index] = next;
        Ask(next);
        if (!atOnce)
            WaitForJoins(MaxJoining);
    }

    /// <summary>Receives until no more than <paramref name="allowed"/> peers wait for their first event.</summary>
    public void WaitForJoins(int allowed)
    {
        while (_joining > allowed)
        {
            if (Epoll.Wait(JoinPatience) == 0)
                throw new BenchmarkException($"The server left {_joining} joining peers waiting.");
        }
    }

    public void Dispose() => Epoll.Dispose();

    private void Open(SwarmChannel channel)
    {
        var peer = new StreamPeer(Connect(), this, channel);
        channel.Peers.Add(peer);
        Ask(peer);
    }

    private void Ask(StreamPeer peer)
    {
        _joining++;
        Epoll.Add(peer);
        string request = string.Create(
            CultureInfo.InvariantCulture,
            $"GET {Server.Prefix}{Dialect.SubscribePath(peer)} HTTP/{Dialect.HttpVersion}\r\n"
            + $"Host: {Server.Host}\r\nAccept: text/event-stream\r\n{Dialect.SubscribeFields(peer)}\r\n");
        peer.Ask(Encoding.ASCII.GetBytes(request));
    }
}
