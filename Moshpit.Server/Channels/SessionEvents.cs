using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>
/// The first and the last event of a session's stream, and when its client is to come back: at random times, so that many that were cut
/// together do not come back together.
/// </summary>
/// <param name="frames">Where events are encoded.</param>
/// <param name="grace">Milliseconds for which a session peer may be away.</param>
/// <param name="heartbeatSeconds">Seconds of silence on a stream after which a comment is sent; 0: none is.</param>
internal sealed class SessionEvents(FramePool frames, long grace, long heartbeatSeconds)
{
    /// <summary>Enough for <c>connect</c> without a roster, and <c>gap</c>.</summary>
    public const int OpeningLength = 900;

    /// <summary>Enough for <c>bye</c>.</summary>
    private const int ByeLength = 192;

    /// <summary>Milliseconds that a <c>connect</c> gives an EventSource to come back.</summary>
    private const int ShortestRetry = 1000, LongestRetry = 3000;

    /// <summary>Milliseconds after which an EventSource looks whether the stream that replaced its own is still there.</summary>
    private const int ShortestReplacedRetry = 3000, LongestReplacedRetry = 5000;

    /// <summary>Milliseconds within which a client that was refused for now comes back.</summary>
    private const int ShortestRefusedRetry = 1000, LongestRefusedRetry = 10_000;

    /// <summary>Seconds for which a session peer may be away.</summary>
    public long GraceSeconds { get; } = grace / 1000;

    /// <summary>
    /// A random time, in milliseconds, after which a client that was refused for now comes back: from a half to the whole of the smaller of
    /// 10 s and a third of the grace, but at least a second.
    /// </summary>
    public int RandomRetry()
    {
        int longest = (int)Math.Min(LongestRefusedRetry, grace / 3);
        return Math.Max(ShortestRefusedRetry, Random.Shared.Next(longest / 2, longest + 1));
    }

    /// <summary>
    /// Adds the <c>connect</c> event of the session peer <paramref name="peer"/> to <paramref name="opening"/>, which has room for it. The
    /// locks of the peer and of its channel, which has <paramref name="members"/>, are held.
    /// </summary>
    public void WriteConnect(SharedFrame opening, Peer peer, Members members, bool resumed, long sequence, bool isChunked)
    {
        Channel channel = peer.Channel;
        Session session = peer.Session!;
        var connect = new SessionConnect(
            resumed, peer.Number, channel.Owner?.Cid, members.Count, GraceSeconds, heartbeatSeconds, session.Streams,
            session.Numbers.Highest);
        int chunk = EventWriter.BeginConnect(opening, channel.Id, peer.Cid, peer.Token, connect, isChunked);
        channel.Settings.WriteDifferences(opening);
        if (channel.KindOf(peer) == ReaderKind.Watcher)
            Roster.Write(opening, members, from: 1);
        EventWriter.EndConnect(opening, chunk, sequence, Random.Shared.Next(ShortestRetry, LongestRetry), isChunked);
    }

    /// <summary>Gives a session's stream its last event. The lock of its peer is held.</summary>
    /// <param name="outlet">It is to end next.</param>
    /// <param name="reason">Why.</param>
    /// <param name="written">The number of the last event that the stream was given.</param>
    public void WriteBye(FrameSink outlet, ByeReason reason, long written)
    {
        int retry = reason == ByeReason.Replaced ? Random.Shared.Next(ShortestReplacedRetry, LongestReplacedRetry) : RandomRetry();
        try
        {
            SharedFrame frame = frames.Rent(ByeLength);
            EventWriter.WriteBye(frame, reason, written, retry, outlet.IsChunked);
            outlet.Write(frame, 0..frame.Length);
            frame.Release();
        }
        catch (OutOfMemoryException)
        {
            // Without bye the client takes the stream for lost, and comes back.
        }
    }
}
