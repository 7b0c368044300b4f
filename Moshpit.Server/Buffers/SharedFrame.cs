using System.Buffers;
using System.Diagnostics;

namespace Moshpit.Server.Buffers;

/// <summary>
/// Encoded bytes for any number of peers: pooled and reference-counted. Who rents one holds one reference; a reference is added
/// <em>before</em> the frame is handed on, and each holder releases its own. Bytes never change once the frame is shared. One who shares it may
/// append more where there is <see cref="Room"/>; the others look only at what they were told of.
/// </summary>
internal sealed class SharedFrame : IBufferWriter<byte>
{
    private readonly FramePool _pool;
    private byte[] _buffer = [];
    private int _references;

    internal SharedFrame(FramePool pool) => _pool = pool;

    /// <summary>Bytes written.</summary>
    public int Length { get; private set; }

    /// <summary>Bytes that it keeps alive.</summary>
    public int Capacity => _buffer.Length;

    /// <summary>Bytes that can be appended without moving those that are there.</summary>
    public int Room => _buffer.Length - Length;

    /// <summary>The bytes written, to be read while a reference is held.</summary>
    public ReadOnlySpan<byte> Span => _buffer.AsSpan(0, Length);

    /// <inheritdoc cref="Span"/>
    public ReadOnlyMemory<byte> Memory => _buffer.AsMemory(0, Length);

    /// <summary>Adds a reference for somebody else. The caller holds one.</summary>
    public void AddReference()
    {
        int references = Interlocked.Increment(ref _references);
        Debug.Assert(references > 1, "A reference was added to a frame that nobody held.");
    }

    /// <summary>Gives one reference back; the last one returns the buffer. Releasing too often throws.</summary>
    public void Release()
    {
        int references = Interlocked.Decrement(ref _references);
        if (references > 0)
            return;
        if (references < 0)
            throw new InvalidOperationException("A frame was released more often than it was held.");
        _pool.Return(this);
    }

    /// <inheritdoc/>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _buffer.Length - Length);
        Length += count;
    }

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        EnsureRoom(sizeHint);
        return _buffer.AsMemory(Length);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        EnsureRoom(sizeHint);
        return _buffer.AsSpan(Length);
    }

    /// <summary>Appends a copy of <paramref name="bytes"/>.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        Length += bytes.Length;
    }

    internal void Rented(int capacity)
    {
        _buffer = ArrayPool<byte>.Shared.Rent(capacity);
        Length = 0;
        Volatile.Write(ref _references, 1);
    }

    internal void Returned()
    {
        byte[] buffer = _buffer;
        _buffer = [];
        Length = 0;
        ArrayPool<byte>.Shared.Return(buffer);
    }

    private void EnsureRoom(int sizeHint)
    {
        int room = Math.Max(sizeHint, 1);
        if (_buffer.Length - Length < room)
            Grow(room);
    }

    private void Grow(int room)
    {
        byte[] old = _buffer;
        byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(Length + room, old.Length * 2));
        old.AsSpan(0, Length).CopyTo(larger);
        _buffer = larger;
        _pool.Resized(larger.Length - old.Length);
        ArrayPool<byte>.Shared.Return(old);
    }
}
