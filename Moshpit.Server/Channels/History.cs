using System.Numerics;
using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>
/// What a channel keeps for session peers that come back: the newest broadcasts of its log, and the newest events to single session peers.
/// The oldest of them go first. The holder of the channel's lock may use it.
/// </summary>
/// <param name="log">The log of the channel.</param>
/// <param name="frames">Where events to single peers are copied.</param>
/// <param name="budget">How much may be kept.</param>
/// <param name="dropped">Called with the addressee's number and the event's when an event to one peer is dropped.</param>
internal sealed class History(EventLog log, FramePool frames, HistoryBudget budget, Action<int, long> dropped)
{
    /// <summary>The shortest segment: little is kept in a quiet channel.</summary>
    private const int ShortestSegment = 512;

    /// <summary>Segments of the longest kind: so much of a history is room for what comes.</summary>
    private const int Segments = 8;

    /// <summary>Events to single session peers; null before the first one.</summary>
    private EventChain? _addressed;
    private long _kept;

    /// <summary>The newest number when half of the history's time had last passed, and the time before.</summary>
    private long _mark, _olderMark;

    /// <summary>Bytes of the next segment: an eighth of what is kept, within limits.</summary>
    public int SegmentLength =>
        (int)BitOperations.RoundUpToPowerOf2((ulong)Math.Clamp(_kept / Segments, ShortestSegment, EventChain.SegmentLength));

    /// <summary>Begins to count against the budget, what is in the log too.</summary>
    public void Begin()
    {
        budget.Begin();
        Add(log.CountKept());
        HeedLimit();
    }

    /// <summary>Forgets the events to single peers, and counts no more.</summary>
    public void End()
    {
        budget.End();
        Add(-_kept);
        _addressed?.DropSegments(_addressed.End);
        _addressed = null;
    }

    /// <summary>An event of so many bytes more is kept in the log; the oldest of all go if that is too much.</summary>
    public void Count(int length, int entries = 1)
    {
        Add(length + entries * EventEntry.Size);
        HeedLimit();
    }

    /// <summary>
    /// Keeps <paramref name="frame"/>, which stays the caller's, for the session peer with the number <paramref name="addressee"/> alone.
    /// If that fails, nothing has happened.
    /// </summary>
    public void Append(SharedFrame frame, long sequence, int addressee)
    {
        _addressed ??= new EventChain(frames);
        _addressed.Append(frame, sequence, [Audience.Of(addressee)], SegmentLength);
        Count(frame.Length);
    }

    /// <summary>
    /// Finds how <paramref name="session"/>, whose peer has the number <paramref name="number"/>, goes on after <paramref name="last"/>,
    /// and adds what it has missed to <paramref name="replay"/>.
    /// </summary>
    public Resumption Resume(Session session, int number, LastEventId last, Replay replay)
    {
        bool isUsable = !last.IsGiven || (last.IsNumber && last.Sequence >= session.Joined && last.Sequence <= log.Sequence);
        long after = last.IsGiven && isUsable ? last.Sequence : session.Joined;
        long lost = Math.Max(log.DroppedForAll, session.DroppedAddressed);
        long gap = lost > after ? lost : isUsable ? 0 : session.Joined;
        long from = Math.Max(after, gap);
        CopyAfter(from, number, replay);
        return new Resumption(isUsable, after, gap, Math.Max(from, replay.Last));
    }

    /// <summary>
    /// Adds to <paramref name="replay"/>, in their order, all events after the one with the number <paramref name="after"/> that the peer
    /// with the number <paramref name="reader"/> is to get.
    /// </summary>
    public void CopyAfter(long after, int reader, Replay replay)
    {
        var broadcasts = new EventCursor(log.First, after, Reader.OfMessages(reader));
        var addressed = new EventCursor(_addressed?.First, after, Reader.OfMessages(reader));
        while (broadcasts.HasEvent || addressed.HasEvent)
        {
            bool isBroadcast = !addressed.HasEvent || (broadcasts.HasEvent && broadcasts.Sequence < addressed.Sequence);
            ref EventCursor next = ref (isBroadcast ? ref broadcasts : ref addressed);
            replay.Add(next.Segment!, next.Index);
            next.MoveNext();
        }
    }

    /// <summary>Drops what is more than may be kept now, the oldest of what every reader has had.</summary>
    public void HeedLimit()
    {
        while (_kept > budget.Limit && TryPeekOldest(out EventChain chain, out EventEntry entry, out int length))
            Drop(chain, entry, length);
    }

    /// <summary>Gives back the room between and behind events that every reader has had.</summary>
    public void Compact()
    {
        try
        {
            log.Compact(log.Floor);
            _addressed?.Compact(_addressed.End);
        }
        catch (OutOfMemoryException)
        {
            // What could not be moved stays as it is.
        }
    }

    /// <summary>Half of the time for which anything is kept has passed: drops what was there the time before last.</summary>
    public void OnHalfTime()
    {
        DropUpTo(_olderMark);
        (_olderMark, _mark) = (_mark, log.Sequence);
    }

    /// <summary>Drops what every reader has had and is not newer than the event with the number <paramref name="sequence"/>.</summary>
    public void DropUpTo(long sequence)
    {
        while (TryPeekOldest(out EventChain chain, out EventEntry entry, out int length) && entry.Sequence <= sequence)
            Drop(chain, entry, length);
    }

    private bool TryPeekOldest(out EventChain chain, out EventEntry entry, out int length)
    {
        chain = log;
        bool some = log.TryPeek(out entry, out long end, out length) && end <= log.Floor;
        if (_addressed is null || !_addressed.TryPeek(out EventEntry other, out _, out int otherLength))
            return some;
        if (some && entry.Sequence < other.Sequence)
            return true;
        (chain, entry, length) = (_addressed, other, otherLength);
        return true;
    }

    private void Add(long bytes)
    {
        _kept += bytes;
        budget.Add(bytes);
    }

    private void Drop(EventChain chain, in EventEntry entry, int length)
    {
        chain.DropFirst();
        if (!entry.Audience.IsNews)
            Add(-length - EventEntry.Size);
        if (entry.Audience.Only is > 0 and int addressee)
            dropped(addressee, entry.Sequence);
    }
}
