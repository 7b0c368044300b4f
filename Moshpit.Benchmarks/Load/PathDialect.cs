using System.Globalization;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// Servers where a channel is a path: a GET listens, a POST publishes its body. A peer that listens alone at a path can be spoken to alone.
/// </summary>
/// <param name="subscribePath">With <c>{channel}</c> and <c>{peer}</c> where their numbers belong.</param>
/// <param name="publishPath">Likewise.</param>
internal sealed class PathDialect(string subscribePath, string publishPath) : Dialect
{
    /// <summary>The benchmarks' own servers, every channel heard by all its peers.</summary>
    public static PathDialect Broadcast { get; } = new("/{channel}", "/{channel}");

    /// <summary>The benchmarks' own servers, every peer listening alone.</summary>
    public static PathDialect Direct { get; } = new("/{channel}-{peer}", "/{channel}-{peer}");

    public override bool JoinsByEvent => false;

    public override string HttpVersion => "1.0";

    public override string SubscribePath(StreamPeer peer) => Expand(subscribePath, peer.Channel, peer);

    public override PostTemplate CreatePost(LoadTarget server, SwarmChannel channel, StreamPeer? addressee, int length) =>
        new(server, Expand(publishPath, channel, addressee), "\"", length, "\"");

    private static string Expand(string path, SwarmChannel channel, StreamPeer? peer) => path
        .Replace("{channel}", channel.Index.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
        .Replace("{peer}", (peer?.Index ?? 0).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
}
