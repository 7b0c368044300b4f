using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>
/// What a peer that comes back has missed: bytes of a log's segments, in order, each with a reference. Collected while the channel's lock
/// is held, and written when it is not.
/// </summary>
internal sealed class Replay : IDisposable
{
    private readonly List<(SharedFrame Frame, Range Bytes)> _parts = [];

    /// <summary>Bytes in all.</summary>
    public int Length { get; private set; }

    /// <summary>The number of the last event; 0: there is none.</summary>
    public long Last { get; private set; }

    /// <summary>Adds one event; those that lie together become one part.</summary>
    public void Add(EventSegment segment, int index)
    {
        (SharedFrame frame, Range bytes) = segment.EventAt(index);
        Last = segment.Entries[index].Sequence;
        Length += bytes.End.Value - bytes.Start.Value;
        if (_parts.Count > 0 && _parts[^1].Frame == frame && _parts[^1].Bytes.End.Equals(bytes.Start))
        {
            _parts[^1] = (frame, _parts[^1].Bytes.Start..bytes.End);
            return;
        }

        _parts.Add((frame, bytes));
        frame.AddReference();
    }

    /// <summary>Gives <paramref name="outlet"/> the opening and then all of it.</summary>
    public void Write(FrameSink outlet, SharedFrame opening)
    {
        // Nothing is allocated here: the peer has changed its outlet already.
        bool fits = outlet.IsChunked && Length <= opening.Room;
        if (fits)
        {
            foreach ((SharedFrame frame, Range bytes) in _parts)
                opening.Append(frame.Span[bytes]);
        }

        outlet.Write(opening, 0..opening.Length);
        if (fits)
            return;
        foreach ((SharedFrame frame, Range bytes) in _parts)
        {
            if (outlet.IsChunked)
                outlet.Write(frame, bytes);
            else
                WritePlain(outlet, frame, bytes);
        }
    }

    /// <summary>Gives <paramref name="outlet"/> the events without their chunks.</summary>
    private static void WritePlain(FrameSink outlet, SharedFrame frame, Range bytes)
    {
        ReadOnlySpan<byte> chunks = frame.Span[bytes];
        while (!chunks.IsEmpty)
        {
            Range next = ChunkFraming.FirstEventIn(chunks);
            int start = bytes.End.Value - chunks.Length;
            outlet.Write(frame, (start + next.Start.Value)..(start + next.End.Value));
            chunks = chunks[(next.End.Value + ChunkFraming.ChunkEnd.Length)..];
        }
    }

    public void Dispose()
    {
        foreach ((SharedFrame frame, _) in _parts)
            frame.Release();
        _parts.Clear();
    }
}
