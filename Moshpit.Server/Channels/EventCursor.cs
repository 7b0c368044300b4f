namespace Moshpit.Server.Channels;

/// <summary>
/// Goes over the events of a chain that come after a given number and that <c>reader</c> is to get. For the holder of the channel's lock.
/// </summary>
internal struct EventCursor
{
    private readonly Reader _reader;

    public EventCursor(EventSegment? first, long after, Reader reader)
    {
        _reader = reader;
        Segment = first;
        while (Segment is not null && Segment.Entries[^1].Sequence <= after)
            Segment = Segment.Next;
        while (HasEvent && (Sequence <= after || !IsWanted))
            Step();
    }

    public EventSegment? Segment { get; private set; }

    /// <summary>The event's place in its segment.</summary>
    public int Index { get; private set; }

    public readonly bool HasEvent => Segment is not null;

    public readonly long Sequence => Segment!.Entries[Index].Sequence;

    private readonly bool IsWanted => Segment!.Entries[Index].Audience.Includes(_reader);

    public void MoveNext()
    {
        do
            Step();
        while (HasEvent && !IsWanted);
    }

    private void Step()
    {
        if (++Index < Segment!.Entries.Length)
            return;
        Segment = Segment.Next;
        Index = 0;
    }
}
