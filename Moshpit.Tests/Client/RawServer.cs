global using Moshpit.Client;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Moshpit.Tests.Client;

/// <summary>A server that says byte for byte what a test wants. Every wait is bounded, so that a test fails instead of hanging.</summary>
internal sealed class RawServer : IDisposable
{
    public const string Id = "a1ad1a210063392d29027dbdd5fc9dd7";
    public const string Cid = "a31b6b15326ca2907b3b492df1e6385a";
    public const string Token = "3b970f792805fd3081b058a5655a534d";
    public const string StreamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";
    public const string ConnectEvent = $$"""event: connect{{"\n"}}data: {"id":"{{Id}}","cid":"{{Cid}}","token":"{{Token}}"}{{"\n\n"}}""";
    public const string Session = "session-of-a-test-0123456789";
    public const string SessionLine = "Moshpit-Session: " + Session + "\r\n";
    public const string Ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK";

    /// <summary>What a peer with the session asks for its stream.</summary>
    public static string RequestFor(string target, string authority) =>
        $"GET {target} HTTP/1.1\r\nHost: {authority}\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n{SessionLine}\r\n";

    public static MoshpitPeerOptions WithSession { get; } = new() { Session = Session };

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly Socket _listener;
    private readonly X509Certificate2? _certificate;

    public RawServer(EndPoint? at = null, X509Certificate2? certificate = null)
    {
        at ??= new IPEndPoint(IPAddress.Loopback, 0);
        _certificate = certificate;
        _listener = new Socket(at.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        _listener.Bind(at);
        _listener.Listen();
        string scheme = certificate is null ? "http" : "https";
        Url = _listener.LocalEndPoint is IPEndPoint ip ? $"{scheme}://{ip}" : $"http://unix:{at}";
    }

    public string Url { get; }

    public string Authority => Url[(Url.IndexOf("//", StringComparison.Ordinal) + 2)..];

    public bool HasCaller => _listener.Poll(0, SelectMode.SelectRead);

    public async Task<RawConnection> AcceptAsync()
    {
        Socket socket = await _listener.AcceptAsync().WaitAsync(Patience);
        Stream stream = new NetworkStream(socket, ownsSocket: true);
        if (_certificate is null)
            return new RawConnection(socket, stream);
        var secure = new SslStream(stream);
        await secure.AuthenticateAsServerAsync(_certificate).WaitAsync(Patience);
        return new RawConnection(socket, secure);
    }

    /// <summary>A connection to this server, for the client to use.</summary>
    public async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(_listener.LocalEndPoint!);
        return socket;
    }

    /// <summary>Takes the request for a stream and answers it up to and with the connect event.</summary>
    public async Task<RawConnection> AcceptStreamAsync()
    {
        RawConnection stream = await AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync(StreamHead + ConnectEvent);
        return stream;
    }

    /// <summary>Has a first message sent and answered, so that those after it are pipelined on this connection.</summary>
    public async Task<RawConnection> ProveAsync(MoshpitPeer peer)
    {
        Task first = peer.Write("0");
        RawConnection post = await AcceptAsync();
        await post.TakePostAsync();
        await first.Soon();
        return post;
    }

    /// <summary>A new peer that is connected.</summary>
    public async Task<ServedPeer> OpenPeerAsync(MoshpitClientOptions? options = null)
    {
        MoshpitPeer peer = new MoshpitClient(Url, options).Open();
        return new ServedPeer(this, peer, await AcceptStreamAsync());
    }

    /// <summary>A new peer that is connected, with a connection on which messages are pipelined.</summary>
    public async Task<ServedPeer> ProvePeerAsync(MoshpitClientOptions? options = null)
    {
        ServedPeer served = await OpenPeerAsync(options);
        await served.ProveAsync();
        return served;
    }

    /// <summary>Reads POSTs with these numbers as their data, and answers none.</summary>
    public static async Task ReadPostsAsync(RawConnection post, params int[] numbers)
    {
        foreach (int number in numbers)
            Assert.That(await post.ReadRequestAsync(), Does.EndWith($"\"data\":{number}}}"));
    }

    public void Dispose() => _listener.Dispose();
}

