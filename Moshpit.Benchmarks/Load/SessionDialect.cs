using System.Buffers.Text;
using System.Globalization;
using System.Text.Json;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// The same protocol with a session for each peer. Every event must have an id that is higher than the one before, and no event may be lost
/// when a stream takes the place of an earlier one.
/// </summary>
internal sealed class SessionDialect : MoshpitDialect
{
    public override PeerSession CreateSession() => new();

    public override string SubscribeFields(StreamPeer peer)
    {
        PeerSession session = peer.Session!;
        return session.Streams == 0
            ? $"Moshpit-Session: {session.Secret}\r\n"
            : string.Create(CultureInfo.InvariantCulture, $"Moshpit-Session: {session.Secret}\r\nLast-Event-ID: {session.Last}.0\r\n");
    }

    public override void OnJoined(StreamPeer peer, ReadOnlySpan<byte> firstEvent)
    {
        base.OnJoined(peer, firstEvent);
        peer.Session!.Begin(ReadSequence(firstEvent));
    }

    public override void OnEvent(StreamPeer peer, ReadOnlySpan<byte> text)
    {
        if (text.StartsWith("event: gap\n"u8))
            throw new BenchmarkException("The server lost events of a session.");

        // 'bye' repeats an id or has a negative one, and stands before the end of the stream.
        if (!text.StartsWith("event: bye\n"u8))
            peer.Session!.Advance(ReadSequence(text));
    }

    protected override void OnConnect(StreamPeer peer, JsonElement connect)
    {
        PeerSession session = peer.Session!;
        bool isResumed = connect.TryGetProperty("resumed", out JsonElement resumed)
            ? resumed.GetBoolean()
            : throw new BenchmarkException("The server knows no sessions.");
        if (isResumed != session.Streams > 0 || connect.GetProperty("stream").GetInt32() != session.Streams + 1)
            throw new BenchmarkException($"Stream {session.Streams + 1} of a session began as {connect}.");
        if (isResumed && (connect.GetProperty("cid").GetString() != peer.Cid || connect.GetProperty("token").GetString() != peer.Token))
            throw new BenchmarkException("A session was resumed as another peer.");
        base.OnConnect(peer, connect);
    }

    /// <summary>What stands before the dot in the id of an event. The data before the id is JSON on one line.</summary>
    private static long ReadSequence(ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> field = "\nid: "u8;
        int at = text.LastIndexOf(field);
        return at >= 0 && Utf8Parser.TryParse(text[(at + field.Length)..], out long sequence, out int length)
            && text[at + field.Length + length] == '.'
            ? sequence
            : throw new BenchmarkException("The server sent a session an event without an id.");
    }
}
