using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Moshpit.Tests.Support;

/// <summary>A client that says exactly the bytes it is told to, and reads what comes. Text is Latin-1, so every byte survives.</summary>
internal sealed class RawConnection : IDisposable
{
    /// <summary>How long anything may take on a loaded machine before the test fails. Nothing ever waits this long when all is well.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly StringBuilder _received = new();
    private readonly byte[] _buffer = new byte[64 * 1024];

    private RawConnection(Socket socket) => Socket = socket;

    public Socket Socket { get; }

    public static RawConnection Connect(int port) => Connect(new IPEndPoint(IPAddress.Loopback, port));

    public static RawConnection Connect(EndPoint endPoint, Action<Socket>? configure = null)
    {
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        configure?.Invoke(socket);
        socket.Connect(endPoint);
        if (endPoint is IPEndPoint)
            socket.NoDelay = true;
        return new RawConnection(socket);
    }

    public void Send(string text) => Send(Encoding.Latin1.GetBytes(text));

    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[Socket.Send(bytes)..];
    }

    /// <summary>Says that nothing more will be sent.</summary>
    public void SendEnd() => Socket.Shutdown(SocketShutdown.Send);

    /// <summary>Closes with a reset instead of a FIN.</summary>
    public void Reset()
    {
        Socket.LingerState = new LingerOption(true, 0);
        Socket.Dispose();
    }

    /// <summary>Reads up to and including <paramref name="end"/>; what came after it is kept for the next call.</summary>
    public async Task<string> ReadUntilAsync(string end)
    {
        int from = 0;
        while (true)
        {
            string text = _received.ToString();
            int found = text.IndexOf(end, from, StringComparison.Ordinal);
            if (found >= 0)
                return Take(found + end.Length);
            from = Math.Max(0, text.Length - end.Length);
            if (!await ReceiveAsync())
                Assert.Fail($"The connection ended before {Quote(end)} came; what came is {Quote(text)}.");
        }
    }

    public async Task<string> ReadAsync(int count)
    {
        while (_received.Length < count)
        {
            if (!await ReceiveAsync())
                Assert.Fail($"The connection ended before {count} bytes came; what came is {Quote(_received.ToString())}.");
        }

        return Take(count);
    }

    /// <summary>Reads all that comes until the server closes. A reset fails the test: it can lose what was sent before it.</summary>
    public async Task<string> ReadToEndAsync()
    {
        while (await ReceiveAsync())
        {
        }

        return Take(_received.Length);
    }

    /// <summary>Reads one response with a Content-Length, or one whose status has no body.</summary>
    public async Task<RawResponse> ReadResponseAsync(bool head = false)
    {
        string header = await ReadUntilAsync("\r\n\r\n");
        var response = new RawResponse(header);
        return response.Length is { } length && !head ? response with { Body = await ReadAsync(length) } : response;
    }

    public void Dispose() => Socket.Dispose();

    private static string Quote(string text) => '"' + text.Replace("\r", "\\r").Replace("\n", "\\n") + '"';

    private string Take(int count)
    {
        string taken = _received.ToString(0, count);
        _received.Remove(0, count);
        return taken;
    }

    private async Task<bool> ReceiveAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        int count = 0;
        try
        {
            count = await Socket.ReceiveAsync(_buffer, patience.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"Nothing came for {Patience}; before that came {Quote(_received.ToString())}.");
        }

        _received.Append(Encoding.Latin1.GetString(_buffer, 0, count));
        return count > 0;
    }
}
