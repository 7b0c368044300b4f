using System.Collections.Concurrent;
using Moshpit.Server.Buffers;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Channels;

/// <summary>The open channels by id.</summary>
internal sealed class ChannelRegistry
{
    private readonly ConcurrentDictionary<UInt128, Channel> _channels = new(TokenComparer.Instance);

    /// <param name="frames">Where events are encoded.</param>
    /// <param name="pendingLimit">Bytes that may be pending in a channel before a publisher has to wait.</param>
    public ChannelRegistry(FramePool frames, long pendingLimit)
    {
        Frames = frames;
        PendingLimit = pendingLimit;
    }

    /// <summary>Channels now.</summary>
    public int Count => _channels.Count;

    internal FramePool Frames { get; }

    internal long PendingLimit { get; }

    /// <summary>Opens a channel; who joins it first owns it.</summary>
    public Channel Create(UInt128 id)
    {
        var channel = new Channel(id, this);
        if (!_channels.TryAdd(id, channel))
            throw new InvalidOperationException("128 random bits came twice; the random number generator is broken.");
        return channel;
    }

    public Channel? Find(UInt128 id) => _channels.GetValueOrDefault(id);

    /// <summary>Closes every channel.</summary>
    public void CloseAll(DisconnectReason reason)
    {
        foreach (Channel channel in _channels.Values)
            channel.Close(reason);
    }

    internal void Remove(Channel channel) => _channels.TryRemove(channel.Id, out _);
}
