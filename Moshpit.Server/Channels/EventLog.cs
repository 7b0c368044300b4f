using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>
/// The events of a channel, in their order: each has a sequence number. Broadcasts are one run of bytes, which readers at different offsets
/// share. What every reader has had is below the floor, and is dropped, unless the log has a <see cref="Channels.History"/>.
/// </summary>
/// <remarks>As for its base: all members but <see cref="EventChain.End"/> are for the holder of the channel's lock.</remarks>
internal sealed class EventLog(FramePool frames) : EventChain(frames)
{
    private readonly FramePool _frames = frames;
    private long _selectiveTo;

    /// <summary>Every reader has had what stands before this offset.</summary>
    public long Floor { get; private set; }

    /// <summary>The sequence number of the newest event.</summary>
    public long Sequence { get; private set; }

    /// <summary>What is kept for session peers; null while the channel has none.</summary>
    public History? History { get; private set; }

    /// <summary>Begins to count at <paramref name="sequence"/>, which is higher than any number so far.</summary>
    public void StartAt(long sequence) => Sequence = sequence;

    /// <summary>Gives an event a number that is in the log with no bytes.</summary>
    public long TakeNumber() => ++Sequence;

    /// <summary>
    /// From this offset on all is for all readers, but for those that an event excepts. <see cref="Copy"/> reads what stands before it. May
    /// be read at any time; one that reads <see cref="EventChain.End"/> first is told early enough.
    /// </summary>
    public long SelectiveTo => Volatile.Read(ref _selectiveTo);

    /// <summary>
    /// Appends <paramref name="frame"/>, which stays the caller's, as the event with the number <paramref name="sequence"/> for
    /// <paramref name="audiences"/>: a broadcast, a message to several peers, or news. If that fails, nothing has happened.
    /// </summary>
    public void Append(SharedFrame frame, long sequence, ReadOnlySpan<Audience> audiences)
    {
        if (!audiences[0].IsBroadcast)
            Volatile.Write(ref _selectiveTo, End + frame.Length);
        Append(frame, sequence, audiences, History?.SegmentLength ?? SegmentLength);
        Sequence = sequence;
        if (!audiences[0].IsNews)
            History?.Count(frame.Length, audiences.Length);
    }

    /// <summary>
    /// What <paramref name="reader"/> gets of <paramref name="from"/> to <paramref name="to"/>, in a frame of the caller's with room for
    /// <paramref name="more"/>. <paramref name="last"/> is the number of the last event there, or 0 if all is for all.
    /// </summary>
    public SharedFrame Copy(Reader reader, long from, long to, bool isChunked, int more, out long last)
    {
        last = 0;
        SharedFrame copy = _frames.Rent((int)(to - from) + more);
        EventSegment segment = Find(from)!;
        if (reader.Number == 0 && from >= SelectiveTo)
            segment.CopyTo(copy, from, to, isChunked);
        else
            last = segment.CopyFor(reader, copy, from, to, isChunked);
        return copy;
    }

    /// <summary>
    /// Keeps an event to the session peer with the number <paramref name="addressee"/> alone, as <see cref="Append"/> does.
    /// </summary>
    public void AppendAddressed(SharedFrame frame, long sequence, int addressee)
    {
        History!.Append(frame, sequence, addressee);
        Sequence = sequence;
    }

    /// <summary>Drops what stands before <paramref name="floor"/>, or lets it become history.</summary>
    public void Trim(long floor)
    {
        Floor = floor;
        if (History is null)
            DropSegments(floor);
        else
            History.HeedLimit();
    }

    /// <summary>From now on events are kept, as <paramref name="history"/> says.</summary>
    public void BeginHistory(History history)
    {
        History = history;
        history.Begin();
    }

    /// <summary>Drops the history, and keeps none.</summary>
    public void EndHistory()
    {
        History?.End();
        History = null;
        DropSegments(Floor);
    }
}
