using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.RegularExpressions;
using Moshpit.Benchmarks.Load;

namespace Moshpit.Tests.Benchmarks;

/// <summary>
/// A proxy: it takes TLS and a prefix off, and cuts the chunks of streams anew. A request without the prefix ends its connection.
/// </summary>
internal sealed class PrefixProxy : IDisposable
{
    private const string HeadEnd = "\r\n\r\n";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly int _server;
    private readonly string _prefix;
    private readonly int _chunkLength;
    private readonly X509Certificate2? _certificate;

    public PrefixProxy(int server, string prefix, int chunkLength, X509Certificate2? certificate = null)
    {
        _server = server;
        _prefix = prefix;
        _chunkLength = chunkLength;
        _certificate = certificate;
        _listener.Start();
        _ = AcceptAsync();
    }

    public string Url => $"{(_certificate is null ? "http" : "https")}://{_listener.LocalEndpoint}{_prefix}";

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                _ = ServeAsync(await _listener.AcceptTcpClientAsync());
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(TcpClient front)
    {
        using (front)
        using (var back = new TcpClient { NoDelay = true })
        {
            try
            {
                front.NoDelay = true;
                await back.ConnectAsync(IPAddress.Loopback, _server);
                Stream client = front.GetStream();
                if (_certificate is not null)
                {
                    var secure = new SslStream(client);
                    await secure.AuthenticateAsServerAsync(_certificate);
                    client = secure;
                }

                await Task.WhenAny(ForwardRequestsAsync(client, back.GetStream()), ReturnAsync(back.GetStream(), client));
            }
            catch (Exception e) when (e is IOException or SocketException or System.Security.Authentication.AuthenticationException)
            {
                // The load sees that its connection ended.
            }
        }
    }

    private async Task ForwardRequestsAsync(Stream from, Stream to)
    {
        string received = "";
        byte[] buffer = new byte[4096];
        int count;
        while ((count = await from.ReadAsync(buffer)) > 0)
        {
            received += Encoding.Latin1.GetString(buffer, 0, count);
            while (RequestLength(received) is > 0 and var length)
            {
                Match line = Regex.Match(received, $"^([A-Z]+) {_prefix}(/[^ ]*)");
                if (!line.Success)
                    return;
                await to.WriteAsync(Encoding.Latin1.GetBytes($"{line.Groups[1]} {line.Groups[2]}{received[line.Length..length]}"));
                received = received[length..];
            }
        }
    }

    private async Task ReturnAsync(Stream from, Stream to)
    {
        byte[] received = [];
        byte[] buffer = new byte[4096];
        bool isStream = false;
        int count;
        while ((count = await from.ReadAsync(buffer)) > 0)
        {
            received = [.. received, .. buffer[..count]];
            int head = received.AsSpan().IndexOf("\r\n\r\n"u8);
            if (!isStream && head >= 0)
            {
                isStream = Encoding.Latin1.GetString(received, 0, head).Contains("Transfer-Encoding: chunked", StringComparison.Ordinal);
                int passed = isStream ? head + HeadEnd.Length : received.Length;
                await to.WriteAsync(received.AsMemory(0, passed));
                received = received[passed..];
            }

            if (isStream)
                await to.WriteAsync(CutAnew(ref received));
        }
    }

    /// <summary>What the whole chunks in <paramref name="received"/> hold, in chunks of the proxy's own.</summary>
    private byte[] CutAnew(ref byte[] received)
    {
        var data = new List<byte>();
        while (Chunk.TryRead(received, out ReadOnlySpan<byte> read, out int length))
        {
            data.AddRange(read);
            received = received[length..];
        }

        return [.. data.Chunk(_chunkLength).SelectMany(piece => (byte[])
            [.. Encoding.ASCII.GetBytes($"{piece.Length:x}\r\n"), .. piece, .. "\r\n"u8])];
    }

    private static int RequestLength(string received)
    {
        int head = received.IndexOf(HeadEnd, StringComparison.Ordinal);
        if (head < 0)
            return 0;
        Match length = Regex.Match(received[..head], "Content-Length: ([0-9]+)");
        int whole = head + HeadEnd.Length + (length.Success ? int.Parse(length.Groups[1].Value, null) : 0);
        return received.Length < whole ? 0 : whole;
    }
}
