using Moshpit.Server.Buffers;

namespace Moshpit.Server.Transport;

/// <summary>What a slow peer has not taken yet, oldest first. It holds a reference on each frame in it.</summary>
internal sealed class Backlog
{
    private readonly Queue<(SharedFrame Frame, int Offset)> _entries = new();

    /// <summary>Bytes kept.</summary>
    public long Length { get; private set; }

    public bool IsEmpty => _entries.Count == 0;

    /// <summary>The bytes to be sent next, all of one frame.</summary>
    public ReadOnlyMemory<byte> Head
    {
        get
        {
            (SharedFrame frame, int offset) = _entries.Peek();
            return frame.Memory[offset..];
        }
    }

    /// <summary>Adds the bytes of <paramref name="frame"/> from <paramref name="offset"/> on, with a reference of the backlog's own.</summary>
    public void Add(SharedFrame frame, int offset)
    {
        frame.AddReference();
        _entries.Enqueue((frame, offset));
        Length += frame.Length - offset;
    }

    /// <summary>Forgets all of <see cref="Head"/>, which was sent.</summary>
    public void RemoveHead()
    {
        (SharedFrame frame, int offset) = _entries.Dequeue();
        Length -= frame.Length - offset;
        frame.Release();
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        while (!IsEmpty)
            RemoveHead();
    }
}
