using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>
/// The events of a channel, in their order: each has a sequence number, and broadcasts lie one behind the other as one run of bytes, which
/// readers at different offsets share. The run is kept in segments, into which events are copied, so that a peer that is behind gets many
/// of them at once without another copy. Segments end where an event ends. What every reader has had is below the floor, and segments below
/// it are given back.
/// </summary>
/// <remarks>
/// All members but <see cref="End"/> are for the holder of the channel's lock. A reader that knows the segment of an offset at or above the
/// floor reads on from there without a lock (<see cref="EventSegment"/>): bytes below <see cref="End"/> never change.
/// </remarks>
internal sealed class EventLog(FramePool frames)
{
    /// <summary>Bytes of a segment that holds many events.</summary>
    public const int SegmentLength = 64 * 1024;

    /// <summary>Events longer than this are not worth copying; each is a segment of its own.</summary>
    private const int LongestCopied = SegmentLength / 4;

    private EventSegment? _first;
    private EventSegment? _last;

    /// <summary>A segment's object for the next time: a quiet channel takes up and gives back one for each event.</summary>
    private EventSegment? _spare;
    private long _end;

    /// <summary>The sequence number of the last event in segments that were given back.</summary>
    private long _dropped;

    /// <summary>The offset after the last byte. May be read at any time.</summary>
    public long End => Volatile.Read(ref _end);

    /// <summary>Every reader has had what stands before this offset.</summary>
    public long Floor { get; private set; }

    /// <summary>The sequence number of the newest event.</summary>
    public long Sequence { get; private set; }

    /// <summary>
    /// Gives an event a number that is in the log with no bytes: it goes to one peer, right behind what the log holds now.
    /// </summary>
    public long TakeNumber() => ++Sequence;

    /// <summary>
    /// Appends <paramref name="frame"/>, one event, which stays the caller's: the log holds a reference of its own, or a copy.
    /// </summary>
    /// <param name="frame">The event, encoded.</param>
    /// <param name="sender">The number of the peer that sent it.</param>
    /// <returns>Its sequence number.</returns>
    public long Append(SharedFrame frame, int sender)
    {
        // Whatever may fail comes first: if it does, nothing has happened.
        EventSegment segment = _last is { } last && last.HasRoom(frame.Length) ? last : AddSegment(frame);
        segment.Add(frame, new EventEntry(Sequence + 1, _end, sender));
        Volatile.Write(ref _end, _end + frame.Length);
        return ++Sequence;
    }

    /// <summary>The segment in which <paramref name="offset"/> lies, from the floor on; null at the end.</summary>
    public EventSegment? Find(long offset)
    {
        EventSegment? segment = _first;
        while (segment is not null && segment.End <= offset)
            segment = segment.Next;
        return segment;
    }

    /// <summary>
    /// Finds where to go on after the event with the number <paramref name="sequence"/>. False: something after it is there no more.
    /// </summary>
    public bool TryFindAfter(long sequence, out long offset)
    {
        offset = _end;
        if (sequence < _dropped || sequence > Sequence)
            return false;
        for (EventSegment? segment = _first; segment is not null && offset == _end; segment = segment.Next)
        {
            foreach (EventEntry entry in segment.Entries)
            {
                if (entry.Sequence <= sequence)
                    continue;
                offset = entry.Offset;
                break;
            }
        }

        return offset >= Floor;
    }

    /// <summary>Gives back what stands before <paramref name="floor"/>.</summary>
    public void Trim(long floor)
    {
        Floor = floor;
        while (_first is { } segment && segment.End <= floor)
        {
            _first = segment.Next;
            if (_first is null)
                _last = null;
            _dropped = segment.Entries[^1].Sequence;
            segment.Free();
            _spare = segment;
        }
    }

    /// <summary>Adds a segment for <paramref name="frame"/> and what follows it, or for a long one alone.</summary>
    private EventSegment AddSegment(SharedFrame frame)
    {
        EventSegment segment = _spare ?? new EventSegment();
        segment.Begin(frame.Length > LongestCopied ? null : frames.Rent(SegmentLength), _end);
        _spare = null;
        if (_last is null)
            _first = segment;
        else
            _last.Next = segment;
        return _last = segment;
    }
}
