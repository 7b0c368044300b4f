using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Moshpit.Tests.Support;

/// <summary>
/// Stands between a client and a server. It forwards their bytes until a test breaks the connections: by a reset at once, by a reset after
/// a certain byte from the server, or in silence. A test can read the requests and the responses.
/// </summary>
internal sealed partial class ResettingRelay : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Socket _listener = NewSocket();
    private readonly List<Connection> _connections = [];
    private readonly Queue<int> _cuts = new();
    private readonly Queue<string> _cutTexts = new();
    private volatile TaskCompletionSource _way = new();
    private int _untilCut;

    /// <param name="serverPort">Where the server listens on loopback.</param>
    public ResettingRelay(int serverPort)
    {
        ServerPort = serverPort;
        LetThrough();
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _ = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>Where the next connections lead.</summary>
    public int ServerPort { get; set; }

    /// <summary>The cuts of <see cref="CutAfter"/> that have happened.</summary>
    public int Cuts { get; private set; }

    /// <summary>The heads of all requests, in the order of their connections.</summary>
    public string[] Requests => [.. Texts(c => c.FromClient).SelectMany(text => RequestHead().Matches(text)).Select(head => head.Value)];

    /// <summary>The statuses of all responses, in the order of their connections.</summary>
    public int[] Statuses =>
        [.. Texts(c => c.FromServer).SelectMany(text => StatusLine().Matches(text)).Select(line => int.Parse(line.Groups[1].Value))];

    /// <summary>What the server sent on each connection, whether or not the client got it.</summary>
    public string[] Responses => Texts(c => c.FromServer);

    /// <summary>
    /// Resets the connection as soon as the first of <paramref name="counts"/> bytes from the server are forwarded. The next count begins
    /// there.
    /// </summary>
    public void CutAfter(params int[] counts)
    {
        lock (_gate)
        {
            Array.ForEach(counts, _cuts.Enqueue);
            if (_untilCut == 0)
                _cuts.TryDequeue(out _untilCut);
        }
    }

    /// <summary>
    /// Resets the connection on which the server sends the first of <paramref name="texts"/>, in one piece, which does not get through. The
    /// next one is looked for from then on.
    /// </summary>
    public void CutBefore(params string[] texts)
    {
        lock (_gate)
            Array.ForEach(texts, _cutTexts.Enqueue);
    }

    /// <summary>New connections wait until <see cref="LetThrough"/>.</summary>
    public void HoldBack() => _way = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void LetThrough() => _way.TrySetResult();

    /// <summary>Resets both sides of all connections.</summary>
    public void Reset() => ForEach(connection => connection.Reset());

    /// <summary>Loses what the server sends on these connections from now on; the server does not notice.</summary>
    public void FallSilent() => ForEach(connection => connection.IsSilent = true);

    /// <summary>Resets the client's side of the connections that are silent; the server does not notice.</summary>
    public void ResetClients() => ForEach(connection => Reset(connection.Client));

    public void Dispose()
    {
        _listener.Dispose();
        Reset();
        LetThrough();
    }

    [GeneratedRegex(@"GET .*?\r\n\r\n", RegexOptions.Singleline)]
    private static partial Regex RequestHead();

    [GeneratedRegex(@"HTTP/1\.1 ([0-9]{3}) ")]
    private static partial Regex StatusLine();

    private static Socket NewSocket() => new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed already, or not yet connected.
        }

        socket.Dispose();
    }

    private void ForEach(Action<Connection> action)
    {
        lock (_gate)
            _connections.ForEach(action);
    }

    private string[] Texts(Func<Connection, StringBuilder> side)
    {
        lock (_gate)
            return [.. _connections.Select(connection => side(connection).ToString())];
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var connection = new Connection(await _listener.AcceptAsync(), NewSocket());
                lock (_gate)
                    _connections.Add(connection);
                _ = RelayAsync(connection);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The relay was disposed.
        }
    }

    private async Task RelayAsync(Connection connection)
    {
        try
        {
            (connection.Client.NoDelay, connection.Server.NoDelay) = (true, true);
            await _way.Task;
            await connection.Server.ConnectAsync(new IPEndPoint(IPAddress.Loopback, ServerPort));
            await Task.WhenAll(ForwardAsync(connection, isResponse: false), ForwardAsync(connection, isResponse: true));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The server is not there, or the relay was disposed.
            connection.Reset();
        }
    }

    private async Task ForwardAsync(Connection connection, bool isResponse)
    {
        (Socket from, Socket to) = isResponse ? (connection.Server, connection.Client) : (connection.Client, connection.Server);
        byte[] buffer = new byte[64 * 1024];
        try
        {
            int length;
            while ((length = await from.ReceiveAsync(buffer)) > 0)
            {
                int count = Take(connection, isResponse, buffer.AsSpan(0, length), out bool isCut);
                for (int sent = 0; sent < count;)
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent));
                if (isCut)
                    Cut(connection);
            }

            if (!connection.IsSilent)
                to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // One side was reset. If the connection is silent, the other side does not notice.
            if (!connection.IsSilent)
                connection.Reset();
        }
    }

    /// <summary>Keeps a piece as text, and says how much of it is forwarded.</summary>
    private int Take(Connection connection, bool isResponse, ReadOnlySpan<byte> bytes, out bool isCut)
    {
        isCut = false;
        lock (_gate)
        {
            string text = Encoding.Latin1.GetString(bytes);
            (isResponse ? connection.FromServer : connection.FromClient).Append(text);
            if (connection.IsSilent)
                return 0;
            isCut = isResponse && _cutTexts.TryPeek(out string? sought) && text.Contains(sought, StringComparison.Ordinal);
            if (isCut)
            {
                _cutTexts.Dequeue();
                return 0;
            }

            if (!isResponse || _untilCut == 0)
                return bytes.Length;
            int count = Math.Min(bytes.Length, _untilCut);
            _untilCut -= count;
            isCut = _untilCut == 0;
            return count;
        }
    }

    private void Cut(Connection connection)
    {
        lock (_gate)
        {
            if (_untilCut == 0)
                _cuts.TryDequeue(out _untilCut);
            Cuts++;
            connection.Reset();
        }
    }

    private sealed class Connection(Socket client, Socket server)
    {
        public Socket Client { get; } = client;

        public Socket Server { get; } = server;

        public StringBuilder FromClient { get; } = new();

        public StringBuilder FromServer { get; } = new();

        /// <summary>What the server sends gets lost.</summary>
        public bool IsSilent { get; set; }

        public void Reset()
        {
            ResettingRelay.Reset(Client);
            ResettingRelay.Reset(Server);
        }
    }
}
