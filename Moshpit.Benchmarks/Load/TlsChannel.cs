using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// TLS for a socket of the loop. The handshake blocks. Afterwards nothing does, and all work is done within the calls, on the thread of
/// the loop: <see cref="SslStream"/> reads from a <see cref="PolledStream"/>, which completes its reads when the loop finds the socket
/// readable.
/// </summary>
internal sealed class TlsChannel : IDisposable
{
    /// <summary>
    /// Bytes that one receive leads to, at most: <see cref="SslStream"/> reads 32 KiB at once, and may hold a part of a record (16 KiB)
    /// from before.
    /// </summary>
    public const int MostReceived = 64 * 1024;

    private const int HandshakePatienceMilliseconds = 10_000;

    private readonly PolledStream _socket;
    private readonly SslStream _ssl;
    private ValueTask<int>? _wait;

    private TlsChannel(Socket socket)
    {
        _socket = new PolledStream(socket);
        _ssl = new SslStream(_socket);
    }

    /// <summary>Encrypted bytes wait for room in the socket.</summary>
    public bool HasUnsent => _socket.HasUnsent;

    /// <summary>Does the handshake on <paramref name="socket"/>, which must still block.</summary>
    /// <exception cref="BenchmarkException">It failed.</exception>
    public static TlsChannel Open(Socket socket, string host, bool trustsAll)
    {
        var channel = new TlsChannel(socket);
        var errors = SslPolicyErrors.None;
        try
        {
            socket.ReceiveTimeout = HandshakePatienceMilliseconds;
            channel._ssl.AuthenticateAsClient(new SslClientAuthenticationOptions
            {
                TargetHost = host,
                ApplicationProtocols = [SslApplicationProtocol.Http11],
                RemoteCertificateValidationCallback = (_, _, _, found) => trustsAll || (errors = found) == SslPolicyErrors.None,
            });
            return channel;
        }
        catch (Exception e) when (e is AuthenticationException or IOException or SocketException)
        {
            channel.Dispose();
            throw new BenchmarkException(errors == SslPolicyErrors.None
                ? $"No TLS with the server: {e.Message}"
                : $"The server's certificate is not valid ({errors}); --insecure accepts any certificate.");
        }
    }

    /// <summary>Takes all of <paramref name="bytes"/>, or, while encrypted ones wait for room in the socket, none.</summary>
    public int Send(ReadOnlySpan<byte> bytes, out SocketError error)
    {
        try
        {
            _socket.SendWaiting();
            error = _socket.HasUnsent ? SocketError.WouldBlock : SocketError.Success;
            if (_socket.HasUnsent || bytes.IsEmpty)
                return 0;
            _ssl.Write(bytes);
            return bytes.Length;
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            error = SocketError.ConnectionReset;
            return 0;
        }
    }

    /// <summary>
    /// Receives once, and gives everything that can be decrypted. Nothing may be left in the stream: the loop only looks here again when
    /// more comes.
    /// </summary>
    public int Receive(Memory<byte> buffer, out SocketError error)
    {
        int received = 0;
        error = SocketError.Success;
        try
        {
            _socket.OnReadable();
            while (IsReadable())
            {
                int count = _ssl.Read(buffer.Span[received..]);
                if (count == 0)
                    return received;
                received += count;
            }
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            error = SocketError.ConnectionReset;
            return 0;
        }

        if (received == 0)
            error = SocketError.WouldBlock;
        return received;
    }

    public void Dispose() => _ssl.Dispose();

    /// <summary>Whether a read would not wait. A read of no bytes waits until there is something, and holds no buffer meanwhile.</summary>
    private bool IsReadable()
    {
        ValueTask<int> wait = _wait ?? _ssl.ReadAsync(Memory<byte>.Empty);
        _wait = wait;
        if (!wait.IsCompleted)
        {
            return _socket.IsWaiting
                ? false
                : throw new InvalidOperationException("SslStream went on elsewhere than on the thread of the loop.");
        }

        _wait = null;
        wait.GetAwaiter().GetResult();
        return true;
    }
}
