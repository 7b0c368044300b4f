using System.Numerics;
using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>
/// The events of a channel, in their order: each has a sequence number. Broadcasts are one run of bytes, which readers at different offsets
/// share. What every reader has had is below the floor, and is dropped, unless the log keeps a history: then the newest events stay, those
/// to single peers too, for peers that come back.
/// </summary>
/// <remarks>All members but <see cref="End"/> are for the holder of the channel's lock; see <see cref="EventChain"/>.</remarks>
internal sealed class EventLog(FramePool frames, HistoryBudget history)
{
    /// <summary>The shortest segment of a history: little is kept in a quiet channel.</summary>
    private const int ShortestSegment = 512;

    /// <summary>Segments of a history of the longest kind: so much of it is room for what comes.</summary>
    private const int SegmentsOfHistory = 8;

    private readonly EventChain _broadcasts = new(frames);

    /// <summary>Events to single session peers; null before the first one.</summary>
    private EventChain? _addressed;

    /// <summary>Bytes kept, while a history is kept.</summary>
    private long _kept;

    /// <inheritdoc cref="EventChain.End"/>
    public long End => _broadcasts.End;

    /// <summary>Every reader has had what stands before this offset.</summary>
    public long Floor { get; private set; }

    /// <summary>The sequence number of the newest event.</summary>
    public long Sequence { get; private set; }

    /// <summary>The newest broadcasts and events to single session peers are kept.</summary>
    public bool KeepsHistory { get; private set; }

    /// <summary>The number of the newest broadcast that is not kept any more.</summary>
    public long DroppedBroadcast => _broadcasts.Dropped;

    /// <summary>Called with the addressee's number and the event's when an event to one peer is dropped.</summary>
    public Action<int, long>? DroppedAddressed { get; set; }

    private int SegmentLength => KeepsHistory
        ? (int)BitOperations.RoundUpToPowerOf2(
            (ulong)Math.Clamp(_kept / SegmentsOfHistory, ShortestSegment, EventChain.SegmentLength))
        : EventChain.SegmentLength;

    /// <summary>Begins to count at <paramref name="sequence"/>, which is higher than any number so far.</summary>
    public void StartAt(long sequence) => Sequence = sequence;

    /// <summary>Gives an event a number that is in the log with no bytes.</summary>
    public long TakeNumber() => ++Sequence;

    /// <summary>
    /// Appends <paramref name="frame"/>, one broadcast, which stays the caller's, as the event with the number <paramref name="sequence"/>.
    /// If that fails, nothing has happened.
    /// </summary>
    public void Append(SharedFrame frame, long sequence, int sender)
    {
        _broadcasts.Append(frame, sequence, sender, segmentLength: SegmentLength);
        Sequence = sequence;
        if (KeepsHistory)
            Keep(frame.Length);
    }

    /// <summary>
    /// Keeps an event to the session peer with the number <paramref name="addressee"/> alone, as <see cref="Append"/> does.
    /// </summary>
    public void AppendAddressed(SharedFrame frame, long sequence, int sender, int addressee)
    {
        _addressed ??= new EventChain(frames);
        _addressed.Append(frame, sequence, sender, addressee, SegmentLength);
        Sequence = sequence;
        Keep(frame.Length);
    }

    /// <inheritdoc cref="EventChain.Find"/>
    public EventSegment? Find(long offset) => _broadcasts.Find(offset);

    /// <inheritdoc cref="EventChain.SequenceBefore"/>
    public long SequenceBefore(long offset) => _broadcasts.SequenceBefore(offset);

    /// <summary>Drops what stands before <paramref name="floor"/>, or lets it become history.</summary>
    public void Trim(long floor)
    {
        Floor = floor;
        if (!KeepsHistory)
            _broadcasts.DropSegments(floor);
        else
            DropTo(history.Limit);
    }

    /// <summary>From now on a history is kept.</summary>
    public void BeginHistory()
    {
        KeepsHistory = true;
        history.Begin();
        Keep(_broadcasts.TryPeek(out EventEntry oldest, out _) ? End - oldest.Offset : 0);
    }

    /// <summary>Drops the history, and keeps none.</summary>
    public void EndHistory()
    {
        KeepsHistory = false;
        history.End();
        history.Add(-_kept);
        _kept = 0;
        _addressed?.DropSegments(_addressed.End);
        _addressed = null;
        _broadcasts.DropSegments(Floor);
    }

    /// <summary>Drops what is more than may be kept now.</summary>
    public void HeedLimit() => DropTo(history.Limit);

    /// <summary>Drops the oldest of what every reader has had, until no more than <paramref name="limit"/> bytes are kept.</summary>
    private void DropTo(long limit)
    {
        while (_kept > limit && TryPeekOldest(out EventChain chain, out EventEntry entry, out int length))
            Drop(chain, entry, length);
    }

    /// <summary>Drops what every reader has had and is not newer than the event with the number <paramref name="sequence"/>.</summary>
    public void DropUpTo(long sequence)
    {
        while (KeepsHistory && TryPeekOldest(out EventChain chain, out EventEntry entry, out int length) && entry.Sequence <= sequence)
            Drop(chain, entry, length);
    }

    /// <summary>
    /// Adds to <paramref name="replay"/>, in their order, all events after the one with the number <paramref name="after"/> that the peer
    /// with the number <paramref name="addressee"/> is to get.
    /// </summary>
    public void CopyAfter(long after, int addressee, Replay replay)
    {
        var broadcasts = new EventCursor(_broadcasts.First, after, 0);
        var addressed = new EventCursor(_addressed?.First, after, addressee);
        while (broadcasts.HasEvent || addressed.HasEvent)
        {
            bool isBroadcast = !addressed.HasEvent || (broadcasts.HasEvent && broadcasts.Sequence < addressed.Sequence);
            ref EventCursor next = ref (isBroadcast ? ref broadcasts : ref addressed);
            replay.Add(next.Segment!, next.Index);
            next.MoveNext();
        }
    }

    private void Keep(long bytes)
    {
        _kept += bytes;
        history.Add(bytes);
        DropTo(history.Limit);
    }

    private bool TryPeekOldest(out EventChain chain, out EventEntry entry, out int length)
    {
        chain = _broadcasts;
        bool some = _broadcasts.TryPeek(out entry, out length) && entry.Offset + length <= Floor;
        if (_addressed is null || !_addressed.TryPeek(out EventEntry other, out int otherLength))
            return some;
        if (some && entry.Sequence < other.Sequence)
            return true;
        (chain, entry, length) = (_addressed, other, otherLength);
        return true;
    }

    private void Drop(EventChain chain, in EventEntry entry, int length)
    {
        chain.DropFirst();
        _kept -= length;
        history.Add(-length);
        if (entry.Addressee != 0)
            DroppedAddressed?.Invoke(entry.Addressee, entry.Sequence);
    }
}
