namespace Moshpit.Benchmarks.Load;

/// <summary>How a kind of server wants to be asked.</summary>
internal abstract class Dialect
{
    /// <summary>No peer has joined before the server's first event arrived; otherwise the response's head is enough.</summary>
    public abstract bool JoinsByEvent { get; }

    /// <summary>
    /// The version of HTTP that asks for a stream. A moshpit gets 1.1, and sends each event as one chunk. Other servers get 1.0, because
    /// they send one chunk for each write: events would then differ in length, and could not be counted by their bytes.
    /// </summary>
    public abstract string HttpVersion { get; }

    /// <summary>What <paramref name="peer"/> asks for to listen.</summary>
    public abstract string SubscribePath(StreamPeer peer);

    /// <summary>Further fields of that request, each with its CRLF.</summary>
    public virtual string SubscribeFields(StreamPeer peer) => "";

    /// <summary>What a new peer keeps from one stream to the next; null: nothing.</summary>
    public virtual PeerSession? CreateSession() => null;

    /// <summary>Understands the first event of <paramref name="peer"/>.</summary>
    public virtual void OnJoined(StreamPeer peer, ReadOnlySpan<byte> firstEvent)
    {
    }

    /// <summary>Understands a later event of <paramref name="peer"/>, beyond the message that it may be.</summary>
    public virtual void OnEvent(StreamPeer peer, ReadOnlySpan<byte> text)
    {
    }

    /// <summary>A message of the owner of <paramref name="channel"/> to all its peers, or to <paramref name="addressee"/> alone.</summary>
    public abstract PostTemplate CreatePost(LoadTarget server, SwarmChannel channel, StreamPeer? addressee, int length);
}
