using System.Buffers;
using System.Diagnostics;

namespace Moshpit.Server.Buffers;

/// <summary>
/// Encoded bytes for any number of peers: pooled and reference-counted. The caller that rents one holds one reference; a reference is added
/// <em>before</em> the frame is handed on, and each holder releases its own. Bytes never change once the frame is shared. One holder may
/// append more where there is <see cref="Room"/>; the others look only at what they were told of.
/// </summary>
internal sealed class SharedFrame : IBufferWriter<byte>
{
    private readonly FramePool _pool;
    private byte[] _buffer = [];
    private int _start;
    private int _end;
    private int _references;

    /// <summary>The buffer is as long as was asked for, and is none of the pool's.</summary>
    private bool _isExact;

    internal SharedFrame(FramePool pool) => _pool = pool;

    /// <summary>Bytes written.</summary>
    public int Length => _end - _start;

    /// <summary>Bytes that it keeps alive.</summary>
    public int Capacity => _buffer.Length;

    /// <summary>Bytes that can be appended without moving those that are there.</summary>
    public int Room => _buffer.Length - _end;

    /// <summary>The bytes written, to be read while a reference is held.</summary>
    public ReadOnlySpan<byte> Span => _buffer.AsSpan(_start, Length);

    /// <inheritdoc cref="Span"/>
    public ReadOnlyMemory<byte> Memory => _buffer.AsMemory(_start, Length);

    /// <summary>The bytes written, to be changed before the frame is shared.</summary>
    public Span<byte> Written => _buffer.AsSpan(_start, Length);

    /// <summary>Adds a reference for another holder. The caller holds one.</summary>
    public void AddReference()
    {
        int references = Interlocked.Increment(ref _references);
        Debug.Assert(references > 1, "A reference was added to a frame that has none.");
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
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Room);
        _end += count;
    }

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        EnsureRoom(sizeHint);
        return _buffer.AsMemory(_end);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        EnsureRoom(sizeHint);
        return _buffer.AsSpan(_end);
    }

    /// <summary>Appends a copy of <paramref name="bytes"/>.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        _end += bytes.Length;
    }

    /// <summary>
    /// Keeps <paramref name="count"/> bytes free before the first byte, for <see cref="Prepend"/>. Nothing was written yet.
    /// </summary>
    public void ReserveHeadroom(int count)
    {
        Debug.Assert(_end == 0, "Headroom can only be reserved in an empty frame.");
        EnsureRoom(count);
        _start = _end = count;
    }

    /// <summary>
    /// Puts <paramref name="count"/> bytes of the headroom before those written. The caller fills them, before the frame is shared.
    /// </summary>
    public Span<byte> Prepend(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _start);
        _start -= count;
        return _buffer.AsSpan(_start, count);
    }

    /// <summary>Removes the first <paramref name="count"/> bytes, before the frame is shared: they become headroom.</summary>
    public void RemoveFirst(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Length);
        _start += count;
    }

    /// <summary>Removes the last <paramref name="count"/> bytes, before the frame is shared.</summary>
    public void RemoveLast(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Length);
        _end -= count;
    }

    internal void Rented(int capacity, bool isExact)
    {
        _buffer = isExact ? GC.AllocateUninitializedArray<byte>(capacity) : _pool.Arrays.Rent(capacity);
        _isExact = isExact;
        _start = _end = 0;
        Volatile.Write(ref _references, 1);
    }

    internal void Returned()
    {
        byte[] buffer = _buffer;
        _buffer = [];
        _start = _end = 0;
        GiveBack(buffer);
    }

    private void EnsureRoom(int sizeHint)
    {
        int room = Math.Max(sizeHint, 1);
        if (Room < room)
            Grow(room);
    }

    private void Grow(int room)
    {
        byte[] old = _buffer;
        byte[] larger = _pool.Arrays.Rent(Math.Max(_end + room, old.Length * 2));
        old.AsSpan(0, _end).CopyTo(larger);
        _buffer = larger;
        _pool.Resized(larger.Length - old.Length);
        GiveBack(old);
        _isExact = false;
    }

    private void GiveBack(byte[] buffer)
    {
        if (!_isExact)
            _pool.Arrays.Return(buffer);
    }
}
