using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>
/// Frames one behind the other, as one run of bytes that readers at different positions share. It is kept in segments, into which frames are
/// copied, so that a peer that is behind gets many at once without another copy. Segments end where a frame ends. Not safe for use by several
/// threads at once.
/// </summary>
internal sealed class BroadcastLog(FramePool frames)
{
    /// <summary>Bytes of a segment that holds many frames.</summary>
    public const int SegmentLength = 64 * 1024;

    /// <summary>Frames longer than this are not worth copying; each is a segment of its own.</summary>
    private const int LongestCopied = SegmentLength / 4;

    private readonly Queue<SharedFrame> _segments = new();

    /// <summary>The last segment, where it has room for more.</summary>
    private SharedFrame? _open;
    private long _start;
    private long _end;

    /// <summary>The position after the last byte. May be read at any time.</summary>
    public long End => Volatile.Read(ref _end);

    /// <summary>
    /// Appends <paramref name="bytes"/> of <paramref name="frame"/>, which stays the caller's: the log holds a reference of its own, or a copy.
    /// </summary>
    public void Append(SharedFrame frame, Range bytes)
    {
        ReadOnlySpan<byte> span = frame.Span[bytes];
        if (span.Length > LongestCopied && span.Length == frame.Length)
        {
            frame.AddReference();
            _segments.Enqueue(frame);
            _open = null;
        }
        else
        {
            if (_open is null || _open.Room < span.Length)
                _segments.Enqueue(_open = frames.Rent(Math.Max(SegmentLength, span.Length)));
            _open.Append(span);
        }

        Volatile.Write(ref _end, _end + span.Length);
    }

    /// <summary>
    /// Where the next batch for a reader at <paramref name="position"/> ends: at the end of the log, or, if that is more than
    /// <paramref name="most"/> bytes away, at the last segment boundary within <paramref name="most"/>, or after one longer segment.
    /// </summary>
    public long StepFrom(long position, int most)
    {
        if (_end - position <= most)
            return _end;
        long end = _start;
        foreach (SharedFrame segment in _segments)
        {
            if (end > position && end + segment.Length - position > most)
                break;
            end += segment.Length;
        }

        return end;
    }

    /// <summary>
    /// The bytes from <paramref name="from"/> to <paramref name="to"/>, followed by <paramref name="more"/>: where in the frame that is
    /// returned, and that the caller has to release, they stand. They are copied only where they do not lie together.
    /// </summary>
    public SharedFrame Read(long from, long to, ReadOnlySpan<byte> more, out Range where)
    {
        SharedFrame? joined = null;
        long start = _start;
        foreach (SharedFrame segment in _segments)
        {
            long end = start + segment.Length;
            if (end > from)
            {
                int first = (int)Math.Max(0, from - start);
                int last = (int)(Math.Min(to, end) - start);
                if (joined is null && to <= end && more.IsEmpty)
                {
                    segment.AddReference();
                    where = first..last;
                    return segment;
                }

                joined ??= frames.Rent((int)(to - from) + more.Length);
                joined.Append(segment.Span[first..last]);
                if (to <= end)
                    break;
            }

            start = end;
        }

        joined!.Append(more);
        where = 0..joined.Length;
        return joined;
    }

    /// <summary>Forgets what stands before <paramref name="position"/>: no reader needs it any more.</summary>
    public void Trim(long position)
    {
        while (_segments.TryPeek(out SharedFrame? segment) && _start + segment.Length <= position)
        {
            _start += segment.Length;
            _segments.Dequeue().Release();
            if (segment == _open)
                _open = null;
        }
    }
}
