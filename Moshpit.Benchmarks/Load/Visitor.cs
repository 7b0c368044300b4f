using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using HdrHistogram;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// A client that joins a channel, sends messages to itself if it may, and leaves, again and again on a thread of its own, while others do
/// what they do: how long does it have to wait?
/// </summary>
internal sealed class Visitor
{
    private const int MessagesPerVisit = 4;
    private const int PatienceMilliseconds = 10_000;

    /// <summary>Up to ten seconds in nanoseconds, to three digits.</summary>
    private const long LongestWait = 10_000_000_000;
    private const int Digits = 3;

    private readonly IPEndPoint _server;
    private readonly string _path;
    private readonly bool _speaks;
    private readonly Thread _thread;
    private volatile bool _stopping;
    private Exception? _failure;

    /// <param name="server">Where to go.</param>
    /// <param name="path">What to ask for there; the first event must be <c>connect</c>.</param>
    /// <param name="speaks">Whether the server is a moshpit, where one can speak to oneself.</param>
    public Visitor(IPEndPoint server, string path, bool speaks)
    {
        _server = server;
        _path = path;
        _speaks = speaks;
        _thread = new Thread(Run) { IsBackground = true, Name = "visitor" };
        _thread.Start();
    }

    /// <summary>Nanoseconds from connecting to the first event.</summary>
    public LongHistogram Joins { get; } = new(LongestWait, Digits);

    /// <summary>Nanoseconds from a POST until the message has come back and the POST was answered.</summary>
    public LongHistogram Messages { get; } = new(LongestWait, Digits);

    /// <summary>Waits for the end of the visit that is going on.</summary>
    /// <exception cref="BenchmarkException">Something was not as it must be.</exception>
    public void Stop()
    {
        _stopping = true;
        _thread.Join();
        if (_failure is not null)
            throw new BenchmarkException($"A visitor failed: {_failure.Message}");
    }

    private void Run()
    {
        try
        {
            while (!_stopping)
                Visit();
        }
        catch (Exception e) when (e is SocketException or BenchmarkException)
        {
            _failure = e;
        }
    }

    private void Visit()
    {
        long began = Stopwatch.GetTimestamp();
        using Socket stream = Connect();
        stream.Send(Encoding.ASCII.GetBytes(
            $"GET {_path} HTTP/1.{(_speaks ? 1 : 0)}\r\nHost: {_server}\r\nAccept: text/event-stream\r\n\r\n"));
        var received = new StringBuilder();
        ReadUntil(stream, received, "event: connect\n", then: "\n\n");
        Record(Joins, began);
        if (!_speaks)
            return;

        string Member(string name) => Regex.Match(received.ToString(), $"\"{name}\":\"([0-9a-f]+)\"").Groups[1].Value;
        using Socket sender = Connect();
        PostTemplate post = MoshpitDialect.CreatePost(
            LoadTarget.Of(_server), Member("id"), Member("token"), Member("cid"), Payload.MinLength);
        byte[] request = new byte[post.Length];
        byte[] payload = new byte[Payload.MinLength];
        Payload.Fill(payload);
        for (uint number = 0; number < MessagesPerVisit; number++)
        {
            post.Write(request, number);
            Payload.WriteNumber(payload, number);
            began = Stopwatch.GetTimestamp();
            sender.Send(request);
            ReadUntil(stream, received.Clear(), $"data: \"{Encoding.ASCII.GetString(payload)}\"", then: "\n\n");
            ReadUntil(sender, received.Clear(), "HTTP/1.1 200 ", then: "OK");
            Record(Messages, began);
        }
    }

    private Socket Connect()
    {
        var socket = new Socket(_server.AddressFamily, SocketType.Stream, ProtocolType.Tcp)
        {
            NoDelay = true, ReceiveTimeout = PatienceMilliseconds,
        };
        socket.Connect(_server);
        return socket;
    }

    private static void ReadUntil(Socket socket, StringBuilder received, string text, string then)
    {
        byte[] buffer = new byte[16 * 1024];
        while (received.ToString() is var all && !(all.IndexOf(text, StringComparison.Ordinal) is >= 0 and var at
            && all.IndexOf(then, at + text.Length, StringComparison.Ordinal) >= 0))
        {
            int count = socket.Receive(buffer);
            if (count == 0)
                throw new BenchmarkException($"the server closed before '{text}' came");
            received.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }
    }

    private static void Record(LongHistogram histogram, long began)
    {
        long nanoseconds = (long)Stopwatch.GetElapsedTime(began).TotalNanoseconds;
        histogram.RecordValue(Math.Clamp(nanoseconds, 1, LongestWait));
    }
}
