using System.Buffers;
using System.Buffers.Text;

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

    // Room for a size of up to 1 MiB: a roster is the longest that a session's own events hold.
    private static ReadOnlySpan<byte> EmptyHead => "00000\r\n"u8;

    private static ReadOnlySpan<byte> Close => "\"}"u8;

    // Ends the data line and the event. Any field to follow data belongs between these two line feeds.
    private static ReadOnlySpan<byte> End => "\n\n"u8;

    /// <summary>
    /// A peer's first event: the channel, and the peer's cid and token. Without its chunk where <paramref name="chunked"/> is false.
    /// </summary>
    public static void WriteConnect(IBufferWriter<byte> output, ChannelId id, PeerId cid, Token token, bool chunked = true)
    {
        int length = Connect.Length + id.Length + Cid.Length + Token.Length + 2 * HexId.Length + Close.Length + End.Length;
        int framing = chunked ? ChunkFraming.HeadLength(length) + ChunkFraming.ChunkEnd.Length : 0;
        Span<byte> rest = output.GetSpan(length + framing);
        if (chunked)
            rest = ChunkFraming.WriteHead(rest, length);
        rest = Put(rest, Connect);
        rest = Put(rest, id);
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
        EndChunk(frame);
    }

    /// <summary>
    /// Gives the event in <paramref name="frame"/>, one whole chunk that no other holder knows yet, its <c>id</c>, and a message its
    /// <c>from</c> too. They stand after <c>data</c>, as fields of JSON values: the original client bears them there.
    /// </summary>
    /// <param name="frame">The event.</param>
    /// <param name="sequence">Its sequence number.</param>
    /// <param name="number">The number of the peer that sent it; 0: the server tells it.</param>
    /// <param name="from">That peer's cid.</param>
    public static void AddId(SharedFrame frame, long sequence, int number, PeerId from)
    {
        frame.RemoveLast(1 + ChunkFraming.ChunkEnd.Length);
        frame.RemoveFirst(frame.Span.IndexOf((byte)'\n') + 1);
        frame.Append("id: "u8);
        WriteNumber(frame, sequence);
        frame.Append("."u8);
        WriteNumber(frame, number);
        frame.Append("\n"u8);
        if (number != 0)
        {
            frame.Append("from: \""u8);
            WriteId(frame, from.Value);
            frame.Append("\"\n"u8);
        }

        frame.Append("\n"u8);
        EndChunk(frame);
    }

    /// <summary>
    /// Begins a session's first event. Its chunk, like that of the events below, is written where <paramref name="chunked"/> says so.
    /// </summary>
    /// <returns>What <see cref="EndConnect"/> needs. More members may be added before.</returns>
    public static int BeginConnect(SharedFrame output, ChannelId id, PeerId cid, Token token, in SessionConnect session, bool chunked)
    {
        int chunk = BeginChunk(output, chunked);
        output.Append(Connect);
        WriteId(output, id);
        output.Append(Cid);
        WriteId(output, cid.Value);
        output.Append(Token);
        WriteId(output, token.Value);
        output.Append(session.Resumed ? "\",\"resumed\":true"u8 : "\",\"resumed\":false"u8);
        WriteMember(output, ",\"n\":"u8, session.Number);
        WriteCid(output, ",\"owner\":"u8, session.Owner);
        WriteMember(output, ",\"count\":"u8, session.Count);
        WriteMember(output, ",\"grace\":"u8, session.Grace);
        WriteMember(output, ",\"heartbeat\":"u8, session.Heartbeat);
        WriteMember(output, ",\"stream\":"u8, session.Stream);
        WriteMember(output, ",\"seq\":"u8, session.Accepted);
        return chunk;
    }

    /// <summary>
    /// Ends a session's first event, with its id, and the milliseconds after which an EventSource comes back.
    /// </summary>
    public static void EndConnect(SharedFrame output, int chunk, long sequence, int retry, bool chunked)
    {
        WriteMember(output, "}\nid: "u8, sequence);
        WriteMember(output, ".0\nretry: "u8, retry);
        output.Append(End);
        EndChunk(output, chunk, chunked);
    }

    /// <summary>
    /// Tells a session that events of its own were lost, up to the one with the number <paramref name="sequence"/>;
    /// <paramref name="after"/> is the last one that it had, or negative where it is not known.
    /// </summary>
    public static void WriteGap(SharedFrame output, ChannelId id, long after, long sequence, bool chunked)
    {
        int chunk = BeginChunk(output, chunked);
        output.Append("event: gap\ndata: {\"id\":\""u8);
        WriteId(output, id);
        if (after < 0)
        {
            output.Append("\",\"after\":null,\"missed\":null"u8);
        }
        else
        {
            WriteMember(output, "\",\"after\":"u8, after);
            WriteMember(output, ",\"missed\":"u8, sequence - after);
        }

        WriteMember(output, "}\nid: "u8, sequence);
        output.Append(".0\n\n"u8);
        EndChunk(output, chunk, chunked);
    }

    /// <summary>The last event of a session's stream.</summary>
    /// <param name="output">Takes it.</param>
    /// <param name="reason">Why the stream ends.</param>
    /// <param name="written">The number of the last event on the stream.</param>
    /// <param name="retry">After how many milliseconds a client comes back that is to.</param>
    /// <param name="chunked">As for <c>connect</c>.</param>
    public static void WriteBye(SharedFrame output, ByeReason reason, long written, int retry, bool chunked)
    {
        int chunk = BeginChunk(output, chunked);
        output.Append(reason switch
        {
            ByeReason.Left => "event: bye\ndata: {\"reason\":\"left\",\"again\":false}\nid: -1"u8,
            ByeReason.Kicked => "event: bye\ndata: {\"reason\":\"kicked\",\"again\":false}\nid: -1"u8,
            ByeReason.Closed => "event: bye\ndata: {\"reason\":\"closed\",\"again\":false}\nid: -1"u8,
            ByeReason.Replaced => "event: bye\ndata: {\"reason\":\"replaced\",\"again\":false}\nid: -"u8,
            _ => "event: bye\ndata: {\"reason\":\"stopping\",\"again\":true}\nid: "u8,
        });
        if (reason is ByeReason.Replaced or ByeReason.Stopping)
        {
            WriteNumber(output, written);
            WriteMember(output, ".0\nretry: "u8, retry);
        }

        output.Append(End);
        EndChunk(output, chunk, chunked);
    }

    /// <summary>
    /// Begins the event <paramref name="name"/> with news of channel <paramref name="id"/> in the empty <paramref name="frame"/>. The
    /// caller adds members.
    /// </summary>
    public static void BeginNews(SharedFrame frame, ReadOnlySpan<byte> name, ChannelId id)
    {
        frame.ReserveHeadroom(ChunkFraming.MaxHeadLength);
        frame.Append("event: "u8);
        frame.Append(name);
        frame.Append("\ndata: {\"id\":\""u8);
        WriteId(frame, id);
        frame.Append("\""u8);
    }

    /// <summary>Ends news, which has the number <paramref name="sequence"/>.</summary>
    public static void EndNews(SharedFrame frame, long sequence)
    {
        WriteMember(frame, "}\nid: "u8, sequence);
        frame.Append(".0\n\n"u8);
        EndChunk(frame);
    }

    /// <summary>Adds the member <paramref name="name"/>, which ends with a colon, with a peer or <c>null</c>.</summary>
    public static void WriteCid(SharedFrame output, ReadOnlySpan<byte> name, PeerId? cid)
    {
        output.Append(name);
        if (cid is not { } peer)
        {
            output.Append("null"u8);
            return;
        }

        output.Append("\""u8);
        WriteId(output, peer.Value);
        output.Append("\""u8);
    }

    /// <summary>Adds the member <paramref name="name"/>, which ends with a colon.</summary>
    public static void WriteMember(SharedFrame output, ReadOnlySpan<byte> name, long value)
    {
        output.Append(name);
        WriteNumber(output, value);
    }

    private static void EndChunk(SharedFrame frame)
    {
        int size = frame.Length;
        ChunkFraming.WriteHead(frame.Prepend(ChunkFraming.HeadLength(size)), size);
        frame.Append(ChunkFraming.ChunkEnd);
    }

    /// <summary>Begins a chunk behind what <paramref name="output"/> holds, with room for its size.</summary>
    private static int BeginChunk(SharedFrame output, bool chunked)
    {
        if (!chunked)
            return 0;
        int start = output.Length;
        output.Append(EmptyHead);
        return start;
    }

    private static void EndChunk(SharedFrame output, int start, bool chunked)
    {
        if (!chunked)
            return;
        Span<byte> written = output.Written[start..];
        int size = written.Length - EmptyHead.Length;
        int head = ChunkFraming.HeadLength(size);

        // The size has no leading zeros: strict readers refuse them.
        written[EmptyHead.Length..].CopyTo(written[head..]);
        output.RemoveLast(EmptyHead.Length - head);
        ChunkFraming.WriteHead(written, size);
        output.Append(ChunkFraming.ChunkEnd);
    }

    private static void WriteNumber(SharedFrame output, long value)
    {
        Utf8Formatter.TryFormat(value, output.GetSpan(20), out int written);
        output.Advance(written);
    }

    private static void WriteId(SharedFrame output, ChannelId id)
    {
        id.Format(output.GetSpan(id.Length));
        output.Advance(id.Length);
    }

    /// <summary>Adds the digits of <paramref name="id"/>.</summary>
    public static void WriteId(SharedFrame output, HexId id)
    {
        id.Format(output.GetSpan(HexId.Length));
        output.Advance(HexId.Length);
    }

    private static void WritePresence(IBufferWriter<byte> output, ReadOnlySpan<byte> head, ChannelId id, PeerId cid)
    {
        int length = head.Length + id.Length + Cid.Length + HexId.Length + Close.Length + End.Length;
        int framing = ChunkFraming.HeadLength(length) + ChunkFraming.ChunkEnd.Length;
        Span<byte> rest = ChunkFraming.WriteHead(output.GetSpan(length + framing), length);
        rest = Put(rest, head);
        rest = Put(rest, id);
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

    private static Span<byte> Put(Span<byte> rest, ChannelId id)
    {
        id.Format(rest);
        return rest[id.Length..];
    }

    private static Span<byte> Put(Span<byte> rest, HexId id)
    {
        id.Format(rest);
        return rest[HexId.Length..];
    }
}

