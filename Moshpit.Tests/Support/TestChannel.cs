using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;

namespace Moshpit.Tests.Support;

/// <summary>A channel whose peers only remember what they were given.</summary>
internal sealed class TestChannel
{
    public const int MaxShards = 3;

    private readonly Channel _channel;
    private readonly Peer _sender;
    private UInt128 _next = 100;

    public TestChannel(long pendingLimit = 1024 * 1024)
    {
        Registry = new ChannelRegistry
        {
            MaxChannels = 10,
            MaxPeersPerChannel = 10_000,
            MaxShards = MaxShards,
            PendingLimit = pendingLimit,
            Frames = Frames,
            Logger = NullLogger.Instance,
        };
        _channel = Registry.Create(Ids.Channel(1))!;
        _sender = new Peer(_channel, Ids.Peer(1), Ids.Token(2));
    }

    public FramePool Frames { get; } = new();

    public ChannelRegistry Registry { get; }

    public Channel Channel => _channel;

    /// <summary>Lets a peer in whose first bytes are <paramref name="opening"/>.</summary>
    public (Peer Peer, RecordingSink Sink) Join(string opening = "", bool deaf = false, bool plain = false)
    {
        (Peer Peer, RecordingSink Sink) peer = Prepare(deaf, plain);
        Assert.That(TryJoin(peer, opening), Is.EqualTo(JoinOutcome.Joined));
        return peer;
    }

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
    public ValueTask<bool> PublishAsync(SharedFrame frame) => _channel.PublishAsync(new Publication(_sender, null, frame));

    public bool Send(Peer addressee, string text)
    {
        SharedFrame frame = Encode(text);
        bool sent = addressee.TrySend(frame);
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
