using System.Buffers.Text;
using System.Net.Sockets;
using System.Text;
using Moshpit.Benchmarks.Polling;

namespace Moshpit.Benchmarks.Servers;

/// <summary>A connection of the <see cref="BareServer"/>: a publisher's, or, after a GET, a peer's.</summary>
internal sealed class BareConnection(Socket socket, BareServer server) : PolledSocket(socket)
{
    private const int WaitForRoomMicroseconds = 10_000_000;

    private byte[] _rest = [];
    private byte[] _frame = new byte[256];

    /// <summary>What a peer listens to; null for a publisher.</summary>
    public string? Channel { get; private set; }

    private static ReadOnlySpan<byte> StreamHead =>
        "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\nevent: connect\ndata: {}\n\n"u8;

    private static ReadOnlySpan<byte> Reply => "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"u8;

    private static ReadOnlySpan<byte> LengthField => "\r\nContent-Length: "u8;

    private static ReadOnlySpan<byte> FrameHead => "event: signal\ndata: "u8;

    private static ReadOnlySpan<byte> FrameEnd => "\n\n"u8;

    public override void OnReady()
    {
        byte[] buffer = server.Buffer;
        _rest.CopyTo(buffer, 0);
        int received = Socket.Receive(buffer.AsSpan(_rest.Length), SocketFlags.None, out SocketError error);
        if (error == SocketError.WouldBlock)
            return;
        if (error != SocketError.Success || received == 0)
        {
            server.Close(this);
            return;
        }

        ReadOnlySpan<byte> bytes = buffer.AsSpan(0, _rest.Length + received);
        int length;
        while ((length = Serve(bytes)) > 0)
            bytes = bytes[length..];
        _rest = bytes.ToArray();
    }

    /// <summary>
    /// Sends all of <paramref name="frame"/>, waiting for a peer that has no room: nothing may be lost, and a queue is not bare.
    /// </summary>
    public void Send(ReadOnlySpan<byte> frame)
    {
        while (true)
        {
            int sent = Socket.Send(frame, SocketFlags.None, out SocketError error);
            if (error == SocketError.Success)
                frame = frame[sent..];
            else if (error != SocketError.WouldBlock)
                return;
            if (frame.IsEmpty)
                return;
            Socket.Poll(WaitForRoomMicroseconds, SelectMode.SelectWrite);
        }
    }

    /// <summary>Serves the request that <paramref name="bytes"/> begins with; its length, or 0 when more is to come.</summary>
    private int Serve(ReadOnlySpan<byte> bytes)
    {
        int head = bytes.IndexOf("\r\n\r\n"u8);
        if (head < 0)
            return 0;
        ReadOnlySpan<byte> target = bytes[(bytes.IndexOf((byte)' ') + 1)..];
        target = target[..target.IndexOf((byte)' ')];
        if (bytes[0] == 'G')
        {
            Channel = Encoding.ASCII.GetString(target);
            Send(StreamHead);
            server.Subscribe(Channel, this);
            return head + 4;
        }

        ReadOnlySpan<byte> lengthText = bytes[(bytes.IndexOf(LengthField) + LengthField.Length)..];
        Utf8Parser.TryParse(lengthText, out int bodyLength, out _);
        int length = head + 4 + bodyLength;
        if (bytes.Length < length)
            return 0;
        server.Publish(Encoding.ASCII.GetString(target), Frame(bytes[(head + 4)..length]));
        Send(Reply);
        return length;
    }

    private ReadOnlySpan<byte> Frame(ReadOnlySpan<byte> body)
    {
        int length = FrameHead.Length + body.Length + FrameEnd.Length;
        if (_frame.Length < length)
            _frame = new byte[length];
        FrameHead.CopyTo(_frame);
        body.CopyTo(_frame.AsSpan(FrameHead.Length));
        FrameEnd.CopyTo(_frame.AsSpan(FrameHead.Length + body.Length));
        return _frame.AsSpan(0, length);
    }
}
