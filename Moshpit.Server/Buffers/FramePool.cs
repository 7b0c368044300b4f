using System.Buffers;
using Microsoft.Extensions.ObjectPool;

namespace Moshpit.Server.Buffers;

/// <summary>Where a server's frames come from and go back to. It counts those that are out: none may be when nothing is going on.</summary>
internal sealed class FramePool : IPooledObjectPolicy<SharedFrame>
{
    /// <summary>Idle frames kept (their buffers are not: those go back to the array pool).</summary>
    private const int MaxRetained = 1024;

    private readonly DefaultObjectPool<SharedFrame> _pool;
    private int _outstanding;
    private long _outstandingBytes;
    private TaskCompletionSource? _allReturned;

    /// <param name="arrays">Where the frames' bytes come from; null for the process's shared pool.</param>
    public FramePool(ArrayPool<byte>? arrays = null)
    {
        Arrays = arrays ?? ArrayPool<byte>.Shared;
        _pool = new DefaultObjectPool<SharedFrame>(this, MaxRetained);
    }

    public ArrayPool<byte> Arrays { get; }

    /// <summary>Frames rented and not returned.</summary>
    public int Outstanding => Volatile.Read(ref _outstanding);

    /// <summary>Bytes that they keep alive.</summary>
    public long OutstandingBytes => Volatile.Read(ref _outstandingBytes);

    /// <summary>An empty frame with room for <paramref name="capacity"/> bytes (it grows when more is written), held once by the caller.</summary>
    /// <exception cref="OutOfMemoryException">There is no memory for it. As with each later write that makes it grow, nothing has changed.</exception>
    public SharedFrame Rent(int capacity)
    {
        SharedFrame frame = _pool.Get();
        frame.Rented(capacity);
        Interlocked.Increment(ref _outstanding);
        Resized(frame.Capacity);
        return frame;
    }

    /// <summary>Completes when no frame is out. To be called once, when no more are going to be rented.</summary>
    public Task WhenAllReturnedAsync()
    {
        var returned = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _allReturned, returned);

        // The last frame may have been returned before the exchange.
        if (Outstanding == 0)
            returned.TrySetResult();
        return returned.Task;
    }

    /// <summary>A frame that is out has become longer by <paramref name="bytes"/>.</summary>
    internal void Resized(int bytes) => Interlocked.Add(ref _outstandingBytes, bytes);

    internal void Return(SharedFrame frame)
    {
        Resized(-frame.Capacity);
        frame.Returned();
        int outstanding = Interlocked.Decrement(ref _outstanding);
        _pool.Return(frame);
        if (outstanding == 0)
            Volatile.Read(ref _allReturned)?.TrySetResult();
    }

    SharedFrame IPooledObjectPolicy<SharedFrame>.Create() => new(this);

    bool IPooledObjectPolicy<SharedFrame>.Return(SharedFrame obj) => true;
}
