using System.Net.Sockets;
using Moshpit.Server.Buffers;

namespace Moshpit.Server.Transport;

/// <summary>
/// A socket that carries an event stream. A write is one non-blocking send; only what does not fit into the socket's buffer waits in a
/// send queue, bounded in bytes and in time. It keeps receiving (zero bytes, so that it holds no buffer): that is how it hears of the
/// peer's end at once. The connection ends for one reason, the first, and then tells its owner once.
/// </summary>
internal sealed class EventStreamConnection : FrameSink, ISlotted
{
    /// <summary>
    /// Bytes of a send queue that are sent at a time. An asynchronous send completes when all of it is sent, and only then is it seen that
    /// the peer takes something.
    /// </summary>
    private const int PieceLength = 16 * 1024;

    /// <summary>
    /// Milliseconds since the peer last took something within which it counts as reading. Less than anything waits for it (Pace), by a
    /// period of the clock, so that a wait for a peer that does not read never ends in a refusal.
    /// </summary>
    private const long ReadingPatience = 1000;

    private const double MillisecondsPerSecond = 1000;

    private readonly Socket _socket;
    private readonly StreamTransport _transport;
    private readonly long _openedAt;

    /// <summary>
    /// Listens for the peer's end. Its lock guards the state of the connection: an object for that alone would cost each idle peer 24
    /// bytes.
    /// </summary>
    private readonly EndWatch _watch;
    private SendQueue? _queue;
    private volatile State _state;
    private DisconnectReason _reason;
    private bool _hasStarted;
    private bool _hasEnded;
    private int _input;

    /// <summary>
    /// While open: when something was last written. While there is a send queue: when the peer last took some. While closing: since when.
    /// </summary>
    private long _lastProgress;

    /// <param name="socket">Owned from here on; must not be blocking.</param>
    /// <param name="transport">The limits and counters shared by all streams.</param>
    /// <param name="owner">The peer whose outlet it is.</param>
    /// <param name="isChunked">The client speaks HTTP/1.1.</param>
    public EventStreamConnection(Socket socket, StreamTransport transport, ISinkOwner owner, bool isChunked)
    {
        IsChunked = isChunked;
        Owner = owner;
        _socket = socket;
        _transport = transport;
        _watch = new EndWatch(this);
        _openedAt = _lastProgress = transport.Clock.Now;
    }

    private enum State : byte
    {
        /// <summary>Takes frames.</summary>
        Open,

        /// <summary>Takes no more; the queue is still being sent.</summary>
        Completing,

        /// <summary>Everything was sent, and a FIN; waiting for the peer's.</summary>
        HalfClosed,

        /// <summary>The socket is closed.</summary>
        Closed,
    }

    /// <summary>The peer whose outlet it is.</summary>
    public ISinkOwner Owner { get; }

    /// <summary>Bytes that the kernel has taken for the peer.</summary>
    public long BytesSent { get; private set; }

    /// <summary>Its slot among all streams.</summary>
    public int Slot { get; set; }

    /// <inheritdoc/>
    public override bool HasEnded => _state != State.Open;

    /// <inheritdoc/>
    public override bool IsChunked { get; }

    /// <inheritdoc/>
    public override bool IsBehind => Volatile.Read(ref _queue) is not null;

