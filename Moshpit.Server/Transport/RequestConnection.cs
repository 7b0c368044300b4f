using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.ObjectPool;

namespace Moshpit.Server.Transport;

/// <summary>
/// A socket that takes turns: bytes are received and read, then bytes are written and flushed, by one loop. Whatever it waits for has a
/// deadline, kept from outside by <see cref="OnTick"/>. It holds buffers only from <see cref="RentBuffers"/> to
/// <see cref="ReturnBuffers"/>; <see cref="WaitAsync()"/> needs none.
/// </summary>
internal sealed class RequestConnection
{
    /// <summary>Bytes dropped at once from a client that is not listened to any more.</summary>
    private const int LingerBuffer = 16 * 1024;

    /// <summary>Bytes received at once from a client that sends many requests without waiting for the answers.</summary>
    private const int MaxReceiveLength = 32 * 1024;

    private readonly ServerClock _clock;
    private readonly ObjectPool<TransportBuffers> _bufferPool;
    private readonly ObjectPool<Receiver> _receiverPool;
    private readonly Receiver _receiver;
    private TransportBuffers? _buffers;
    private Receiver? _lingering;
    private long _deadline = long.MaxValue;
    private long _sendDeadline = long.MaxValue;
    private bool _released;
    private int _receiveLength;

    public RequestConnection(Socket socket, ServerClock clock, ObjectPool<TransportBuffers> buffers, ObjectPool<Receiver> receivers)
    {
        Socket = socket;
        _clock = clock;
        _bufferPool = buffers;
        _receiverPool = receivers;
        _receiver = receivers.Get();
    }

    public Socket Socket { get; }

    public PipeReader Input => _buffers!.Input.Reader;

    /// <summary>What is written here is sent by the next <see cref="FlushAsync"/> or <see cref="ReceiveAsync"/>.</summary>
    public ArrayBufferWriter<byte> Output => _buffers!.Output;

    /// <summary>How long a response may take to be sent.</summary>
    public required TimeSpan SendTimeout { get; init; }

    /// <summary>Called when a wait for bytes has begun, and with it the time in which <see cref="Interrupt"/> can end it.</summary>
    public required Action Waiting { get; init; }

    /// <summary>Whatever is received must have come within <paramref name="timeout"/> from now.</summary>
    public void SetDeadline(TimeSpan timeout) => Volatile.Write(ref _deadline, _clock.DeadlineAfter(timeout));

    /// <summary>Called when time has passed.</summary>
    public void OnTick(long now)
    {
        // The wait first: a deadline read after it is that wait's or a later one's.
        Receiver receiver = Volatile.Read(ref _lingering) ?? _receiver;
        int wait = receiver.Current;
        if (now >= Volatile.Read(ref _sendDeadline))
            Abort();
        else if (now >= Volatile.Read(ref _deadline))
            receiver.Expire(wait);
    }

    /// <summary>
    /// Ends the wait for bytes that is going on, as if its deadline had passed, if <paramref name="condition"/> still holds then.
    /// </summary>
    public void Interrupt(Func<bool> condition)
    {
        // The wait first: should the receiver have gone to another connection by then, that is seen after it.
        int wait = _receiver.Current;
        if (condition() && !Volatile.Read(ref _released))
            _receiver.Expire(wait);
    }

    /// <summary>Ends the connection whatever it is doing.</summary>
    public void Abort() => Socket.Dispose();

    /// <summary>Gives everything back. The socket is the caller's to close, or to use further.</summary>
    public void Release()
    {
        ReturnBuffers();
        Volatile.Write(ref _deadline, long.MaxValue);
        Volatile.Write(ref _sendDeadline, long.MaxValue);
        Volatile.Write(ref _released, true);
        _receiverPool.Return(_receiver);
    }

    /// <summary>From now on <see cref="Input"/> and <see cref="Output"/> can be used.</summary>
    public void RentBuffers() => _buffers = _bufferPool.Get();

    /// <summary>
    /// Ends what <see cref="RentBuffers"/> began; what <see cref="Input"/> and <see cref="Output"/> still hold is dropped.
    /// </summary>
    public void ReturnBuffers()
    {
        TransportBuffers? buffers = _buffers;
        _buffers = null;
        _receiveLength = 0;

        // A receive that was left behind may still write into the buffers: they go to no other connection.
        if (buffers is not null && !_receiver.Abandoned)
            _bufferPool.Return(buffers);
    }

