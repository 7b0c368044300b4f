namespace Moshpit.Benchmarks.Load;

/// <summary>How a kind of server wants to be asked.</summary>
internal abstract class Dialect
{
    /// <summary>Nobody has joined before the server's first event arrived; otherwise the response's head is enough.</summary>
    public abstract bool JoinsByEvent { get; }

    /// <summary>
    /// The streams are asked for with HTTP/1.1 and must be chunked, each event in a chunk of its own. Otherwise with HTTP/1.0, where no server sends
    /// chunks: a chunk for each write, as most servers have it, could not be told from the events by counting bytes.
    /// </summary>
    public abstract bool IsChunked { get; }

    /// <summary>What <paramref name="peer"/> asks for to listen.</summary>
    public abstract string SubscribePath(StreamPeer peer);

    /// <summary>Understands the first event of <paramref name="peer"/>.</summary>
    public virtual void OnJoined(StreamPeer peer, ReadOnlySpan<byte> firstEvent)
    {
    }

    /// <summary>A message of the owner of <paramref name="channel"/> to all its peers, or to <paramref name="addressee"/> alone.</summary>
    public abstract PostTemplate CreatePost(string host, SwarmChannel channel, StreamPeer? addressee, int length);
}
