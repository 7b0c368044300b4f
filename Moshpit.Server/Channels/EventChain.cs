using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>
/// Events, one behind the other as one run of bytes, in segments into which they are copied. Segments end where an event ends. The oldest
/// events are dropped, one by one or up to an offset; a segment of which all events were dropped is given back.
/// </summary>
/// <remarks>
/// All members but <see cref="End"/> are for the holder of the channel's lock. A reader that knows the segment of an offset whose event was
/// not dropped reads on from there without a lock (<see cref="EventSegment"/>): bytes below <see cref="End"/> never change.
/// </remarks>
internal class EventChain(FramePool frames)
{
    /// <summary>Bytes of a segment that holds many events.</summary>
    public const int SegmentLength = 64 * 1024;

    /// <summary>Events longer than this are not worth copying; each is a segment of its own.</summary>
    private const int LongestCopied = SegmentLength / 4;

    private EventSegment? _last;

    /// <summary>A segment's object for the next time: a quiet channel takes up and gives back one for each event.</summary>
    private EventSegment? _spare;
    private long _end;

    /// <summary>Events of <see cref="First"/> that were dropped.</summary>
    private int _droppedOfFirst;

    /// <summary>Which peers got the newest broadcast that was dropped.</summary>
    private Audience _droppedFor;

    /// <summary>The newest dropped broadcast with another audience. A peer that did not get the newest one got this.</summary>
    private long _droppedForOthers;

    /// <summary>The offset after the last byte. May be read at any time.</summary>
    public long End => Volatile.Read(ref _end);

    /// <summary>The oldest segment; null: all events were dropped.</summary>
    public EventSegment? First { get; private set; }

    /// <summary>The sequence number of the newest broadcast that was dropped.</summary>
    public long DroppedForAll { get; private set; }

    /// <summary>
    /// Appends <paramref name="frame"/>, one event, which stays the caller's: the chain holds a reference of its own, or a copy.
    /// </summary>
    /// <param name="frame">The event, encoded.</param>
    /// <param name="sequence">Its number.</param>
    /// <param name="audiences">Which peers get it: one audience, or one for each of several peers.</param>
    /// <param name="segmentLength">Bytes of a new segment, if one is needed and the event is not longer.</param>
    public void Append(SharedFrame frame, long sequence, ReadOnlySpan<Audience> audiences, int segmentLength)
    {
        // Whatever may fail comes first: if it does, nothing has happened.
        EventSegment segment = _last is { } last && last.HasRoom(frame.Length) ? last : AddSegment(frame, segmentLength);
        segment.Add(frame, sequence, audiences);
        Volatile.Write(ref _end, _end + frame.Length);
    }

    /// <summary>The segment in which <paramref name="offset"/> lies; null at the end.</summary>
    public EventSegment? Find(long offset)
    {
        EventSegment? segment = First;
        while (segment is not null && segment.End <= offset)
            segment = segment.Next;
        return segment;
    }

    /// <summary>
    /// The number of the last broadcast for <paramref name="reader"/> that ends at or before <paramref name="offset"/>, or of a newer one
    /// that was dropped.
    /// </summary>
    public long SequenceBefore(long offset, Reader reader)
    {
        long sequence = _droppedFor.IsBroadcastFor(reader) ? DroppedForAll : _droppedForOthers;
        for (EventSegment? segment = First; segment is not null && segment.Start < offset; segment = segment.Next)
        {
            ReadOnlySpan<EventEntry> entries = segment.Entries;
            int last = entries.Length - 1;
            while (last >= 0 && (segment.Start + entries[last].Start >= offset || !entries[last].Audience.IsBroadcastFor(reader)))
                last--;
            if (last >= 0)
                sequence = Math.Max(sequence, entries[last].Sequence);
        }

        return sequence;
    }

    /// <summary>Drops all segments that end at or before <paramref name="offset"/>.</summary>
    public void DropSegments(long offset)
    {
        while (First is { } segment && segment.End <= offset)
            FreeFirst();
    }