    /// <summary>
    /// Waits until there is something to receive, or the end, without holding a buffer. Success: there is.
    /// <see cref="SocketError.TimedOut"/>: the deadline passed first.
    /// </summary>
    public ValueTask<SocketError> WaitAsync() => WaitAsync(default);

    /// <summary>Sends what is to be sent, then waits for more bytes, which <see cref="Input"/> then has.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Received> ReceiveAsync()
    {
        await FlushAsync().ConfigureAwait(false);
        PipeWriter writer = _buffers!.Input.Writer;
        Memory<byte> buffer = writer.GetMemory(_receiveLength);
        SocketError error = await WaitAsync(buffer).ConfigureAwait(false);
        if (error != SocketError.Success)
            return error == SocketError.TimedOut ? Received.TimedOut : Received.Failed;
        if (_receiver.BytesTransferred == 0)
            return Received.End;

        // A full buffer means a pipelining client: receive more next time. Otherwise go back to the small default.
        _receiveLength = _receiver.BytesTransferred == buffer.Length ? Math.Min(buffer.Length * 4, MaxReceiveLength) : 0;
        writer.Advance(_receiver.BytesTransferred);
        await writer.FlushAsync().ConfigureAwait(false);
        return Received.Bytes;
    }

    /// <summary>Sends what is to be sent.</summary>
    /// <exception cref="SocketException">The other side is gone, or did not read within <see cref="SendTimeout"/>.</exception>
    public ValueTask FlushAsync()
    {
        ReadOnlySpan<byte> output = Output.WrittenSpan;
        if (output.IsEmpty)
            return default;
        int sent = Socket.Send(output, SocketFlags.None, out SocketError error);
        if (error is not (SocketError.Success or SocketError.WouldBlock))
            throw new SocketException((int)error);
        if (sent < output.Length)
            return FlushSlowlyAsync(Math.Max(sent, 0));
        Output.ResetWrittenCount();
        return default;
    }

    /// <summary>
    /// Closing while the other side still sends would reset the connection, and what was sent to it could be lost (RFC 9112 section 9.6).
    /// So: a FIN, then what comes is dropped, at most <paramref name="limit"/> bytes for <paramref name="timeout"/>, until the other side
    /// closes too.
    /// </summary>
    public async ValueTask LingerAsync(long limit, TimeSpan timeout)
    {
        Socket.Shutdown(SocketShutdown.Send);
        SetDeadline(timeout);
        Receiver receiver = _receiver;
        if (receiver.Abandoned)
            Volatile.Write(ref _lingering, receiver = new Receiver());
        byte[] scratch = ArrayPool<byte>.Shared.Rent(LingerBuffer);
        for (long dropped = 0; dropped < limit; dropped += receiver.BytesTransferred)
        {
            SocketError error = await receiver.ReceiveAsync(Socket, scratch).ConfigureAwait(false);

            // The receive that was left behind may still write to the scratch: it is not returned to the pool.
            if (error == SocketError.TimedOut)
                return;
            if (error != SocketError.Success || receiver.BytesTransferred == 0)
                break;
        }

        ArrayPool<byte>.Shared.Return(scratch);
    }

    private ValueTask<SocketError> WaitAsync(Memory<byte> buffer)
    {
        ValueTask<SocketError> receiving = _receiver.ReceiveAsync(Socket, buffer);
        if (!receiving.IsCompleted)
            Waiting();
        return receiving;
    }

    /// <summary>The other side does not read as fast as it asks: it gets a bounded time to do so.</summary>
    private async ValueTask FlushSlowlyAsync(int sent)
    {
        Volatile.Write(ref _sendDeadline, _clock.DeadlineAfter(SendTimeout));
        ReadOnlyMemory<byte> output = Output.WrittenMemory;
        while (sent < output.Length)
            sent += await Socket.SendAsync(output[sent..], SocketFlags.None).ConfigureAwait(false);
        Volatile.Write(ref _sendDeadline, long.MaxValue);
        Output.ResetWrittenCount();
    }
}

/// <summary>What came of waiting for bytes.</summary>
internal enum Received : byte
{
    Bytes,

    /// <summary>The other side will send nothing more; it may still read.</summary>
    End,

    Failed,

    TimedOut,
}
