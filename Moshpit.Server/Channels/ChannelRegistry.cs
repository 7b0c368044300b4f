using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Moshpit.Server.Buffers;
using Moshpit.Server.Limits;

namespace Moshpit.Server.Channels;

/// <summary>The open channels by id.</summary>
internal sealed class ChannelRegistry
{
    /// <summary>Milliseconds from one look at what channels keep to the next.</summary>
    private const long HistoryPeriod = 5000;

    private readonly ConcurrentDictionary<ChannelId, Channel> _channels = new(ChannelId.Comparer.Instance);

    /// <summary>The channels that sessions created, by their keys.</summary>
    private readonly ConcurrentDictionary<SessionKey, Channel> _byCreator = new();

    private int _count;
    private long _halfTimeAt;
    private long _lookedAt;

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

    /// <summary>What channels may keep for peers that come back.</summary>
    public required HistoryBudget History { get; init; }

    /// <summary>Session peers without a stream.</summary>
    public required AwayPeers Away { get; init; }

    /// <summary>Milliseconds since the server's start.</summary>
    public required Func<long> Now { get; init; }

    /// <summary>Tells owners without a session of their peers.</summary>
    public required OwnerNews OwnerNews { get; init; }

    /// <summary>Writes what only sessions are told.</summary>
    public required SessionEvents SessionEvents { get; init; }

    /// <summary>Sessions that were ended on purpose a short time ago.</summary>
    public EndedSessions Ended { get; } = new();

    /// <summary>
    /// Called when an outlet of a peer has ended, before anything comes of that: with what it counted against, and whether it goes on to
    /// count because the peer is only away.
    /// </summary>
    public Action<Peer, AddressUsage?, SinkEnd, bool>? OutletEnded { get; set; }

    /// <summary>Within one grace after the start an unknown channel may be one whose clients come back before its owner does.</summary>
    public bool MayReturn => Now() < Away.Grace;

    /// <summary>Channels that keep a history.</summary>
    internal SlotTable<Channel> WithHistory { get; } = new();

    /// <summary>Channels whose watchers are to be told how many peers there are.</summary>
    internal ConcurrentDictionary<Channel, byte> CountDue { get; } = new();

    /// <summary>
    /// Opens a channel; the first peer that joins owns it. If another request has just opened one of that name, that one is returned. Null:
    /// there are as many as there may be.
    /// </summary>
    public Channel? Create(ChannelId id, RoomSettings settings)
    {
        if (Interlocked.Increment(ref _count) > MaxChannels)
        {
            Interlocked.Decrement(ref _count);
            return null;
        }

        var created = new Channel(id, this, settings);
        while (true)
        {
            Channel channel = _channels.GetOrAdd(id, created);
            if (channel == created)
                return created;
            if (channel.IsClosed)
            {
                // It may not have been forgotten yet.
                Remove(channel);
                continue;
            }

            Interlocked.Decrement(ref _count);
            return channel;
        }
    }

    /// <summary>The channel whose id is written as <paramref name="text"/>, or null.</summary>
    public Channel? Find(ReadOnlySpan<byte> text) =>
        _channels.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(text, out Channel? channel) ? channel : null;

    /// <summary>The channel that the session with the key <paramref name="creator"/> created, if it is open.</summary>
    public Channel? FindByCreator(SessionKey creator) => _byCreator.GetValueOrDefault(creator);

    /// <summary>From now on <paramref name="creator"/> leads to <paramref name="channel"/>. False: it leads to another one.</summary>
    public bool TryAddCreator(SessionKey creator, Channel channel)
    {
        channel.Creator = creator;
        return _byCreator.TryAdd(creator, channel);
    }

    /// <summary><paramref name="creator"/> leads to <paramref name="channel"/> no more.</summary>
    public void RemoveCreator(SessionKey creator, Channel channel) =>
        _byCreator.TryRemove(new KeyValuePair<SessionKey, Channel>(creator, channel));

    /// <summary>Lets go what has been away for too long, and what has been kept or remembered for too long.</summary>
    public void OnTick()
    {
        long now = Now();
        Away.OnTick();
        Ended.OnTick(now);
        foreach ((Channel channel, _) in CountDue)
        {
            CountDue.TryRemove(channel, out _);
            if (!channel.TryTellCount(now))
                CountDue.TryAdd(channel, 0);
        }

        bool halfTime = now - _halfTimeAt >= History.Time / 2;
        if (halfTime)
            _halfTimeAt = now;
        if (!halfTime && !History.IsExceeded && now - _lookedAt < HistoryPeriod)
            return;
        _lookedAt = now;
        foreach (Channel? channel in WithHistory.Snapshot())
            channel?.TrimHistory(halfTime);
    }

    /// <summary>Closes every channel to newcomers and messages; its streams are the caller's to end.</summary>
    public void CloseAll()
    {
        foreach (Channel channel in _channels.Values)
            channel.TryClose();
    }

    internal void Remove(Channel channel)
    {
        if (_channels.TryRemove(new KeyValuePair<ChannelId, Channel>(channel.Id, channel)))
            Interlocked.Decrement(ref _count);
        if (channel.Creator is { } creator)
            RemoveCreator(creator, channel);
    }
}
