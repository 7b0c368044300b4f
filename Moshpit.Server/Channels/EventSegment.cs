using System.Buffers;
using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>
/// A stretch of an <see cref="EventChain"/>, written by the holder of the channel's lock. A thread that holds a segment at or above the
/// log's floor may read from it, and from those that follow it, without the lock, up to an end that the log had told before.
/// </summary>
internal sealed class EventSegment
{
    private const int FewEntries = 16;

    private SharedFrame? _frame;
    private EventEntry[] _entries = [];
    private int _count;
    private long _end;
    private EventSegment? _next;

    /// <summary>Where the last event ends. A compact segment has fewer bytes than offsets: news was left out.</summary>
    private int BytesEnd => IsCompact ? _frame!.Length : (int)(_end - Start);

    /// <summary>The segment holds one long event, which it shares.</summary>
    private bool _isShared;

    /// <summary>Its bytes and entries lie in arrays of their length, which are of no pool.</summary>
    public bool IsCompact { get; private set; }

    /// <summary>The offset of its first byte.</summary>
    public long Start { get; private set; }

    /// <summary>The offset after its last byte.</summary>
    public long End => Volatile.Read(ref _end);

    /// <summary>The segment that begins where this one ends.</summary>
    public EventSegment? Next
    {
        get => Volatile.Read(ref _next);
        set => Volatile.Write(ref _next, value);
    }

    /// <summary>The events in it. For the holder of the channel's lock.</summary>
    public ReadOnlySpan<EventEntry> Entries => _entries.AsSpan(0, _count);

    /// <summary>
    /// Bytes that only the entry at <paramref name="index"/> keeps: those of its event, but of an event with several entries the last one
    /// alone has them. For the holder of the channel's lock.
    /// </summary>
    public int LengthOf(int index) => (index + 1 < _count ? _entries[index + 1].Start : BytesEnd) - _entries[index].Start;

    /// <summary>
    /// Where the event of the entry at <paramref name="index"/> stands: bytes of a frame that stays the segment's. As above.
    /// </summary>
    public (SharedFrame Frame, Range Bytes) EventAt(int index) => (_frame!, _entries[index].Start..EndOf(ref index));

    public bool HasRoom(int length) => !_isShared && _frame!.Room >= length;

    /// <summary>Makes it an empty segment from <paramref name="start"/> on.</summary>
    /// <param name="copies">Takes copies of events, and is the segment's from here on; null: the first event is to be shared, and stays
    /// alone.</param>
    /// <param name="start">The offset of its first byte.</param>
    public void Begin(SharedFrame? copies, long start)
    {
        try
        {
            _entries = ArrayPool<EventEntry>.Shared.Rent(FewEntries);
        }
        catch
        {
            copies?.Release();
            throw;
        }

        _frame = copies;
        _isShared = copies is null;
        Start = start;
        Volatile.Write(ref _end, start);
    }

    /// <summary>Adds an event that there is room for, with an entry for each audience. If that fails, nothing has happened.</summary>
    public void Add(SharedFrame frame, long sequence, ReadOnlySpan<Audience> audiences)
    {
        if (_count + audiences.Length > _entries.Length)
            Grow(_count + audiences.Length);
        if (_frame is null)
        {
            frame.AddReference();
            _frame = frame;
        }
        else
        {
            _frame.Append(frame.Span);
        }

        foreach (Audience audience in audiences)
            _entries[_count++] = new EventEntry(sequence, (int)(_end - Start), audience);
        Volatile.Write(ref _end, _end + frame.Length);
    }

    /// <summary>
    /// A compact segment with the messages in <paramref name="first"/>, from its entry at <paramref name="index"/> on, to
    /// <paramref name="last"/>; null if there is none. These stay as they are.
    /// </summary>
    public static EventSegment? Join(EventSegment first, int index, EventSegment last, FramePool frames)
    {
        int count = 0, length = 0;
        int begin = index;
        for (EventSegment? segment = first; segment != last.Next; segment = segment.Next, begin = 0)
        {
            for (int i = begin; i < segment!._count; i++)
            {
                count += segment._entries[i].Audience.IsNews ? 0 : 1;
                length += segment._entries[i].Audience.IsNews ? 0 : segment.LengthOf(i);
            }
        }

        if (count == 0)
            return null;
        var joined = new EventSegment { Start = first.Start, _end = last._end, Next = last.Next, IsCompact = true };
        joined._entries = new EventEntry[count];
        joined._frame = frames.RentExact(length);
        begin = index;
        for (EventSegment? segment = first; segment != last.Next; segment = segment.Next, begin = 0)
        {
            for (int i = begin; i < segment!._count; i++)
                joined.Take(segment, i);
        }

        return joined;
    }

    /// <summary>Gives everything back.</summary>
    public void Free()
    {
        _frame!.Release();
        if (!IsCompact)
            ArrayPool<EventEntry>.Shared.Return(_entries);
        IsCompact = false;
        _frame = null;
        _entries = [];
        _count = 0;
        Next = null;
    }