internal sealed class RawConnection(Socket socket, Stream stream) : IDisposable
{
    /// <summary>One request: its head and as many bytes of body as Content-Length says.</summary>
    public async Task<string> ReadRequestAsync()
    {
        // A byte at a time as far as the head goes: what is behind the body is the next request.
        var head = new List<byte>();
        byte[] one = new byte[1];
        while (head.Count < 4 || head[^1] != '\n' || head[^3] != '\n')
        {
            if (await stream.ReadAsync(one).AsTask().WaitAsync(RawServer.Patience) == 0)
                return Encoding.UTF8.GetString([.. head]);
            head.Add(one[0]);
        }

        string text = Encoding.UTF8.GetString([.. head]);
        string? length = text.Split("\r\n").FirstOrDefault(l => l.StartsWith("Content-Length: ", StringComparison.Ordinal));
        byte[] body = new byte[length is null ? 0 : int.Parse(length[16..], System.Globalization.CultureInfo.InvariantCulture)];
        int received = 0;
        while (received < body.Length)
        {
            int count = await stream.ReadAsync(body.AsMemory(received)).AsTask().WaitAsync(RawServer.Patience);
            if (count == 0)
                break;
            received += count;
        }

        return text + Encoding.UTF8.GetString(body, 0, received);
    }

    /// <summary>The JSON of the next POST, which is answered with 200.</summary>
    public async Task<string> TakePostAsync()
    {
        string request = await ReadRequestAsync();
        await SendAsync(RawServer.Ok);
        return request[(request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
    }

    /// <summary>The data of the next POST must be this number. It is answered with 200.</summary>
    public async Task TakePostAsync(int number, string? because = null) =>
        Assert.That(await TakePostAsync(), Does.EndWith($"\"data\":{number}}}"), because);

    public Task SendAsync(string text) => SendAsync(Encoding.UTF8.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        await stream.WriteAsync(bytes).AsTask().WaitAsync(RawServer.Patience);
        await stream.FlushAsync();
    }

    /// <summary>Waits until the client has closed the connection; whatever it sends before that is dropped.</summary>
    public async Task WaitForEndAsync()
    {
        byte[] rest = new byte[4096];
        try
        {
            while (await stream.ReadAsync(rest).AsTask().WaitAsync(RawServer.Patience) > 0)
            {
            }
        }
        catch (IOException)
        {
            // A reset is an end as well.
        }
    }

    /// <summary>Nothing more is sent, but what comes is still received.</summary>
    public void Finish() => socket.Shutdown(SocketShutdown.Send);

    /// <summary>Ends the connection by a reset.</summary>
    public void Reset()
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Dispose(); // first: to dispose the stream would say that all was sent
        stream.Dispose();
    }

    public void Dispose() => stream.Dispose();
}

internal static class Waiting
{
    public static Task<T> Soon<T>(this Task<T> task) => task.WaitAsync(RawServer.Patience);

    public static Task Soon(this Task task) => task.WaitAsync(RawServer.Patience);

    /// <summary>What the task fails with.</summary>
    public static async Task<MoshpitException> FailureAsync(this Task task) =>
        (await Assert.ThrowsAsync<MoshpitException>(() => task.Soon()))!;

    public static async Task CancellationAsync(this Task task) => await Assert.CatchAsync<OperationCanceledException>(() => task.Soon());

    /// <summary>The next event of this kind; those before it are passed over.</summary>
    public static async Task<MoshpitEvent> ReadUntilAsync(this MoshpitPeer peer, MoshpitEventKind kind)
    {
        using var late = new CancellationTokenSource(RawServer.Patience);
        while (await peer.ReadAsync(late.Token) is { } next)
        {
            if (next.Kind == kind)
                return next;
        }

        throw new AssertionException($"The peer has ended before an event of the kind {kind}.");
    }

    public static async Task<List<MoshpitEvent>> ToListAsync(this MoshpitPeer peer)
    {
        using var late = new CancellationTokenSource(RawServer.Patience);
        var events = new List<MoshpitEvent>();
        await foreach (MoshpitEvent e in peer.WithCancellation(late.Token))
            events.Add(e);
        return events;
    }

    /// <summary>What the enumeration throws after it gave what it had.</summary>
    public static async Task<(List<MoshpitEvent> Events, Exception? Failure)> DrainAsync(this MoshpitPeer peer)
    {
        using var late = new CancellationTokenSource(RawServer.Patience);
        var events = new List<MoshpitEvent>();
        try
        {
            await foreach (MoshpitEvent e in peer.WithCancellation(late.Token))
                events.Add(e);
        }
        catch (Exception e) when (!late.IsCancellationRequested)
        {
            return (events, e);
        }

        return (events, null);
    }
}
