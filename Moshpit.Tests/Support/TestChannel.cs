using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;

namespace Moshpit.Tests.Support;

/// <summary>A channel whose peers only remember what they were given.</summary>
internal sealed class TestChannel
{
    public const int MaxShards = 3;

    /// <summary>Bytes that it keeps for session peers.</summary>
    public const int HistoryLimit = 1000;

    private const int OpeningLength = 1024;

    /// <summary>Milliseconds for which it keeps them, and for which a session peer may be away.</summary>
    public const long HistoryTime = 10_000, Grace = 1000;

    private readonly Channel _channel;
    private readonly Peer _sender;
    private UInt128 _next = 100;

    public TestChannel(long pendingLimit = 1024 * 1024, RoomSettings? settings = null)
    {
        Registry = new ChannelRegistry
        {
            MaxChannels = 10,
            MaxPeersPerChannel = 10_000,
            MaxShards = MaxShards,
            PendingLimit = pendingLimit,
            History = new HistoryBudget(HistoryLimit, 10 * HistoryLimit, HistoryTime),
            Away = new AwayPeers(Grace, () => Now),
            Now = () => Now,
            OwnerNews = new OwnerNews(Frames),
            SessionEvents = new SessionEvents(Frames, Grace, heartbeatSeconds: 25),
            Frames = Frames,
            Logger = NullLogger.Instance,
        };
        _channel = Registry.Create(Ids.Channel(1), settings ?? RoomSettings.Default)!;
        _sender = new Peer(_channel, Ids.Peer(1), Ids.Token(2));
    }

    public FramePool Frames { get; } = new();

    public ChannelRegistry Registry { get; }

    public Channel Channel => _channel;

    /// <summary>Milliseconds since the start.</summary>
    public long Now
    {
        get => HasMemory ? field : throw new OutOfMemoryException("There is no memory, says the test.");
        set;
    }

    /// <summary>False: there is none for what is to be remembered together with a time.</summary>
    public bool HasMemory { get; set; } = true;

    /// <summary>Lets a peer in whose first bytes are <paramref name="opening"/>.</summary>
    public (Peer Peer, RecordingSink Sink) Join(string opening = "", bool deaf = false, bool plain = false)
    {
        (Peer Peer, RecordingSink Sink) peer = Prepare(deaf, plain);
        Assert.That(TryJoin(peer, opening), Is.EqualTo(JoinOutcome.Joined));
        return peer;
    }

    /// <summary>Lets the first stream of a session in.</summary>
    public (Peer Peer, RecordingSink Sink) JoinAsSession(bool hearsAll = false)
    {
        var session = new Session(new SessionKey(new HexId(_next)), null, default, hearsAll);
        var peer = new Peer(_channel, Ids.Peer(_next++), Ids.Token(_next++), session: session);
        var sink = new RecordingSink();
        Assert.That(peer.Join(sink, Opening), Is.EqualTo(JoinOutcome.Joined));
        return (peer, sink);
    }

    /// <summary>A frame for the first events of a session's stream, which the pool of the channel does not count.</summary>
    public SharedFrame Opening => new FramePool().Rent(OpeningLength);

    /// <summary>A peer that has not joined yet.</summary>
    public (Peer Peer, RecordingSink Sink) Prepare(bool deaf = false, bool plain = false)
    {
        var sink = new RecordingSink { IsDeaf = deaf, IsPlain = plain };
        return (new Peer(_channel, Ids.Peer(_next++), Ids.Token(_next++)), sink);
    }

    public JoinOutcome TryJoin((Peer Peer, RecordingSink Sink) peer, string opening)
    {
        SharedFrame frame = Encode(opening);
        JoinOutcome outcome = peer.Peer.Join(peer.Sink, frame);
        frame.Release();
        return outcome;
    }

    /// <summary>Broadcasts, and gives the frame back when that is done.</summary>
    public async Task<bool> PublishAsync(string text)
    {
        SharedFrame frame = Encode(text);
        bool published = await PublishAsync(frame);
        _channel.Drain();
        frame.Release();
        return published;
    }

    /// <summary>Broadcasts, and leaves the rest to the caller.</summary>
    public async ValueTask<bool> PublishAsync(SharedFrame frame) =>
        (await _channel.PublishAsync(new Publication(_sender, null, frame))).Outcome == DeliveryOutcome.Delivered;

    public bool Send(Peer addressee, string text)
    {
        SharedFrame frame = Encode(text);
        bool sent = addressee.Send(new Publication(_sender, addressee, frame)).Outcome == DeliveryOutcome.Delivered;
        frame.Release();
        return sent;
    }

    public SharedFrame Encode(string text)
    {
        SharedFrame frame = Frames.Rent(text.Length);
        frame.Append(Encoding.Latin1.GetBytes(text));
        return frame;
    }
}
