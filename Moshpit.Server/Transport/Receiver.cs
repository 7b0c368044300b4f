using System.Net.Sockets;
using System.Threading.Tasks.Sources;
using Microsoft.Extensions.ObjectPool;

namespace Moshpit.Server.Transport;

/// <summary>
/// Receives from a socket, or gives up when <see cref="Expire"/> is called: then the wait ends at once and the receive itself stays
/// behind, to be ended by closing the socket. Errors are values, not exceptions: a reset is an everyday event.
/// </summary>
internal sealed class Receiver : SocketAsyncEventArgs, IValueTaskSource<SocketError>
{
    private ManualResetValueTaskSourceCore<SocketError> _source;
    private int _waits;
    private int _current;

    public Receiver()
        : base(true)
    {
    }

    /// <summary>The number of the wait that is going on; 0 for none. To be read before deciding that it is to be expired.</summary>
    public int Current => Volatile.Read(ref _current);

    /// <summary>
    /// A receive was left behind. It may still write to its buffer, so neither this object nor that buffer must be used again.
    /// </summary>
    public bool Abandoned { get; private set; }

    /// <summary>
    /// Success: <see cref="SocketAsyncEventArgs.BytesTransferred"/> are in <paramref name="buffer"/>, 0 at the end; with an empty buffer,
    /// which is how to wait without holding memory, there is something to receive, or the end. <see cref="SocketError.TimedOut"/>: it was
    /// expired.
    /// </summary>
    public ValueTask<SocketError> ReceiveAsync(Socket socket, Memory<byte> buffer)
    {
        SetBuffer(buffer);
        _source.Reset();
        _source.RunContinuationsAsynchronously = false;
        int wait = _waits = _waits == int.MaxValue ? 1 : _waits + 1;
        Volatile.Write(ref _current, wait);
        bool completed;
        try
        {
            completed = !socket.ReceiveAsync(this);
        }
        catch (ObjectDisposedException)
        {
            TryEnd(wait);
            return new(SocketError.OperationAborted);
        }

        return completed && TryEnd(wait) ? new(SocketError) : new(this, _source.Version);
    }

    /// <summary>Ends <paramref name="wait"/>, if it is still going on.</summary>
    public void Expire(int wait)
    {
        if (wait == 0 || !TryEnd(wait))
            return;
        Abandoned = true;
        _source.RunContinuationsAsynchronously = true;
        _source.SetResult(SocketError.TimedOut);
    }

    SocketError IValueTaskSource<SocketError>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<SocketError>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<SocketError>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    protected override void OnCompleted(SocketAsyncEventArgs e)
    {
        if (TryEnd(_waits))
            _source.SetResult(SocketError);
    }

    private bool TryEnd(int wait) => Interlocked.CompareExchange(ref _current, 0, wait) == wait;

    /// <summary>Makes them and has them ready for the next connection.</summary>
    internal sealed class Policy : IPooledObjectPolicy<Receiver>
    {
        public Receiver Create() => new();

        public bool Return(Receiver receiver) => !receiver.Abandoned;
    }
}
