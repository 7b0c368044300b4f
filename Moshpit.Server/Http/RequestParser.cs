using System.Buffers;

namespace Moshpit.Server.Http;

/// <summary>
/// HTTP-message = start-line CRLF *( field-line CRLF ) CRLF (RFC 9112 section 2.1), of which this reads all up to the body. One per
/// connection, pooled; <see cref="Reset"/> before each request.
/// </summary>
internal sealed class RequestParser(RequestLimits limits)
{
    /// <summary>Empty lines that may stand before a request.</summary>
    private const int MaxEmptyLines = 8;

    private State _state;
    private int _emptyLines;
    private LineScanner _lines;
    private RequestFields _fields;
    private int _fieldCount;
    private int _fieldBytes;

    private enum State : byte
    {
        EmptyLine,
        RequestLine,
        FieldLines,
        Done,
        Rejected,
    }

    /// <summary>Why the request was refused.</summary>
    public Rejection? Rejection { get; private set; }

    /// <summary>
    /// A byte of a request-line was seen; until then the connection is merely idle. Empty lines ahead of it don't count.
    /// </summary>
    public bool HasStarted { get; private set; }

    /// <summary>Consumes whole lines; on <see cref="ParseOutcome.Done"/> the reader stands at the first byte of the body.</summary>
    public ParseOutcome Parse(ref SequenceReader<byte> reader, HttpRequest request)
    {
        ParseOutcome outcome;
        do
        {
            outcome = _state switch
            {
                State.EmptyLine => SkipEmptyLine(ref reader),
                State.RequestLine => ReadRequestLine(ref reader, request),
                State.FieldLines => ReadFieldLine(ref reader, request),
                State.Done => ParseOutcome.Done,
                _ => ParseOutcome.Rejected,
            };
        }
        while (outcome == ParseOutcome.Done && _state != State.Done);
        return outcome;
    }

    public void Reset()
    {
        _state = default;
        _emptyLines = 0;
        _lines = default;
        _fields = default;
        _fieldCount = 0;
        _fieldBytes = 0;
        Rejection = null;
        HasStarted = false;
    }

    // RFC 9112 section 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line (CRLF)
    // received prior to the request-line". Some clients end a body with more than one. Past the limit, an empty line is a malformed
    // request-line.
    private ParseOutcome SkipEmptyLine(ref SequenceReader<byte> reader)
    {
        if (!reader.TryPeek(out byte first))
            return ParseOutcome.NeedMore;
        if (first != '\r')
        {
            _state = State.RequestLine;
            return ParseOutcome.Done;
        }

        if (!reader.TryPeek(1, out byte second))
            return ParseOutcome.NeedMore;
        if (second != '\n')
            return Reject(Rejections.BareCarriageReturn);
        reader.Advance(2);
        if (++_emptyLines == MaxEmptyLines)
            _state = State.RequestLine;
        return ParseOutcome.Done;
    }

    private ParseOutcome ReadRequestLine(ref SequenceReader<byte> reader, HttpRequest request)
    {
        HasStarted |= !reader.End;
        ParseOutcome outcome = _lines.TryRead(
            ref reader, limits.MaxRequestLine, limits.TargetTooLong, out ReadOnlySequence<byte> sequence, out Rejection? rejection);
        if (outcome == ParseOutcome.NeedMore)
            return outcome;
        if (rejection == limits.TargetTooLong && !HasMethod(ref reader))
            return Reject(Rejections.MalformedRequestLine);
        if (rejection is not null)
            return Reject(rejection);
        using Line line = new(sequence);
        rejection = RequestLine.Read(line.Bytes, request);
        if (rejection is not null)
            return Reject(rejection);
        _state = State.FieldLines;
        return ParseOutcome.Done;
    }

    // What is too long is taken to be the target, unless there is none: no method fills a line. A version that does is not told apart.
    private bool HasMethod(ref SequenceReader<byte> reader) =>
        reader.TryReadTo(out ReadOnlySequence<byte> method, (byte)' ') && method.Length <= limits.MaxRequestLine;

    private ParseOutcome ReadFieldLine(ref SequenceReader<byte> reader, HttpRequest request)
    {
        int limit = Math.Max(0, limits.MaxHeaderSection - _fieldBytes - 2);
        ParseOutcome outcome = _lines.TryRead(
            ref reader, limit, limits.HeaderSectionTooLarge, out ReadOnlySequence<byte> sequence, out Rejection? rejection);
        if (outcome == ParseOutcome.NeedMore)
            return outcome;
        if (rejection is not null)
            return Reject(rejection);
        using Line line = new(sequence);
        if (line.Bytes.IsEmpty)
        {
            rejection = _fields.Complete(request);
            _state = State.Done;
        }
        else
        {
            _fieldBytes += line.Bytes.Length + 2;
            rejection = ++_fieldCount > limits.MaxHeaderFields
                ? limits.TooManyFields
                : FieldLine.Read(line.Bytes, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
                    ?? _fields.Add(name, value, request);
        }

        return rejection is null ? ParseOutcome.Done : Reject(rejection);
    }

    private ParseOutcome Reject(Rejection rejection)
    {
        _state = State.Rejected;
        Rejection = rejection;
        return ParseOutcome.Rejected;
    }
}
