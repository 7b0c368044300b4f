using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Net.Sockets;
using System.Text;
using Moshpit.Benchmarks.Polling;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// A listener. All of them receive into one buffer and look for nothing but the end of each event and the payload in it, so that the
/// receiving side costs little beside the server; or, where deliveries are only counted, for nothing.
/// </summary>
internal sealed class StreamPeer : LoadSocket
{
    private const int DiscardLength = 1 << 24;
    private const int Truncate = 0x20;
    private const int ErrorWouldBlock = 11;

    private readonly Swarm _swarm;
    private byte[]? _request;
    private byte[] _rest = [];
    private byte[] _partialEvent = [];
    private bool _isChunked;
    private State _state;

    /// <summary>The last of <paramref name="channel"/>.</summary>
    public StreamPeer(LoadConnection connection, Swarm swarm, SwarmChannel channel)
        : base(connection)
    {
        _swarm = swarm;
        Channel = channel;
        Index = channel.Peers.Count;
        Next = new int[swarm.Lanes];
        Session = swarm.Dialect.CreateSession();
    }

    /// <summary>The next stream of the session of <paramref name="earlier"/>, which has ended.</summary>
    public StreamPeer(LoadConnection connection, StreamPeer earlier)
        : base(connection)
    {
        _swarm = earlier._swarm;
        Channel = earlier.Channel;
        Index = earlier.Index;
        Cid = earlier.Cid;
        Token = earlier.Token;
        Next = earlier.Next;
        Session = earlier.Session;
    }

    private enum State : byte
    {
        Head,
        FirstEvent,
        Joined,
    }

    public SwarmChannel Channel { get; }

    private static ReadOnlySpan<byte> EventEnd => "\n\n"u8;

    /// <summary>Its place in the channel.</summary>
    public int Index { get; }

    /// <summary>What outlives this stream; null: a plain peer.</summary>
    public PeerSession? Session { get; }

    public string Cid { get; set; } = "";

    public string Token { get; set; } = "";

    /// <summary>For each publisher of the channel, the sequence that must come next.</summary>
    public int[] Next { get; }

    /// <summary>This peer alone, where it is spoken to in this run.</summary>
    public Audience? Alone { get; set; }

    /// <summary>The peers that get what this peer gets, where bytes are counted in this run; null: every delivery is checked.</summary>
    public Audience? CountedWith { get; private set; }

    /// <summary>Bytes that came since they are counted.</summary>
    public long Bytes { get; set; }

    /// <summary>Messages that came since bytes are counted.</summary>
    public long Position { get; set; }

    /// <summary>The message to this peer alone, ready but for its number.</summary>
    public PostTemplate? Direct { get; set; }

    /// <summary>Counts bytes from now on, as one of <paramref name="audience"/>; null: checks deliveries.</summary>
    public void CountWith(Audience? audience)
    {
        if (_rest.Length + _partialEvent.Length > 0 && audience is not null)
            throw new BenchmarkException("A stream stands within an event where counting is to begin.");
        CountedWith = audience;
        Bytes = 0;
        Position = 0;
    }

    /// <summary>Sends the request for the stream; if the connection is still under way, as soon as it is there.</summary>
    public void Ask(byte[] request)
    {
        Send(request, out SocketError error);
        bool waits = error == SocketError.WouldBlock;
        if (waits != (_request is not null))
            _swarm.Epoll.WatchWrites(this, watch: waits);
        _request = waits ? request : null;
        if (!waits && error != SocketError.Success)
            throw new BenchmarkException($"A stream could not be asked for: {error}.");
    }

    public override void OnReady()
    {
        if (_request is { } request)
            Ask(request);
        if (CountedWith is not null)
            Count();
        else
            Read();
    }

    /// <summary>Linux drops what came without copying it, and tells how much that was.</summary>
    private unsafe void Count()
    {
        nint received = LibC.Receive(Descriptor, null, DiscardLength, Truncate);
        if (received > 0)
            _swarm.OnBytes(this, received);
        else if (received == 0 || Marshal.GetLastPInvokeError() != ErrorWouldBlock)
            _swarm.OnEnded(this);
    }

    private void Read()
    {
        byte[] buffer = _swarm.Buffer;
        if (Math.Max(_rest.Length, _partialEvent.Length) > buffer.Length / 2)
            throw new BenchmarkException("The server sent an event without end.");
        _rest.CopyTo(buffer, 0);
        int received = Receive(buffer.AsMemory(_rest.Length), out SocketError error);
        if (error == SocketError.WouldBlock)
            return;
        if (error != SocketError.Success || received == 0)
        {
            End();
            return;
        }

        ReadOnlySpan<byte> bytes = buffer.AsSpan(0, _rest.Length + received);
        if (_state == State.Head)
            bytes = ReadHead(bytes);
        if (_state != State.Head)
            bytes = _isChunked ? ReadChunks(bytes) : ReadEvents(bytes, null);
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
        _isChunked = head.Contains("\ntransfer-encoding:", StringComparison.OrdinalIgnoreCase);
        Advance(_swarm.Dialect.JoinsByEvent ? State.FirstEvent : State.Joined);
        return bytes[(length + end.Length)..];
    }

    /// <summary>Reads whole chunks; what is left of <paramref name="bytes"/>.</summary>
    private ReadOnlySpan<byte> ReadChunks(ReadOnlySpan<byte> bytes)
    {
        long now = Stopwatch.GetTimestamp();
        while (Chunk.TryRead(bytes, out ReadOnlySpan<byte> data, out int length))
        {
            bytes = bytes[length..];
            if (data.IsEmpty)
            {
                End();
                return default;
            }

            // A moshpit sends each event as one chunk. A proxy may cut and join chunks.
            if (_partialEvent.Length == 0 && data.EndsWith(EventEnd) && data.IndexOf(EventEnd) == data.Length - EventEnd.Length)
                ReadEvent(data, length, now);
            else
                _partialEvent = ReadEvents([.. _partialEvent, .. data], Swarm.Uneven).ToArray();
        }

        return bytes;
    }

    /// <summary>Reads whole events; what is left of <paramref name="bytes"/>.</summary>
    /// <param name="bytes">What came.</param>
    /// <param name="eventLength">How many bytes each event took on the connection, if that is not its own length.</param>
    private ReadOnlySpan<byte> ReadEvents(ReadOnlySpan<byte> bytes, int? eventLength)
    {
        long now = Stopwatch.GetTimestamp();
        int end;
        while ((end = bytes.IndexOf(EventEnd)) >= 0)
        {
            int whole = end + EventEnd.Length;
            ReadEvent(bytes[..whole], eventLength ?? whole, now);
            bytes = bytes[whole..];
        }

        return bytes;
    }

    private void ReadEvent(ReadOnlySpan<byte> text, int length, long now)
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
        _swarm.Dialect.OnEvent(this, text);
        ReadOnlySpan<byte> data = text[(at + field.Length)..];
        int end = data.IndexOf((byte)'\n');
        data = (end < 0 ? data : data[..end]).TrimStart((byte)' ');
        if (data.Length >= 2 && data[0] == '"' && data[^1] == '"')
            data = data[1..^1];
        if (Payload.TryRead(data, _swarm.PayloadLength, out uint number))
            _swarm.OnDelivery(this, number, length, now);
    }

    private void End()
    {
        if (_state != State.Joined)
            throw new BenchmarkException("The server closed a stream before it began.");
        _swarm.OnEnded(this);
    }

    private void Advance(State state)
    {
        _state = state;
        if (state == State.Joined)
            _swarm.OnJoined(this);
    }
}
