using System.Buffers;

using Moshpit.Server.Buffers;

namespace Moshpit.Server.Sse;

/// <summary>
/// Writes events in the wire form of PROTOCOL.md: <c>event</c>, then <c>data</c>, then an empty line; each as one chunk
/// (<see cref="ChunkFraming"/>). The original client wants this order, <c>": "</c> after each name, and JSON in every field but the first.
/// </summary>
internal static class EventWriter
{
    /// <summary>A comment, which every client skips: proof that the stream is alive.</summary>
    public static ReadOnlySpan<byte> Heartbeat => "3\r\n:\n\n\r\n"u8;

    private static ReadOnlySpan<byte> Connect => "event: connect\ndata: {\"id\":\""u8;

    private static ReadOnlySpan<byte> Join => "event: join\ndata: {\"id\":\""u8;

    private static ReadOnlySpan<byte> Leave => "event: leave\ndata: {\"id\":\""u8;

    private static ReadOnlySpan<byte> Signal => "event: signal\ndata: "u8;

    private static ReadOnlySpan<byte> Cid => "\",\"cid\":\""u8;

    private static ReadOnlySpan<byte> Token => "\",\"token\":\""u8;

    private static ReadOnlySpan<byte> Close => "\"}"u8;

    // Ends the data line and the event. Any field to follow data belongs between these two line feeds.
    private static ReadOnlySpan<byte> End => "\n\n"u8;

    /// <summary>
    /// A peer's first event: the channel, and the peer's cid and token. Without its chunk where <paramref name="chunked"/> is false.
    /// </summary>
    public static void WriteConnect(IBufferWriter<byte> output, ChannelId id, PeerId cid, Token token, bool chunked = true)
    {
        int length = Connect.Length + Cid.Length + Token.Length + 3 * HexId.Length + Close.Length + End.Length;
        int framing = chunked ? ChunkFraming.HeadLength(length) + ChunkFraming.ChunkEnd.Length : 0;
        Span<byte> rest = output.GetSpan(length + framing);
        if (chunked)
            rest = ChunkFraming.WriteHead(rest, length);
        rest = Put(rest, Connect);
        rest = Put(rest, id.Value);
        rest = Put(rest, Cid);
        rest = Put(rest, cid.Value);
        rest = Put(rest, Token);
        rest = Put(rest, token.Value);
        rest = Put(rest, Close);
        rest = Put(rest, End);
        if (chunked)
            Put(rest, ChunkFraming.ChunkEnd);
        output.Advance(length + framing);
    }

    /// <summary>Tells the owner of channel <paramref name="id"/> that peer <paramref name="cid"/> came.</summary>
    public static void WriteJoin(IBufferWriter<byte> output, ChannelId id, PeerId cid) => WritePresence(output, Join, id, cid);

    /// <summary>Tells the owner of channel <paramref name="id"/> that peer <paramref name="cid"/> went.</summary>
    public static void WriteLeave(IBufferWriter<byte> output, ChannelId id, PeerId cid) => WritePresence(output, Leave, id, cid);

    /// <summary>
    /// Begins a message's event in the empty <paramref name="frame"/>. The caller writes the data next: compact JSON, without CR or LF.
    /// </summary>
    public static void BeginSignal(SharedFrame frame)
    {
        frame.ReserveHeadroom(ChunkFraming.MaxHeadLength);
        frame.Append(Signal);
    }

    /// <summary>Ends a message's event, and the chunk, whose size is known only now.</summary>
    public static void EndSignal(SharedFrame frame)
    {
        frame.Append(End);
        int size = frame.Length;
        ChunkFraming.WriteHead(frame.Prepend(ChunkFraming.HeadLength(size)), size);
        frame.Append(ChunkFraming.ChunkEnd);
    }

    private static void WritePresence(IBufferWriter<byte> output, ReadOnlySpan<byte> head, ChannelId id, PeerId cid)
    {
        int length = head.Length + Cid.Length + 2 * HexId.Length + Close.Length + End.Length;
        int framing = ChunkFraming.HeadLength(length) + ChunkFraming.ChunkEnd.Length;
        Span<byte> rest = ChunkFraming.WriteHead(output.GetSpan(length + framing), length);
        rest = Put(rest, head);
        rest = Put(rest, id.Value);
        rest = Put(rest, Cid);
        rest = Put(rest, cid.Value);
        rest = Put(rest, Close);
        rest = Put(rest, End);
        Put(rest, ChunkFraming.ChunkEnd);
        output.Advance(length + framing);
    }

    private static Span<byte> Put(Span<byte> rest, ReadOnlySpan<byte> text)
    {
        text.CopyTo(rest);
        return rest[text.Length..];
    }

    private static Span<byte> Put(Span<byte> rest, HexId id)
    {
        id.Format(rest);
        return rest[HexId.Length..];
    }
}