    /// <summary>The oldest entry that was not dropped. False: there is none.</summary>
    /// <param name="entry">It.</param>
    /// <param name="end">The offset after its event.</param>
    /// <param name="length">Bytes that go with it.</param>
    public bool TryPeek(out EventEntry entry, out long end, out int length)
    {
        if (First is not { } segment || _droppedOfFirst == segment.Entries.Length)
        {
            entry = default;
            end = length = 0;
            return false;
        }

        entry = segment.Entries[_droppedOfFirst];
        end = segment.Start + segment.EventAt(_droppedOfFirst).Bytes.End.Value;
        length = segment.LengthOf(_droppedOfFirst);
        return true;
    }

    /// <summary>Bytes of all messages that were not dropped, and of their entries.</summary>
    public long CountKept()
    {
        long kept = 0;
        int begin = _droppedOfFirst;
        for (EventSegment? segment = First; segment is not null; segment = segment.Next, begin = 0)
        {
            for (int index = begin; index < segment.Entries.Length; index++)
            {
                if (!segment.Entries[index].Audience.IsNews)
                    kept += segment.LengthOf(index) + EventEntry.Size;
            }
        }

        return kept;
    }

    /// <summary>Drops the oldest entry, and with the last of an event its bytes.</summary>
    public void DropFirst()
    {
        EventSegment segment = First!;
        EventEntry entry = segment.Entries[_droppedOfFirst++];
        OnDropped(entry);
        if (_droppedOfFirst == segment.Entries.Length)
            FreeFirst();
    }

    /// <summary>
    /// Moves messages that end at or before <paramref name="offset"/>, and that no reader is at, into segments that are as long as they
    /// must be. News there is dropped.
    /// </summary>
    public void Compact(long offset)
    {
        EventSegment? before = null;
        for (EventSegment? first = First; first is not null && first.End <= offset; first = before is null ? First : before.Next)
        {
            EventSegment last = first;
            bool isLong = first.IsCompact && first.End - first.Start > SegmentLength / 4;
            while (!isLong && last.Next is { } next && next.End <= offset && next.End - first.Start <= SegmentLength)
                last = next;
            before = first.IsCompact && last == first ? first : Replace(before, first, last);
        }
    }

    /// <summary>
    /// Puts one compact segment, or none, in the place of those from <paramref name="first"/> to <paramref name="last"/>.
    /// </summary>
    /// <returns>The segment before what follows them.</returns>
    private EventSegment? Replace(EventSegment? before, EventSegment first, EventSegment last)
    {
        EventSegment? next = last.Next;
        var joined = EventSegment.Join(first, before is null ? _droppedOfFirst : 0, last, frames);
        if (before is null)
            (First, _droppedOfFirst) = (joined ?? next, 0);
        else
            before.Next = joined ?? next;
        if (_last == last)
            _last = joined ?? before;
        for (EventSegment? segment = first; segment != next;)
        {
            EventSegment? following = segment!.Next;
            segment.Free();
            segment = following;
        }

        return joined ?? before;
    }

    private void FreeFirst()
    {
        EventSegment segment = First!;
        First = segment.Next;
        if (First is null)
            _last = null;
        foreach (EventEntry entry in segment.Entries[_droppedOfFirst..])
            OnDropped(entry);
        _droppedOfFirst = 0;
        segment.Free();
        _spare = segment;
    }

    private void OnDropped(in EventEntry entry)
    {
        if (!entry.Audience.IsBroadcast)
            return;
        if (entry.Audience != _droppedFor)
            _droppedForOthers = DroppedForAll;
        (DroppedForAll, _droppedFor) = (entry.Sequence, entry.Audience);
    }

    /// <summary>Adds a segment for <paramref name="frame"/> and what follows it, or for a long one alone.</summary>
    private EventSegment AddSegment(SharedFrame frame, int length)
    {
        EventSegment segment = _spare ?? new EventSegment();
        segment.Begin(frame.Length > LongestCopied ? null : frames.Rent(Math.Max(length, frame.Length)), _end);
        _spare = null;
        if (_last is null)
            First = segment;
        else
            _last.Next = segment;
        return _last = segment;
    }
}
