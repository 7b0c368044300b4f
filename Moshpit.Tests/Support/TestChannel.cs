using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;

namespace Moshpit.Tests.Support;

/// <summary>A channel whose peers only remember what they were given.</summary>
internal sealed class TestChannel
{
    public const int MaxFanOuts = 3;

    private readonly Channel _channel;
    private UInt128 _next = 100;

    public TestChannel(long pendingLimit = 1024 * 1024)
    {
        Registry = new ChannelRegistry
        {
            MaxChannels = 10,
            MaxPeersPerChannel = 10_000,
            MaxFanOuts = MaxFanOuts,
            PendingLimit = pendingLimit,
            Frames = Frames,
            Logger = NullLogger.Instance,
        };
        _channel = Registry.Create(1)!;
    }

    public FramePool Frames { get; } = new();

    public ChannelRegistry Registry { get; }

    public Channel Channel => _channel;

    /// <summary>Lets a peer in whose first bytes are <paramref name="opening"/>.</summary>
    public (Peer Peer, RecordingSink Sink) Join(string opening = "", bool deaf = false)
    {
        var sink = new RecordingSink { IsDeaf = deaf };
        var peer = new Peer(_channel, _next++, _next++, sink);
        SharedFrame frame = Encode(opening);
        Assert.That(_channel.TryJoin(peer, frame), Is.EqualTo(JoinOutcome.Joined));
        frame.Release();
        return (peer, sink);
    }

    /// <summary>Broadcasts, and gives the frame back when that is done.</summary>
    public async Task<bool> PublishAsync(string text)
    {
        SharedFrame frame = Encode(text);
        bool published = await _channel.PublishAsync(frame);
        _channel.Flush();
        frame.Release();
        return published;
    }

    public void Send(Peer addressee, string text)
    {
        SharedFrame frame = Encode(text);
        Channel.Send(addressee, frame);
        frame.Release();
    }

    public SharedFrame Encode(string text)
    {
        SharedFrame frame = Frames.Rent(text.Length);
        frame.Append(Encoding.Latin1.GetBytes(text));
        return frame;
    }
}
