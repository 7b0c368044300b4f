using System.Buffers;

namespace Moshpit.Server.Http;

/// <summary>
/// chunked-body = *chunk last-chunk trailer-section CRLF; chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF (RFC 9112 section 7.1).
/// Extensions and trailers are checked, counted and dropped: none is known here, and merging a trailer into the header is a way to smuggle.
/// A default value is ready for a new body.
/// </summary>
internal struct ChunkedDecoder
{
    /// <summary>
    /// Bytes of all extensions and trailers of one body: they carry nothing, so a client must not make us read them without end
    /// (CVE-2023-39326).
    /// </summary>
    public const int MaxOverhead = 8 * 1024;

    // Leading zeros count, or they would be one more way to send without end.
    private const int MaxSizeDigits = 16;

    private State _state;
    private LineScanner _lines;
    private long _remaining;
    private int _overhead;

    private enum State : byte
    {
        Size,
        Data,
        DataEnd,
        Trailers,
        Done,
    }

    /// <summary>
    /// Decodes what is there, appending to <paramref name="destination"/> at <paramref name="written"/>. A chunk that announces more than
    /// fits within <paramref name="limit"/> is refused as <paramref name="tooLarge"/> before its data is looked at. Where the limit is
    /// beyond the destination, the decoder asks for more when that is full: for a longer one, with what was written. After a rejection the
    /// decoder is spent.
    /// </summary>
    public ParseOutcome Decode(
        ref SequenceReader<byte> input, Span<byte> destination, ref int written, Rejection tooLarge, out Rejection? rejection,
        int? limit = null)
    {
        rejection = null;
        ParseOutcome outcome;
        do
        {
            outcome = _state switch
            {
                State.Size => ReadSizeLine(ref input, (limit ?? destination.Length) - written, tooLarge, out rejection),
                State.Data => CopyData(ref input, destination, ref written),
                State.DataEnd => ReadDataEnd(ref input, out rejection),
                State.Trailers => ReadTrailerLine(ref input, out rejection),
                _ => ParseOutcome.Done,
            };
        }
        while (outcome == ParseOutcome.Done && _state != State.Done);
        return outcome;
    }

    private ParseOutcome ReadSizeLine(ref SequenceReader<byte> input, int room, Rejection tooLarge, out Rejection? rejection)
    {
        int limit = MaxSizeDigits + MaxOverhead - _overhead;
        ParseOutcome outcome = _lines.TryRead(
            ref input, limit, Rejections.ChunkOverheadTooLarge, out ReadOnlySequence<byte> sequence, out rejection);
        if (outcome != ParseOutcome.Done)
            return outcome;
        using Line line = new(sequence);
        rejection = ReadSize(line.Bytes, out int digits, out ulong size) ?? CheckExtensions(line.Bytes[digits..]);
        if (rejection is null && size > (ulong)room)
            rejection = tooLarge;
        if (rejection is not null)
            return ParseOutcome.Rejected;
        _remaining = (long)size;
        _state = size == 0 ? State.Trailers : State.Data;
        return ParseOutcome.Done;
    }

    // chunk-size = 1*HEXDIG: "recipients MUST anticipate potentially large hexadecimal numerals and prevent parsing errors due to integer
    // conversion overflows". 16 digits are as many as fit.
    private static Rejection? ReadSize(ReadOnlySpan<byte> line, out int digits, out ulong size)
    {
        size = 0;
        for (digits = 0; digits < line.Length && char.IsAsciiHexDigit((char)line[digits]); digits++)
        {
            if (digits == MaxSizeDigits)
                return Rejections.MalformedChunkSize;
            int digit = line[digits] <= '9' ? line[digits] - '0' : (line[digits] | 0x20) - 'a' + 10;
            size = size << 4 | (uint)digit;
        }

        bool followed = digits == line.Length || line[digits] == ';';
        return digits > 0 && followed ? null : Rejections.MalformedChunkSize;
    }

    // chunk-ext = *( ";" chunk-ext-name [ "=" ( token / quoted-string ) ] ). The "bad whitespace" that section 7.1.1 allows around the
    // delimiters is refused: no client sends it in good faith, and parsers differ over it.
    private Rejection? CheckExtensions(ReadOnlySpan<byte> extensions)
    {
        _overhead += extensions.Length;
        if (_overhead > MaxOverhead)
            return Rejections.ChunkOverheadTooLarge;
        while (!extensions.IsEmpty)
        {
            extensions = extensions[1..];
            if (!Grammar.TryReadParameter(Grammar.Cut(ref extensions, (byte)';'), out _, out _))
                return Rejections.MalformedChunkExtension;
        }

        return null;
    }

    private ParseOutcome CopyData(ref SequenceReader<byte> input, Span<byte> destination, ref int written)
    {
        int count = (int)Math.Min(Math.Min(_remaining, input.Remaining), destination.Length - written);
        input.TryCopyTo(destination.Slice(written, count));
        input.Advance(count);
        written += count;
        _remaining -= count;
        if (_remaining > 0)
            return ParseOutcome.NeedMore;
        _state = State.DataEnd;
        return ParseOutcome.Done;
    }

    // Exactly CRLF: a decoder that skips two bytes here, or takes LF alone, can be led astray (CVE-2025-55315).
    private ParseOutcome ReadDataEnd(ref SequenceReader<byte> input, out Rejection? rejection)
    {
        rejection = null;
        if (!input.TryPeek(out byte first))
            return ParseOutcome.NeedMore;
        if (first == '\r' && !input.TryPeek(1, out _))
            return ParseOutcome.NeedMore;
        if (!input.IsNext("\r\n"u8, advancePast: true))
        {
            rejection = Rejections.ChunkNotEnded;
            return ParseOutcome.Rejected;
        }

        _state = State.Size;
        return ParseOutcome.Done;
    }

    private ParseOutcome ReadTrailerLine(ref SequenceReader<byte> input, out Rejection? rejection)
    {
        int limit = Math.Max(0, MaxOverhead - _overhead - 2);
        ParseOutcome outcome = _lines.TryRead(
            ref input, limit, Rejections.ChunkOverheadTooLarge, out ReadOnlySequence<byte> sequence, out rejection);
        if (outcome != ParseOutcome.Done)
            return outcome;
        using Line line = new(sequence);
        if (line.Bytes.IsEmpty)
        {
            _state = State.Done;
            return outcome;
        }

        _overhead += line.Bytes.Length + 2;
        rejection = FieldLine.Read(line.Bytes, out _, out _);
        return rejection is null ? outcome : ParseOutcome.Rejected;
    }
}
