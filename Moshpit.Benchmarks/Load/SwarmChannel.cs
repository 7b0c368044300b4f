namespace Moshpit.Benchmarks.Load;

/// <summary>A channel as the load sees it.</summary>
internal sealed class SwarmChannel(int index)
{
    public int Index { get; } = index;

    /// <summary>The peers that listen; the first one owns the channel, where the server knows owners.</summary>
    public List<StreamPeer> Peers { get; } = [];

    /// <summary>What a moshpit calls it.</summary>
    public string Id { get; set; } = "";

    /// <summary>The peers that hear its broadcasts in this run.</summary>
    public Audience? Audience { get; set; }

    /// <summary>The broadcast, ready but for its number.</summary>
    public PostTemplate? Broadcast { get; set; }
}
