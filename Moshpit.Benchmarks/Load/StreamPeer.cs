using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Moshpit.Benchmarks.Polling;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// A listener. All of them receive into one buffer and look for nothing but the end of each event and the payload in it, so that the
/// receiving side costs little beside the server.
/// </summary>
internal sealed class StreamPeer : PolledSocket
{
    private readonly Swarm _swarm;
    private byte[] _rest = [];
    private State _state;

    public StreamPeer(Socket socket, Swarm swarm, SwarmChannel channel, int index, int lanes)
        : base(socket)
    {
        _swarm = swarm;
        Channel = channel;
        Index = index;
        Next = new int[lanes];
        Sent = new int[lanes];
    }

    private enum State : byte
    {
        Head,
        FirstEvent,
        Joined,
    }

    public SwarmChannel Channel { get; }

    /// <summary>Its place in the channel.</summary>
    public int Index { get; }

    public string Cid { get; set; } = "";

    public string Token { get; set; } = "";

    /// <summary>For each publisher of the channel, the sequence that must come next.</summary>
    public int[] Next { get; }

    /// <summary>For each publisher of the channel, how many messages were sent to this peer alone in this run.</summary>
    public int[] Sent { get; }

    /// <summary>The message to this peer alone, ready but for its number.</summary>
    public PostTemplate? Direct { get; set; }

    public override void OnReady()
    {
        byte[] buffer = _swarm.Buffer;
        if (_rest.Length > buffer.Length / 2)
            throw new BenchmarkException("The server sent an event without end.");
        _rest.CopyTo(buffer, 0);
        int received = Socket.Receive(buffer.AsSpan(_rest.Length), SocketFlags.None, out SocketError error);
        if (error == SocketError.WouldBlock)
            return;
        if (error != SocketError.Success || received == 0)
        {
            if (_state != State.Joined)
                throw new BenchmarkException("The server closed a stream before it began.");
            _swarm.OnEnded(this);
            return;
        }

        ReadOnlySpan<byte> bytes = buffer.AsSpan(0, _rest.Length + received);
        if (_state == State.Head)
            bytes = ReadHead(bytes);
        if (_state != State.Head)
            bytes = ReadEvents(bytes);
        if (!bytes.IsEmpty || _rest.Length > 0)
            _rest = bytes.ToArray();
    }

    private ReadOnlySpan<byte> ReadHead(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> end = "\r\n\r\n"u8;
        int length = bytes.IndexOf(end);
        if (length < 0)
            return bytes;
        string head = Encoding.ASCII.GetString(bytes[..length]);
        string[] statusLine = head.Split("\r\n")[0].Split(' ');
        if (statusLine.Length < 2 || !int.TryParse(statusLine[1], NumberStyles.None, CultureInfo.InvariantCulture, out int status))
            throw new BenchmarkException("The server does not speak HTTP.");
        if (status is not (200 or 201))
            throw new BenchmarkException($"The server answered {status} where a stream was asked for.");
        if (head.Contains("\ntransfer-encoding:", StringComparison.OrdinalIgnoreCase))
            throw new BenchmarkException("The server sends a stream in chunks to a client of HTTP/1.0, which can't be measured.");
        Advance(_swarm.Dialect.JoinsByEvent ? State.FirstEvent : State.Joined);
        return bytes[(length + end.Length)..];
    }

    private ReadOnlySpan<byte> ReadEvents(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> end = "\n\n"u8;
        long now = Stopwatch.GetTimestamp();
        int length;
        while ((length = bytes.IndexOf(end)) >= 0)
        {
            ReadEvent(bytes[..length], now);
            bytes = bytes[(length + end.Length)..];
        }

        return bytes;
    }

    private void ReadEvent(ReadOnlySpan<byte> text, long now)
    {
        if (_state == State.FirstEvent)
        {
            _swarm.Dialect.OnJoined(this, text);
            Advance(State.Joined);
            return;
        }

        ReadOnlySpan<byte> field = "data:"u8;
        int at = text.IndexOf(field);
        if (at < 0)
            return;
        ReadOnlySpan<byte> data = text[(at + field.Length)..];
        int end = data.IndexOf((byte)'\n');
        data = (end < 0 ? data : data[..end]).TrimStart((byte)' ');
        if (data.Length >= 2 && data[0] == '"' && data[^1] == '"')
            data = data[1..^1];
        if (Payload.TryRead(data, _swarm.PayloadLength, out uint number))
            _swarm.OnDelivery(this, number, now);
    }

    private void Advance(State state)
    {
        _state = state;
        if (state == State.Joined)
            _swarm.OnJoined(this);
    }
}
