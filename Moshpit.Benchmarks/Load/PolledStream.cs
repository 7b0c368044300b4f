using System.Net.Sockets;
using System.Threading.Tasks.Sources;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// A socket as a stream for <see cref="System.Net.Security.SslStream"/>. An asynchronous read that finds nothing waits for
/// <see cref="OnReadable"/>, and goes on within that call. A write never waits: what the socket has no room for is kept.
/// </summary>
internal sealed class PolledStream(Socket socket) : Stream, IValueTaskSource<int>
{
    // Continuations run at once, on the thread that completes the read.
    private ManualResetValueTaskSourceCore<int> _read;
    private Memory<byte> _target;
    private bool _isReadable;
    private byte[] _unsent = [];
    private int _unsentLength;

    /// <summary>A read waits for <see cref="OnReadable"/>.</summary>
    public bool IsWaiting { get; private set; }

    /// <summary>Written bytes wait for room in the socket.</summary>
    public bool HasUnsent => _unsentLength > 0;

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Allows one receive from the socket, and continues the read that waits.</summary>
    public void OnReadable()
    {
        _isReadable = true;
        if (!IsWaiting || !TryReceive(_target, out int count))
            return;
        IsWaiting = false;
        _target = default;
        _read.SetResult(count);
    }

    /// <summary>Sends what waits, as far as there is room.</summary>
    public void SendWaiting()
    {
        if (_unsentLength == 0)
            return;
        int sent = socket.Send(_unsent.AsSpan(0, _unsentLength), SocketFlags.None, out SocketError error);
        if (error == SocketError.WouldBlock)
            return;
        if (error != SocketError.Success)
            throw new SocketException((int)error);
        _unsentLength -= sent;
        _unsent.AsSpan(sent, _unsentLength).CopyTo(_unsent);
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_isReadable && TryReceive(buffer, out int count))
            return new ValueTask<int>(count);
        _read.Reset();
        _target = buffer;
        IsWaiting = true;
        return new ValueTask<int>(this, _read.Version);
    }

    /// <summary>For the handshake, while the socket blocks.</summary>
    public override int Read(Span<byte> buffer) => socket.Receive(buffer);

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (_unsent.Length < _unsentLength + buffer.Length)
            Array.Resize(ref _unsent, (_unsentLength + buffer.Length) * 2);
        buffer.CopyTo(_unsent.AsSpan(_unsentLength));
        _unsentLength += buffer.Length;
        SendWaiting();
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Write(buffer.Span);
        return default;
    }

    public override void Flush()
    {
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    int IValueTaskSource<int>.GetResult(short token) => _read.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _read.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _read.OnCompleted(continuation, state, token, flags);

    /// <summary>Receives once for each <see cref="OnReadable"/>. A read of no bytes only asks whether something came.</summary>
    private bool TryReceive(Memory<byte> buffer, out int count)
    {
        count = 0;
        if (buffer.IsEmpty)
            return true;
        _isReadable = false;
        count = socket.Receive(buffer.Span, SocketFlags.None, out SocketError error);
        return error switch
        {
            SocketError.Success => true,
            SocketError.WouldBlock => false,
            _ => throw new SocketException((int)error),
        };
    }
}
