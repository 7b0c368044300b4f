using System.Buffers;

using Moshpit.Server.Buffers;

namespace Moshpit.Server.Sse;

/// <summary>
/// Writes events in the wire form of PROTOCOL.md: <c>event</c>, then <c>data</c>, then an empty line.
/// The original client wants this order, <c>": "</c> after each name, and JSON in every field but the first.
/// </summary>
internal static class EventWriter
{
    /// <summary>A comment, which every client skips: proof that the stream is alive.</summary>
    public static ReadOnlySpan<byte> Heartbeat => ":\n\n"u8;

    private static ReadOnlySpan<byte> Connect => "event: connect\ndata: {\"id\":\""u8;

    private static ReadOnlySpan<byte> Join => "event: join\ndata: {\"id\":\""u8;

    private static ReadOnlySpan<byte> Leave => "event: leave\ndata: {\"id\":\""u8;

    private static ReadOnlySpan<byte> Signal => "event: signal\ndata: "u8;

    private static ReadOnlySpan<byte> Cid => "\",\"cid\":\""u8;

    private static ReadOnlySpan<byte> Token => "\",\"token\":\""u8;

    private static ReadOnlySpan<byte> Close => "\"}"u8;

    // Ends the data line and the event. Any field to follow data belongs between these two line feeds.
    private static ReadOnlySpan<byte> End => "\n\n"u8;

    /// <summary>A peer's first event: the channel, and who the peer is there.</summary>
    public static void WriteConnect(IBufferWriter<byte> output, UInt128 id, UInt128 cid, UInt128 token)
    {
        int length = Connect.Length + Cid.Length + Token.Length + 3 * HexId.Length + Close.Length + End.Length;
        Span<byte> rest = output.GetSpan(length);
        rest = Put(rest, Connect);
        rest = Put(rest, id);
        rest = Put(rest, Cid);
        rest = Put(rest, cid);
        rest = Put(rest, Token);
        rest = Put(rest, token);
        rest = Put(rest, Close);
        Put(rest, End);
        output.Advance(length);
    }

    /// <summary>Tells the owner of channel <paramref name="id"/> that peer <paramref name="cid"/> came.</summary>
    public static void WriteJoin(IBufferWriter<byte> output, UInt128 id, UInt128 cid) => WritePresence(output, Join, id, cid);

    /// <summary>Tells the owner of channel <paramref name="id"/> that peer <paramref name="cid"/> went.</summary>
    public static void WriteLeave(IBufferWriter<byte> output, UInt128 id, UInt128 cid) => WritePresence(output, Leave, id, cid);

    /// <summary>What stands before a message's data, which the caller writes next: compact JSON, without CR or LF.</summary>
    public static void BeginSignal(IBufferWriter<byte> output) => output.Write(Signal);

    /// <summary>What stands after a message's data.</summary>
    public static void EndSignal(IBufferWriter<byte> output) => output.Write(End);

    private static void WritePresence(IBufferWriter<byte> output, ReadOnlySpan<byte> head, UInt128 id, UInt128 cid)
    {
        int length = head.Length + Cid.Length + 2 * HexId.Length + Close.Length + End.Length;
        Span<byte> rest = output.GetSpan(length);
        rest = Put(rest, head);
        rest = Put(rest, id);
        rest = Put(rest, Cid);
        rest = Put(rest, cid);
        rest = Put(rest, Close);
        Put(rest, End);
        output.Advance(length);
    }

    private static Span<byte> Put(Span<byte> rest, ReadOnlySpan<byte> text)
    {
        text.CopyTo(rest);
        return rest[text.Length..];
    }

    private static Span<byte> Put(Span<byte> rest, UInt128 id)
    {
        HexId.Format(id, rest);
        return rest[HexId.Length..];
    }
}
