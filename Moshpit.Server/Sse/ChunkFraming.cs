using System.Buffers;
using System.Numerics;

namespace Moshpit.Server.Sse;

/// <summary>
/// chunk = chunk-size CRLF chunk-data CRLF (RFC 9112 section 7.1). Each event is a chunk of its own: readers that fill a buffer before they
/// hand anything on hand on a whole chunk at once, and a missing <see cref="LastChunk"/> tells them that the stream was cut. The chunk is
/// encoded once for all peers, so joined events stay one run of bytes.
/// </summary>
internal static class ChunkFraming
{
    /// <summary>Bytes of the longest chunk-size, eight digits, and its CRLF.</summary>
    public const int MaxHeadLength = 10;

    private const int BitsPerDigit = 4;

    /// <summary>last-chunk and an empty trailer section: the stream ended in good order.</summary>
    public static ReadOnlySpan<byte> LastChunk => "0\r\n\r\n"u8;

    /// <summary>What stands after the data of a chunk.</summary>
    public static ReadOnlySpan<byte> ChunkEnd => "\r\n"u8;

    /// <summary>Bytes that <see cref="WriteHead"/> writes for a chunk of <paramref name="size"/> bytes, which is not empty.</summary>
    public static int HeadLength(int size) => BitOperations.Log2((uint)size) / BitsPerDigit + 1 + ChunkEnd.Length;

    /// <summary>Writes the chunk-size and its CRLF to the start of <paramref name="destination"/>.</summary>
    /// <returns>The rest of <paramref name="destination"/>.</returns>
    public static Span<byte> WriteHead(Span<byte> destination, int size)
    {
        int length = HeadLength(size);
        Span<byte> digits = destination[..(length - ChunkEnd.Length)];
        for (int i = digits.Length - 1; i >= 0; i--, size >>= BitsPerDigit)
            digits[i] = "0123456789abcdef"u8[size & 0xF];
        ChunkEnd.CopyTo(destination[digits.Length..]);
        return destination[length..];
    }

    /// <summary>
    /// Where the event stands in <paramref name="chunk"/>, a single whole one: what a peer that does not know chunks (HTTP/1.0) gets.
    /// </summary>
    public static Range EventIn(ReadOnlySpan<byte> chunk) => (chunk.IndexOf((byte)'\n') + 1)..(chunk.Length - ChunkEnd.Length);

    /// <summary>
    /// Appends the events in <paramref name="chunks"/>, which are whole ones, to <paramref name="output"/> without their chunks.
    /// </summary>
    public static void AppendEvents(ReadOnlySpan<byte> chunks, IBufferWriter<byte> output)
    {
        while (!chunks.IsEmpty)
        {
            Range first = FirstEventIn(chunks);
            output.Write(chunks[first]);
            chunks = chunks[(first.End.Value + ChunkEnd.Length)..];
        }
    }

    /// <summary>Where the event stands in the first of <paramref name="chunks"/>, which are whole ones.</summary>
    public static Range FirstEventIn(ReadOnlySpan<byte> chunks)
    {
        int digits = chunks.IndexOf((byte)'\r');
        int size = 0;
        foreach (byte digit in chunks[..digits])
            size = (size << BitsPerDigit) | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
        int start = digits + ChunkEnd.Length;
        return start..(start + size);
    }
}