    /// <inheritdoc/>
    public override bool IsConnected
    {
        get
        {
            // Readable without bytes is the other side's end.
            try
            {
                return !HasEnded && !(_socket.Poll(0, SelectMode.SelectRead) && _socket.Available == 0);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    /// <summary>Something waits until there is room.</summary>
    public bool IsAwaited => Volatile.Read(ref _queue)?.Room is not null;

    /// <inheritdoc/>
    public override Task? WhenRoom()
    {
        lock (_watch)
        {
            if (_queue is null || _state != State.Open || HasRoom(_queue) || _transport.Clock.Now - _lastProgress >= ReadingPatience)
                return null;
            return (_queue.Room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    /// <summary>
    /// Begins to listen for the peer's end, and to bound what waits for it. Call once, after the opening was written: that, and what a peer
    /// that comes back has missed, may be as long as it is.
    /// </summary>
    public void Start()
    {
        lock (_watch)
            _hasStarted = true;
        _transport.Streams.Add(this);
        _transport.Sockets.Begin();
        try
        {
            _watch.Arm();
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    /// <inheritdoc/>
    public override void Write(SharedFrame frame, Range bytes)
    {
        lock (_watch)
        {
            if (_state == State.Open)
                WriteOpen(frame, bytes);
        }
    }

    private void WriteOpen(SharedFrame frame, Range bytes)
    {
        try
        {
            if (_queue is null)
            {
                Send(frame, bytes);
            }
            else
            {
                _queue.Add(frame, bytes, isExempt: !_hasStarted);
                CheckBound(_queue);
            }
        }
        catch (ObjectDisposedException)
        {
            // Cut while it was still a connection for requests, a moment before it became a stream.
            Close(DisconnectReason.Reset);
        }
        catch (Exception e)
        {
            // The stream has a gap, so it can't go on. The sender and the other peers can.
            TransportLog.StreamFailed(_transport.Logger, e);
            Close(DisconnectReason.ServerError);
        }
    }

    private void Send(SharedFrame frame, Range bytes)
    {
        // The silence is counted from before the send: a peer that has read what was sent may rely on it.
        _lastProgress = _transport.Clock.Now;
        ReadOnlySpan<byte> span = frame.Span[bytes];
        int sent = Math.Max(0, _socket.Send(span, SocketFlags.None, out SocketError error));
        BytesSent += sent;
        if (sent == span.Length && error == SocketError.Success)
            return;
        if (error is SocketError.Success or SocketError.WouldBlock)
            BeginQueue(frame, (bytes.Start.Value + sent)..bytes.End);
        else
            Close(DisconnectReason.Reset);
    }

    /// <inheritdoc/>
    public override void Complete(DisconnectReason reason)
    {
        lock (_watch)
        {
            if (_state == State.Open && IsChunked)
                Write(_transport.LastChunk, 0.._transport.LastChunk.Length);
            if (_state != State.Open)
                return;
            _reason = reason;
            _state = State.Completing;
            if (_queue is null)
                HalfClose();
        }
    }

    /// <inheritdoc/>
    public override void Abort(DisconnectReason reason)
    {
        lock (_watch)
            Close(reason);
    }

    /// <summary>Called when time has passed: a heartbeat after long silence, an end for a peer that takes nothing.</summary>
    public void OnTick(long now)
    {
        // Looked at without the lock first: nearly always there is nothing to do, for each of thousands of streams.
        if (now - Volatile.Read(ref _lastProgress) < _transport.ShortestPatience && Volatile.Read(ref _queue) is null)
            return;
        lock (_watch)
        {
            if (_queue is not null && _state != State.Closed && _queue.Progress.Look())
                _lastProgress = now;
            long silent = now - _lastProgress;
            if (_state == State.HalfClosed)
            {
                if (silent >= _transport.LingerTimeout)
                    Close(_reason);
            }
            else if (_queue is not null)
            {
                if (silent >= _transport.StallTimeout)
                    Close(DisconnectReason.Stalled);
                else
                    CheckBound(_queue);
            }
            else if (_state == State.Open && silent >= _transport.HeartbeatInterval)
            {
                Write(_transport.Heartbeat, IsChunked ? 0.._transport.Heartbeat.Length : _transport.PlainHeartbeat);
            }
        }
    }

    private void BeginQueue(SharedFrame frame, Range bytes)
    {
        var progress = new ReadProgress(() => _transport.BytesAcknowledged(_socket), _transport.Clock.Time);
        var queue = new SendQueue(_transport.Frames, progress) { KernelBytes = SocketSettings.SendBufferOf(_socket) };
        try
        {
            queue.Add(frame, bytes, isExempt: !_hasStarted);
        }
        catch
        {
            queue.Clear();
            throw;
        }

        _queue = queue;
        _transport.Budget.Enter(queue.KernelBytes);
        _ = SendQueueAsync(queue);
    }

    private void CheckBound(SendQueue queue)
    {
        MemoryBudget budget = _transport.Budget;
        if (!budget.IsTooFarBehind(queue.Length, queue.KernelBytes, queue.Exempt))
            return;
        if (!budget.MaySpare(queue.Length, queue.Progress.IsReading, queue.Progress.IsNew, queue.Exempt))
            Close(DisconnectReason.BacklogFull);
    }

    /// <summary>
    /// The other half of what it may have is for what can't wait: what others publish, and the leaves of those that have joined.
    /// </summary>
    private bool HasRoom(SendQueue queue) =>
        !_transport.Budget.IsTooFarBehind(2 * queue.Length, queue.KernelBytes, 2 * queue.Exempt);

    /// <summary>
    /// Sends the queue until it is empty or the connection is closed. An error of ours ends the stream, and nothing else.
    /// </summary>
    private async Task SendQueueAsync(SendQueue queue)
    {
        DisconnectReason reason = DisconnectReason.Reset;
        try
        {
            if (await TrySendAllAsync(queue).ConfigureAwait(false))
                return;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The peer is gone, or the connection was closed.
        }
        catch (Exception e)
        {
            TransportLog.StreamFailed(_transport.Logger, e);
            reason = DisconnectReason.ServerError;
        }

        lock (_watch)
        {
            Close(reason);
            queue.Clear();
            Leave(queue);
        }
    }

    /// <summary>False: the connection was closed first. The lock is held only between sends.</summary>
    private async ValueTask<bool> TrySendAllAsync(SendQueue queue)
    {
        ReadOnlyMemory<byte> head;
        lock (_watch)
            head = queue.Head;
        while (true)
        {
            int sent = await _socket.SendAsync(head[..Math.Min(head.Length, PieceLength)], SocketFlags.None).ConfigureAwait(false);
            lock (_watch)
            {
                if (_state == State.Closed)
                    return false;

                _lastProgress = _transport.Clock.Now;
                BytesSent += sent;
                head = head[sent..];
                if (!head.IsEmpty)
                    continue;
                queue.RemoveHead();
                if (queue.IsEmpty)
                {
                    _queue = null;
                    Leave(queue);
                    if (_state == State.Completing)
                        HalfClose();
                    return true;
                }

                if (queue.Room is not null && HasRoom(queue))
                    TellOfRoom(queue);
                head = queue.Head;
            }
        }
    }

    private void Leave(SendQueue queue)
    {
        _transport.Budget.Leave(queue.KernelBytes);
        TellOfRoom(queue);
    }

    private static void TellOfRoom(SendQueue queue)
    {
        queue.Room?.TrySetResult();
        queue.Room = null;
    }

    /// <summary>
    /// Everything was sent: sends a FIN. Closing now could turn into a reset and lose what is on its way, so the peer's FIN is awaited.
    /// </summary>
    private void HalfClose()
    {
        _state = State.HalfClosed;
        _lastProgress = _transport.Clock.Now;
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Close(_reason);
        }
    }

    /// <summary>Closes the socket; the receive that is pending then ends, and with it the connection.</summary>
    private void Close(DisconnectReason reason)
    {
        if (_state == State.Closed)
            return;
        if (_reason == DisconnectReason.None)
            _reason = reason;
        _state = State.Closed;
        _socket.Dispose();
    }

    private int Receive(Span<byte> scratch, out SocketError error)
    {
        try
        {
            return _socket.Receive(scratch, SocketFlags.None, out error);
        }
        catch (ObjectDisposedException)
        {
            error = SocketError.OperationAborted;
            return 0;
        }
    }

    private void OnReadable(SocketError error)
    {
        Span<byte> scratch = stackalloc byte[512];
        lock (_watch)
        {
            while (_state != State.Closed)
            {
                int received = 0;
                if (error == SocketError.Success)
                    received = Receive(scratch, out error);
                if (error == SocketError.WouldBlock)
                    break;
                if (error != SocketError.Success)
                    Close(DisconnectReason.Reset);
                else if (received == 0)
                    Close(DisconnectReason.ClosedByPeer);
                else if ((_input += received) > _transport.InputLimit)
                    Close(DisconnectReason.TooMuchInput);
            }
        }
    }

    /// <summary>Nothing listens for the peer's end any more, so this is the end.</summary>
    private void Fail(Exception e)
    {
        TransportLog.StreamFailed(_transport.Logger, e);
        lock (_watch)
            Close(DisconnectReason.ServerError);
        if (!_hasEnded)
            OnEnded();
    }

    private void OnEnded()
    {
        _hasEnded = true;
        _watch.Dispose();
        _transport.OnEnded(this, new SinkEnd(_reason, (_transport.Clock.Now - _openedAt) / MillisecondsPerSecond, BytesSent));
    }

    /// <summary>
    /// The pending zero-byte receive. Its callbacks are those of the socket engine: no task, no state machine, no exception.
    /// </summary>
    private sealed class EndWatch : SocketAsyncEventArgs
    {
        private readonly EventStreamConnection _connection;

        public EndWatch(EventStreamConnection connection)
            : base(true)
        {
            _connection = connection;
            SetBuffer(Array.Empty<byte>(), 0, 0);
        }

        public void Arm()
        {
            while (true)
            {
                if (_connection._state == State.Closed)
                    break;
                try
                {
                    if (_connection._socket.ReceiveAsync(this))
                        return;
                }
                catch (ObjectDisposedException)
                {
                    break;
                }

                _connection.OnReadable(SocketError);
            }

            _connection.OnEnded();
        }

        protected override void OnCompleted(SocketAsyncEventArgs e)
        {
            // No caller would catch it, and the process would end.
            try
            {
                _connection.OnReadable(SocketError);
                Arm();
            }
            catch (Exception exception)
            {
                _connection.Fail(exception);
            }
        }
    }
}
