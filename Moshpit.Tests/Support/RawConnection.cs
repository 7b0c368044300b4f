using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Moshpit.Tests.Support;

/// <summary>A client that says exactly the bytes it is told to, and reads what comes. Text is Latin-1, so every byte survives.</summary>
internal sealed class RawConnection : IDisposable
{
    /// <summary>
    /// How long anything may take on a loaded machine before the test fails. Nothing ever waits this long when all is well.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>Pieces in which a throttled connection reads.</summary>
    private const int SlicesPerSecond = 50;

    private byte[] _buffer = new byte[4096];
    private int _start;
    private int _end;
    private ChunkedEvents? _chunks;
    private long _throttledSince;
    private long _throttled;

    private RawConnection(Socket socket) => Socket = socket;

    public Socket Socket { get; }

    /// <summary>Reads no faster than this from now on, as over a line of that speed; 0: as fast as it can.</summary>
    public int BytesPerSecond
    {
        get;
        set
        {
            field = value;
            _throttledSince = Stopwatch.GetTimestamp();
            _throttled = 0;
        }
    }

    /// <summary>
    /// The way to the server may break at any byte: a reset is an end, and what came in part before the end is as if it had not come.
    /// </summary>
    public bool MayBreak { get; init; }

    /// <summary>The event stream ended in good order: its last chunk came, and the end after it.</summary>
    public bool SawLastChunk => _chunks?.HasEnded == true;

    public static RawConnection Connect(int port) => Connect(new IPEndPoint(IPAddress.Loopback, port));

    public static RawConnection Connect(EndPoint endPoint, Action<Socket>? configure = null, bool mayBreak = false)
    {
        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        configure?.Invoke(socket);
        socket.Connect(endPoint);
        if (endPoint is IPEndPoint)
            socket.NoDelay = true;
        return new RawConnection(socket) { MayBreak = mayBreak };
    }

    /// <summary>A connection to loopback whose client can take but little before it reads.</summary>
    public static RawConnection ConnectNarrow(int port) =>
        Connect(new IPEndPoint(IPAddress.Loopback, port), socket => socket.ReceiveBufferSize = 4096);

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
    public async Task<string> ReadUntilAsync(string end) =>
        await TryReadUntilAsync(end) ?? throw Failure($"The connection ended before {Quote(end)} came");

    /// <summary>As <see cref="ReadUntilAsync"/>, but null when the server closed with nothing left to read.</summary>
    public async Task<string?> TryReadUntilAsync(string end)
    {
        byte[] pattern = Encoding.Latin1.GetBytes(end);
        int searched = 0;
        while (true)
        {
            int found = Received[searched..].IndexOf(pattern);
            if (found >= 0)
                return Take(searched + found + pattern.Length);
            searched = Math.Max(0, Received.Length - pattern.Length + 1);
            if (await ReceiveAsync())
                continue;
            return Received.IsEmpty || MayBreak ? null : throw Failure($"The connection ended before {Quote(end)} came");
        }
    }

    public async Task<string> ReadAsync(int count)
    {
        while (Received.Length < count)
        {
            if (!await ReceiveAsync())
                throw Failure($"The connection ended before {count} bytes came");
        }

        return Take(count);
    }

    /// <summary>Reads all that comes until the server closes. A reset fails the test: it can lose what was sent before it.</summary>
    public async Task<string> ReadToEndAsync()
    {
        while (await ReceiveAsync())
        {
        }

        return Take(Received.Length);
    }

    /// <summary>Reads all that comes; for when it does not matter how the server closes.</summary>
    public async Task ReadToEndOrResetAsync()
    {
        try
        {
            await ReadToEndAsync();
        }
        catch (SocketException)
        {
            // A reset is an end too.
        }
    }

    /// <summary>
    /// Reads a response's head. Where a chunked event stream follows, everything read from now on is its events, without the chunks.
    /// </summary>
    public async Task<RawResponse> ReadHeadAsync() =>
        await TryReadHeadAsync() ?? throw Failure("The connection ended before a response came");

    /// <summary>As <see cref="ReadHeadAsync"/>, but null when the server closed with nothing left to read.</summary>
    public async Task<RawResponse?> TryReadHeadAsync()
    {
        if (await TryReadUntilAsync("\r\n\r\n") is not { } head)
            return null;
        var response = new RawResponse(head);
        if (response["Transfer-Encoding"] == "chunked")
        {
            byte[] begun = Received.ToArray();
            (_start, _end) = (0, 0);
            _chunks = new ChunkedEvents();
            Decode(begun);
        }

        return response;
    }

    /// <summary>Reads one response with a Content-Length, or one whose status has no body.</summary>
    public async Task<RawResponse> ReadResponseAsync(bool head = false)
    {
        string header = await ReadUntilAsync("\r\n\r\n");
        var response = new RawResponse(header);
        return response.Length is { } length && !head ? response with { Body = await ReadAsync(length) } : response;
    }

    /// <summary>As <see cref="ReadResponseAsync"/>, but null when the connection broke before all of it came.</summary>
    public async Task<RawResponse?> TryReadResponseAsync()
    {
        if (await TryReadUntilAsync("\r\n\r\n") is not { } header)
            return null;
        var response = new RawResponse(header);
        while (Received.Length < (response.Length ?? 0))
        {
            if (!await ReceiveAsync())
                return null;
        }

        return response with { Body = Take(response.Length ?? 0) };
    }

    public void Dispose() => Socket.Dispose();

    private static string Quote(string text) => '"' + text.Replace("\r", "\\r").Replace("\n", "\\n") + '"';

    private ReadOnlySpan<byte> Received => _buffer.AsSpan(_start, _end - _start);

    private AssertionException Failure(string what) =>
        new($"{what}; what came is {Quote(Encoding.Latin1.GetString(Received[^Math.Min(Received.Length, 2000)..]))}.");

    private string Take(int count)
    {
        string taken = Encoding.Latin1.GetString(Received[..count]);
        _start += count;
        return taken;
    }

    private async Task<bool> ReceiveAsync()
    {
        MakeRoom();
        if (BytesPerSecond > 0)
            await WhenInRateAsync();
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            if (_chunks is null)
            {
                int count = await Socket.ReceiveAsync(_buffer.AsMemory(_end), patience.Token);
                _end += count;
                return count > 0;
            }

            byte[] piece = new byte[BytesPerSecond > 0 ? Math.Max(1, BytesPerSecond / SlicesPerSecond) : _buffer.Length - _end];
            int received = await Socket.ReceiveAsync(piece, patience.Token);
            _throttled += received;
            Decode(piece.AsSpan(0, received));
            return received > 0;
        }
        catch (OperationCanceledException)
        {
            throw Failure($"Nothing came for {Patience}");
        }
        catch (SocketException) when (MayBreak)
        {
            return false;
        }
    }

    /// <summary>Waits until what was read so far would have come over a line of that speed.</summary>
    private async Task WhenInRateAsync()
    {
        TimeSpan due = TimeSpan.FromSeconds((double)_throttled / BytesPerSecond) - Stopwatch.GetElapsedTime(_throttledSince);
        if (due > TimeSpan.Zero)
            await Task.Delay(due);
    }

    private void Decode(ReadOnlySpan<byte> bytes)
    {
        if (_buffer.Length < _end + bytes.Length)
            Array.Resize(ref _buffer, _end + bytes.Length);
        _chunks!.Decode(bytes, next => _buffer[_end++] = next);
    }

    private void MakeRoom()
    {
        if (_start > 0)
        {
            Received.CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end > _buffer.Length / 2)
            Array.Resize(ref _buffer, _buffer.Length * 2);
    }
}
