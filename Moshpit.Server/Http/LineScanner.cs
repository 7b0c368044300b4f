using System.Buffers;

namespace Moshpit.Server.Http;

/// <summary>
/// Takes one line at a time off a head, a chunk or a trailer section. Only CRLF ends a line: RFC 9112 section 2.2 would let a recipient
/// take a bare LF as well, and every difference in where two servers see a line end is a way to smuggle a request past one of them.
/// What was examined without finding an end is remembered, so that a line which arrives byte by byte is not searched over and over.
/// </summary>
internal struct LineScanner
{
    // All CTLs but HTAB. The first of them is the CR that ends the line, or an offence (RFC 9110 section 5.5).
    private static readonly SearchValues<byte> Controls = SearchValues.Create(
    [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127,
    ]);

    private int _examined;

    /// <summary>
    /// Consumes a whole line with its CRLF, or nothing. <paramref name="line"/> is without CRLF, free of control characters other than
    /// HTAB, and valid as long as the reader's buffer. A line longer than <paramref name="limit"/> is refused as <paramref name="tooLong"/>
    /// as soon as that much of it is there; a control character as soon as it is seen.
    /// </summary>
    public ParseOutcome TryRead(
        ref SequenceReader<byte> reader, int limit, Rejection tooLong, out ReadOnlySequence<byte> line, out Rejection? rejection)
    {
        line = default;
        rejection = null;
        SequenceReader<byte> ahead = reader;
        ahead.Advance(_examined);
        while (!ahead.End)
        {
            // One byte past the limit may be looked at: the CR of a line that is exactly as long as allowed.
            ReadOnlySpan<byte> span = ahead.UnreadSpan;
            long room = limit + 1L - _examined;
            int found = span[..(int)Math.Min(span.Length, room)].IndexOfAny(Controls);
            if (found < 0)
            {
                if (span.Length >= room)
                    return Reject(tooLong, out rejection);
                _examined += span.Length;
                ahead.Advance(span.Length);
                continue;
            }

            _examined += found;
            ahead.Advance(found);
            if (span[found] != '\r')
                return Reject(span[found] == '\n' ? Rejections.BareLineFeed : Rejections.ControlCharacter, out rejection);
            if (!ahead.TryPeek(1, out byte next))
                return ParseOutcome.NeedMore;
            if (next != '\n')
                return Reject(Rejections.BareCarriageReturn, out rejection);
            line = reader.Sequence.Slice(reader.Position, _examined);
            reader.Advance(_examined + 2);
            _examined = 0;
            return ParseOutcome.Done;
        }

        return ParseOutcome.NeedMore;
    }

    private static ParseOutcome Reject(Rejection reason, out Rejection? rejection)
    {
        rejection = reason;
        return ParseOutcome.Rejected;
    }
}
