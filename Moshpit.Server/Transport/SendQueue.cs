using Moshpit.Server.Buffers;

namespace Moshpit.Server.Transport;

/// <summary>
/// What a slow peer has not taken yet, oldest first. It shares large frames that it holds most of; what is little, or little of a large
/// frame, it copies together, so that it never keeps more than about three times its <see cref="Length"/> alive, however the bytes came.
/// </summary>
/// <param name="frames">Where copies are kept.</param>
/// <param name="progress">Tells whether the peer reads.</param>
internal sealed class SendQueue(FramePool frames, ReadProgress progress)
{
    /// <summary>Bytes of a frame for copies, and of the shortest range that is worth sharing.</summary>
    private const int CopyLength = 4 * 1024;

    private readonly Queue<(SharedFrame Frame, Range Bytes)> _entries = new();

    /// <summary>Copies, the newest bytes of all; it gets more until it is full or its turn comes.</summary>
    private SharedFrame? _copies;

    /// <summary>Bytes kept.</summary>
    public long Length { get; private set; }

    /// <summary>Bytes kept that do not count against the bound of a slow peer.</summary>
    public long Exempt { get; private set; }

    /// <summary>Tells whether the peer reads.</summary>
    public ReadProgress Progress { get; } = progress;

    /// <summary>Bytes that the kernel may hold for its peer besides.</summary>
    public int KernelBytes { get; init; }

    /// <summary>Completed when there is room for more, or nothing waits any more; null: nothing asks for that.</summary>
    public TaskCompletionSource? Room { get; set; }

    public bool IsEmpty => _entries.Count == 0 && _copies is null;

    /// <summary>The bytes to be sent next, all of one frame.</summary>
    public ReadOnlyMemory<byte> Head
    {
        get
        {
            if (_entries.Count == 0)
                CloseCopies();
            (SharedFrame frame, Range bytes) = _entries.Peek();
            return frame.Memory[bytes];
        }
    }

    /// <summary>Adds <paramref name="bytes"/> of <paramref name="frame"/>, which stays the caller's.</summary>
    /// <param name="frame">Where they stand.</param>
    /// <param name="bytes">What to keep.</param>
    /// <param name="isExempt">They don't count against the bound, nor does anything that was added before.</param>
    public void Add(SharedFrame frame, Range bytes, bool isExempt = false)
    {
        int length = bytes.End.Value - bytes.Start.Value;
        Length += length;
        if (isExempt)
            Exempt = Length;
        if (length < Math.Max(CopyLength, frame.Capacity / 2))
        {
            Copy(frame.Span[bytes]);
            return;
        }

        CloseCopies();
        frame.AddReference();
        _entries.Enqueue((frame, bytes));
    }

    /// <summary>Forgets all of <see cref="Head"/>, which was sent.</summary>
    public void RemoveHead()
    {
        (SharedFrame frame, Range bytes) = _entries.Dequeue();
        int length = bytes.End.Value - bytes.Start.Value;
        Length -= length;
        Exempt = Math.Max(0, Exempt - length);
        frame.Release();
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        _copies?.Release();
        _copies = null;
        while (!IsEmpty)
            RemoveHead();
    }

    private void Copy(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_copies?.Room == 0)
                CloseCopies();
            _copies ??= frames.Rent(CopyLength);
            int count = Math.Min(bytes.Length, _copies.Room);
            _copies.Append(bytes[..count]);
            bytes = bytes[count..];
        }
    }

    private void CloseCopies()
    {
        if (_copies is null)
            return;
        _entries.Enqueue((_copies, 0.._copies.Length));
        _copies = null;
    }
}
