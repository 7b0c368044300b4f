namespace Moshpit.Server.Channels;

/// <summary>
/// The shards of a channel. It grows under the channel's lock, and never shrinks; <see cref="Snapshot"/> and <see cref="CountPeers"/> may
/// be called at any time.
/// </summary>
internal sealed class ShardList
{
    /// <summary>A channel with more peers than this is split over several threads.</summary>
    private const int PeersPerShard = 256;

    private Shard[] _shards = [];

    /// <summary>The shards now. What is published to those that come later is drained by its own publisher.</summary>
    public ReadOnlySpan<Shard> Snapshot() => Volatile.Read(ref _shards);

    /// <summary>Peers in all shards.</summary>
    public int CountPeers()
    {
        int peers = 0;
        foreach (Shard shard in Snapshot())
            peers += shard.Count;
        return peers;
    }

    /// <summary>What all peers have had of a log that ends at <paramref name="end"/>.</summary>
    public long Floor(long end)
    {
        foreach (Shard shard in _shards)
            end = Math.Min(end, shard.Offset);
        return end;
    }

    /// <summary>
    /// Of the shards of <paramref name="channel"/> with or without chunks the one with the fewest peers, or one more when all have enough
    /// and there are not <paramref name="most"/> yet.
    /// </summary>
    public Shard Choose(Channel channel, bool isChunked, int most)
    {
        Shard? fewest = null;
        int count = 0;
        foreach (Shard shard in _shards)
        {
            if (shard.IsChunked != isChunked)
                continue;
            count++;
            if (fewest is null || shard.Count < fewest.Count)
                fewest = shard;
        }

        if (fewest is not null && (fewest.Count < PeersPerShard || count == most))
            return fewest;
        var added = new Shard(channel, isChunked, channel.LogEnd);
        Volatile.Write(ref _shards, [.. _shards, added]);
        return added;
    }
}
