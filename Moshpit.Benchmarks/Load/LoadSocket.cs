using System.Net.Sockets;
using Moshpit.Benchmarks.Polling;

namespace Moshpit.Benchmarks.Load;

/// <summary>A socket of the load, which speaks to the server directly or through TLS.</summary>
internal abstract class LoadSocket(LoadConnection connection) : PolledSocket(connection.Socket)
{
    private readonly TlsChannel? _tls = connection.Tls;

    /// <summary>Bytes that <see cref="Send"/> took still wait for room in the socket. A call of it sends them.</summary>
    protected bool HasUnsent => _tls is { HasUnsent: true };

    /// <summary>Sends what the socket has room for; how many of <paramref name="bytes"/> were taken.</summary>
    public int Send(ReadOnlySpan<byte> bytes, out SocketError error) =>
        _tls is null ? Socket.Send(bytes, SocketFlags.None, out error) : _tls.Send(bytes, out error);

    public override void Dispose()
    {
        _tls?.Dispose();
        base.Dispose();
    }

    /// <summary>Receives once after the socket became readable; the number of bytes, 0 at the end.</summary>
    /// <param name="buffer">Where to; under TLS with room for <see cref="TlsChannel.MostReceived"/> bytes.</param>
    /// <param name="error"><see cref="SocketError.WouldBlock"/>: nothing came.</param>
    protected int Receive(Memory<byte> buffer, out SocketError error) =>
        _tls is null ? Socket.Receive(buffer.Span, SocketFlags.None, out error) : _tls.Receive(buffer, out error);
}
