using System.Buffers;
using Microsoft.Extensions.ObjectPool;

namespace Moshpit.Server.Buffers;

/// <summary>Where a server's frames come from and go back to. It counts those that are out: none may be when nothing is going on.</summary>
internal sealed class FramePool : IPooledObjectPolicy<SharedFrame>
{
    /// <summary>Idle frames kept (their buffers are not: those go back to the array pool).</summary>
    private const int MaxRetained = 1024;

    private readonly DefaultObjectPool<SharedFrame> _pool;
    private long _outstandingBytes;

    /// <param name="arrays">Where the frames' bytes come from; null for the process's shared pool.</param>
    public FramePool(ArrayPool<byte>? arrays = null)
    {
        Arrays = arrays ?? ArrayPool<byte>.Shared;
        _pool = new DefaultObjectPool<SharedFrame>(this, MaxRetained);
    }

    public ArrayPool<byte> Arrays { get; }

    /// <summary>Frames rented and not returned.</summary>
    public ActivityCount Rented { get; } = new();

    /// <inheritdoc cref="Rented"/>
    public int Outstanding => Rented.Count;

    /// <summary>Bytes that they keep alive.</summary>
    public long OutstandingBytes => Volatile.Read(ref _outstandingBytes);

    /// <summary>
    /// An empty frame with room for <paramref name="capacity"/> bytes (it grows when more is written), held once by the caller.
    /// </summary>
    /// <exception cref="OutOfMemoryException">There is no memory for it. As with each later write that makes it grow, nothing has
    /// changed.</exception>
    public SharedFrame Rent(int capacity) => Rent(capacity, isExact: false);

    /// <summary>
    /// As <see cref="Rent(int)"/>, for what is kept for long: the frame has room for <paramref name="capacity"/> bytes and no more. (The
    /// pool's arrays may be nearly twice as long.)
    /// </summary>
    public SharedFrame RentExact(int capacity) => Rent(capacity, isExact: true);

    private SharedFrame Rent(int capacity, bool isExact)
    {
        SharedFrame frame = _pool.Get();
        frame.Rented(capacity, isExact);
        Rented.Begin();
        Resized(frame.Capacity);
        return frame;
    }

    /// <summary>A frame that is out has become longer by <paramref name="bytes"/>.</summary>
    internal void Resized(int bytes) => Interlocked.Add(ref _outstandingBytes, bytes);

    internal void Return(SharedFrame frame)
    {
        Resized(-frame.Capacity);
        frame.Returned();
        _pool.Return(frame);
        Rented.End();
    }

    SharedFrame IPooledObjectPolicy<SharedFrame>.Create() => new(this);

    bool IPooledObjectPolicy<SharedFrame>.Return(SharedFrame obj) => true;
}
