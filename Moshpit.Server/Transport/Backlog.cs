using Moshpit.Server.Buffers;

namespace Moshpit.Server.Transport;

/// <summary>What a slow peer has not taken yet, oldest first. It holds a reference on each frame in it.</summary>
internal sealed class Backlog
{
    private readonly Queue<(SharedFrame Frame, Range Bytes)> _entries = new();

    /// <summary>Bytes kept.</summary>
    public long Length { get; private set; }

    /// <summary>What its peer had acknowledged when that was last looked at.</summary>
    public long Acknowledged { get; set; }

    public bool IsEmpty => _entries.Count == 0;

    /// <summary>The bytes to be sent next, all of one frame.</summary>
    public ReadOnlyMemory<byte> Head
    {
        get
        {
            (SharedFrame frame, Range bytes) = _entries.Peek();
            return frame.Memory[bytes];
        }
    }

    /// <summary>Adds <paramref name="bytes"/> of <paramref name="frame"/>, with a reference of the backlog's own.</summary>
    public void Add(SharedFrame frame, Range bytes)
    {
        frame.AddReference();
        _entries.Enqueue((frame, bytes));
        Length += bytes.End.Value - bytes.Start.Value;
    }

    /// <summary>Forgets all of <see cref="Head"/>, which was sent.</summary>
    public void RemoveHead()
    {
        (SharedFrame frame, Range bytes) = _entries.Dequeue();
        Length -= bytes.End.Value - bytes.Start.Value;
        frame.Release();
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        while (!IsEmpty)
            RemoveHead();
    }
}
