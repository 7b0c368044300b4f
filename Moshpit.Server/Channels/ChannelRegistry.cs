using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>The open channels by id.</summary>
internal sealed class ChannelRegistry
{
    private readonly ConcurrentDictionary<ChannelId, Channel> _channels = new();

    private int _count;

    /// <summary>Channels now.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Most channels at once.</summary>
    public required int MaxChannels { get; init; }

    /// <summary>Most peers in one channel.</summary>
    public required int MaxPeersPerChannel { get; init; }

    /// <summary>Most shards of one channel: so many threads may deliver to its peers at the same time.</summary>
    public required int MaxShards { get; init; }

    /// <summary>Bytes that may be pending in a channel before a publisher has to wait.</summary>
    public required long PendingLimit { get; init; }

    /// <summary>Where events are encoded.</summary>
    public required FramePool Frames { get; init; }

    /// <summary>Told when serving a peer fails.</summary>
    public required ILogger Logger { get; init; }

    /// <summary>Called when an outlet of a peer has ended, before the peer leaves for it.</summary>
    public Action<Peer, SinkEnd>? OutletEnded { get; set; }

    /// <summary>Opens a channel; the first peer that joins owns it. Null: there are as many as there may be.</summary>
    public Channel? Create(ChannelId id)
    {
        if (Interlocked.Increment(ref _count) > MaxChannels)
        {
            Interlocked.Decrement(ref _count);
            return null;
        }

        var channel = new Channel(id, this);
        if (!_channels.TryAdd(id, channel))
            throw new InvalidOperationException("128 random bits came twice; the random number generator is broken.");
        return channel;
    }

    /// <summary>The channel whose id is written as <paramref name="text"/>, or null.</summary>
    public Channel? Find(ReadOnlySpan<byte> text) => ChannelId.TryParse(text, out ChannelId id) ? Find(id) : null;

    public Channel? Find(ChannelId id) => _channels.GetValueOrDefault(id);

    /// <summary>Closes every channel to newcomers and messages; its streams are the caller's to end.</summary>
    public void CloseAll()
    {
        foreach (Channel channel in _channels.Values)
            channel.TryClose();
    }

    internal void Remove(Channel channel)
    {
        if (_channels.TryRemove(channel.Id, out _))
            Interlocked.Decrement(ref _count);
    }
}