    /// <summary>
    /// Where the next batch for a reader at <paramref name="offset"/> in this segment ends: at <paramref name="end"/>, or, if that is more
    /// than <paramref name="most"/> bytes away, at the last end of a segment within <paramref name="most"/>, or after one longer segment.
    /// </summary>
    public long StepFrom(long offset, long end, int most)
    {
        if (end - offset <= most)
            return end;
        long step = End;
        for (EventSegment? segment = Next; segment is not null && segment.End - offset <= most; segment = segment.Next)
            step = segment.End;
        return step;
    }

    /// <summary>
    /// True: <paramref name="from"/> to <paramref name="to"/> lie together in <paramref name="frame"/>, which stays the log's.
    /// </summary>
    public bool TryRead(long from, long to, out SharedFrame frame, out Range bytes)
    {
        EventSegment segment = this;
        while (segment.End <= from)
            segment = segment.Next!;
        frame = segment._frame!;
        bytes = (int)(from - segment.Start)..(int)(to - segment.Start);
        return to <= segment.End;
    }

    /// <summary>
    /// Appends what stands from <paramref name="from"/> to <paramref name="to"/> to <paramref name="copy"/>, as the chunks that they are or
    /// without.
    /// </summary>
    public void CopyTo(SharedFrame copy, long from, long to, bool isChunked)
    {
        for (EventSegment? segment = this; segment is not null && segment.Start < to; segment = segment.Next)
        {
            int first = (int)Math.Max(0, from - segment.Start);
            int last = (int)(Math.Min(to, segment.End) - segment.Start);
            if (first >= last)
                continue;
            ReadOnlySpan<byte> bytes = segment._frame!.Span[first..last];
            if (isChunked)
                copy.Append(bytes);
            else
                ChunkFraming.AppendEvents(bytes, copy);
        }
    }

    /// <summary>
    /// As <see cref="CopyTo"/>, but only the events that <paramref name="reader"/> is to get. For the holder of the channel's lock.
    /// </summary>
    /// <returns>The number of the last of these events; 0: there is none.</returns>
    public long CopyFor(Reader reader, SharedFrame copy, long from, long to, bool isChunked)
    {
        long lastCopied = 0;
        for (EventSegment? segment = this; segment is not null && segment.Start < to; segment = segment.Next)
        {
            int first = (int)Math.Max(0, from - segment.Start);
            int last = (int)(Math.Min(to, segment.End) - segment.Start);
            for (int index = segment.IndexFrom(first); index < segment._count && segment._entries[index].Start < last; index++)
            {
                bool isFor = segment.Includes(reader, index);
                int start = segment._entries[index].Start;
                ReadOnlySpan<byte> bytes = segment._frame!.Span[start..segment.EndOf(ref index)];
                if (!isFor)
                    continue;
                lastCopied = segment._entries[index].Sequence;
                if (isChunked)
                    copy.Append(bytes);
                else
                    ChunkFraming.AppendEvents(bytes, copy);
            }
        }

        return lastCopied;
    }

    /// <summary>Whether the event whose first entry is at <paramref name="index"/> is for <paramref name="reader"/>.</summary>
    private bool Includes(Reader reader, int index)
    {
        int start = _entries[index].Start;
        for (; index < _count && _entries[index].Start == start; index++)
        {
            if (_entries[index].Audience.Includes(reader))
                return true;
        }

        return false;
    }

    /// <summary>Where the event of the entry at <paramref name="index"/> ends; the index becomes that of its last entry.</summary>
    private int EndOf(ref int index)
    {
        int start = _entries[index].Start;
        while (index + 1 < _count && _entries[index + 1].Start == start)
            index++;
        return start + LengthOf(index);
    }

    /// <summary>The first entry of an event that begins at or after <paramref name="start"/>.</summary>
    private int IndexFrom(int start)
    {
        int low = 0, high = _count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_entries[middle].Start < start)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    /// <summary>Copies the entry at <paramref name="index"/>, and what it keeps, unless it is of news.</summary>
    private void Take(EventSegment segment, int index)
    {
        EventEntry entry = segment._entries[index];
        if (entry.Audience.IsNews)
            return;
        _entries[_count++] = entry with { Start = _frame!.Length };
        _frame.Append(segment._frame!.Span.Slice(entry.Start, segment.LengthOf(index)));
    }

    private void Grow(int entries)
    {
        EventEntry[] larger = ArrayPool<EventEntry>.Shared.Rent(Math.Max(entries, 2 * _entries.Length));
        Entries.CopyTo(larger);
        ArrayPool<EventEntry>.Shared.Return(_entries);
        _entries = larger;
    }
}

/// <summary>Where an event stands in a log, and which peers get it.</summary>
/// <param name="Sequence">Its number.</param>
/// <param name="Start">Where it begins in its segment.</param>
/// <param name="Audience">Which peers get it. An event to several peers has an entry for each, one behind the other.</param>
internal readonly record struct EventEntry(long Sequence, int Start, Audience Audience)
{
    /// <summary>Bytes of an entry.</summary>
    public const int Size = sizeof(long) + 2 * sizeof(int);
}
