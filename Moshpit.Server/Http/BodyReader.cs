using System.Buffers;

namespace Moshpit.Server.Http;

/// <summary>
/// Reads one body, by its length or in chunks, up to a limit. A body that came in one piece
/// is not copied. Pooled; <see cref="Begin"/> before each body, <see cref="Release"/> after it.
/// </summary>
internal sealed class BodyReader(RequestLimits limits)
{
    /// <summary>Room for a body whose length is not known. It grows with what comes, so that memory has to be earned by sending.</summary>
    private const int FirstBuffer = 4 * 1024;

    private BodyKind _kind;
    private int _length;
    private ChunkedDecoder _chunks;
    private byte[]? _buffer;
    private int _written;

    /// <summary>The body is not just empty.</summary>
    public bool NeedsBytes => _kind == BodyKind.Chunked || _length > 0;

    /// <summary>Null, or why the body is refused before it has come: it is announced to be too long.</summary>
    public Rejection? Begin(HttpRequest request)
    {
        if (request.Body == BodyKind.Length && request.ContentLength > limits.MaxBody)
            return limits.BodyTooLarge;
        _kind = request.Body;
        _length = _kind == BodyKind.Length ? (int)request.ContentLength : _kind == BodyKind.Chunked ? limits.MaxBody : 0;
        _chunks = default;
        _written = 0;
        return null;
    }

    /// <summary>
    /// Done: <paramref name="body"/> is all of it, valid until <see cref="Release"/> and until the reader's memory is given back.
    /// </summary>
    public ParseOutcome Read(ref SequenceReader<byte> reader, out ReadOnlyMemory<byte> body, out Rejection? rejection)
    {
        body = default;
        rejection = null;
        return _kind switch
        {
            BodyKind.Length => ReadLength(ref reader, out body),
            BodyKind.Chunked => ReadChunks(ref reader, out body, out rejection),
            _ => ParseOutcome.Done,
        };
    }

    /// <summary>Gives back what the body needed, however far it has come.</summary>
    public void Release()
    {
        if (Interlocked.Exchange(ref _buffer, null) is { } buffer)
            ArrayPool<byte>.Shared.Return(buffer);
    }

    private ParseOutcome ReadLength(ref SequenceReader<byte> reader, out ReadOnlyMemory<byte> body)
    {
        body = default;
        if (reader.Remaining < _length)
            return ParseOutcome.NeedMore;
        if (reader.UnreadSpan.Length >= _length)
        {
            body = reader.UnreadSequence.First[.._length];
        }
        else
        {
            _buffer = ArrayPool<byte>.Shared.Rent(_length);
            reader.TryCopyTo(_buffer.AsSpan(0, _length));
            body = _buffer.AsMemory(0, _length);
        }

        reader.Advance(_length);
        return ParseOutcome.Done;
    }

    private ParseOutcome ReadChunks(ref SequenceReader<byte> reader, out ReadOnlyMemory<byte> body, out Rejection? rejection)
    {
        _buffer ??= ArrayPool<byte>.Shared.Rent(Math.Min(_length, FirstBuffer));
        ParseOutcome outcome;
        while (true)
        {
            Span<byte> room = _buffer.AsSpan(0, Math.Min(_buffer.Length, _length));
            outcome = _chunks.Decode(ref reader, room, ref _written, limits.BodyTooLarge, out rejection, _length);
            if (outcome != ParseOutcome.NeedMore || _written < room.Length || room.Length == _length)
                break;
            Grow();
        }

        body = _buffer.AsMemory(0, _written);
        return outcome;
    }

    private void Grow()
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Min(_length, _buffer!.Length * 2));
        _buffer.AsSpan(0, _written).CopyTo(larger);
        Release();
        _buffer = larger;
    }
}
