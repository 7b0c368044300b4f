using System.Buffers.Text;
using System.Net.Sockets;

namespace Moshpit.Benchmarks.Load;

/// <summary>A kept-alive connection that POSTs; what is to be sent in one turn of the loop goes out in one write.</summary>
internal sealed class Publisher(LoadConnection connection, Swarm swarm) : LoadSocket(connection)
{
    private readonly Queue<uint> _unanswered = new();
    private byte[] _output = new byte[4096];
    private int _outputLength;
    private bool _watchingWrites;
    private bool _ended;
    private byte[] _rest = [];

    /// <summary>Requests wait to be sent.</summary>
    public bool HasOutput => _outputLength > 0 || HasUnsent;

    public void Post(PostTemplate post, uint number)
    {
        if (_output.Length < _outputLength + post.Length)
            Array.Resize(ref _output, (_outputLength + post.Length) * 2);
        post.Write(_output.AsSpan(_outputLength), number);
        _outputLength += post.Length;
        _unanswered.Enqueue(number);
    }

    public void Flush()
    {
        int sent = Send(_output.AsSpan(0, _outputLength), out SocketError error);
        if (error is not (SocketError.Success or SocketError.WouldBlock))
        {
            End();
            return;
        }

        sent = Math.Max(sent, 0);
        _output.AsSpan(sent, _outputLength - sent).CopyTo(_output);
        _outputLength -= sent;
        if (_watchingWrites != HasOutput)
            swarm.Epoll.WatchWrites(this, _watchingWrites = HasOutput);
    }

    public override void OnReady()
    {
        if (_watchingWrites)
            Flush();
        if (_ended)
            return;
        byte[] buffer = swarm.Buffer;
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
        int length;
        while ((length = ReadAnswer(bytes)) > 0)
            bytes = bytes[length..];
        if (!bytes.IsEmpty || _rest.Length > 0)
            _rest = bytes.ToArray();
    }

    private void End()
    {
        _ended = true;
        _outputLength = 0;
        swarm.OnEnded(this);
    }

    /// <summary>Reads the answer that <paramref name="bytes"/> begins with; its length, or 0 when more is to come.</summary>
    private int ReadAnswer(ReadOnlySpan<byte> bytes)
    {
        int head = bytes.IndexOf("\r\n\r\n"u8);
        if (head < 0)
            return 0;
        int length = head + 4 + BodyLength(bytes[..(head + 2)]);
        if (bytes.Length < length)
            return 0;

        // HTTP/1.1 200 OK
        if (!Utf8Parser.TryParse(bytes[(bytes.IndexOf((byte)' ') + 1)..], out int status, out _) || status is < 200 or > 299)
            throw new BenchmarkException($"The server answered a POST with {status}.");
        if (!_unanswered.TryDequeue(out uint number))
            throw new BenchmarkException("The server answered more POSTs than were sent.");
        swarm.OnAnswer(number);
        return length;
    }

    private static int BodyLength(ReadOnlySpan<byte> head)
    {
        ReadOnlySpan<byte> name = "\r\nContent-Length:"u8;
        int at = head.IndexOf(name);
        if (at < 0)
            at = IndexOfIgnoringCase(head, name);
        if (at >= 0 && Utf8Parser.TryParse(head[(at + name.Length)..].TrimStart((byte)' '), out int length, out _))
            return length;
        if (IndexOfIgnoringCase(head, "\r\nTransfer-Encoding:"u8) >= 0)
            throw new BenchmarkException("The server answers POSTs in chunks, which this load does not read.");
        return 0;
    }

    private static int IndexOfIgnoringCase(ReadOnlySpan<byte> text, ReadOnlySpan<byte> value)
    {
        for (int i = 0; i + value.Length <= text.Length; i++)
        {
            if (System.Text.Ascii.EqualsIgnoreCase(text.Slice(i, value.Length), value))
                return i;
        }

        return -1;
    }
}