/// <summary>What a session's <c>connect</c> says beyond a plain stream's.</summary>
/// <param name="Resumed">The client goes on as the peer that it was; false: it is to forget what it knew.</param>
/// <param name="Number">The peer's place in the order of joining.</param>
/// <param name="Owner">The cid of the channel's owner; null: it has none just now.</param>
/// <param name="Count">Peers in the channel, those that are away too.</param>
/// <param name="Grace">Seconds for which a session peer may be away.</param>
/// <param name="Heartbeat">Seconds of silence after which a comment is sent; 0: none is.</param>
/// <param name="Stream">How many streams the session has had.</param>
/// <param name="Accepted">The highest number of its own that was accepted.</param>
internal readonly record struct SessionConnect(
    bool Resumed, int Number, PeerId? Owner, int Count, long Grace, long Heartbeat, int Stream, long Accepted);

/// <summary>Why a session's stream ends, as its client is told.</summary>
internal enum ByeReason : byte
{
    /// <summary>The session left.</summary>
    Left,

    /// <summary>The owner threw it out.</summary>
    Kicked,

    /// <summary>The channel ended.</summary>
    Closed,

    /// <summary>A newer stream has taken its place. The client comes back once, and hears that it is so.</summary>
    Replaced,

    /// <summary>The server stops. The client is to come back.</summary>
    Stopping,
}
