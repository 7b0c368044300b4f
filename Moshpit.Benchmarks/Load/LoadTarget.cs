using System.Net;
using System.Net.Sockets;

namespace Moshpit.Benchmarks.Load;

/// <summary>The server under load: where connections go, and what stands in every request.</summary>
internal sealed class LoadTarget
{
    private readonly EndPoint _endPoint;
    private readonly ServerUrl _url;
    private readonly bool _trustsAll;

    private LoadTarget(EndPoint endPoint, ServerUrl url, bool trustsAll)
    {
        _endPoint = endPoint;
        _url = url;
        _trustsAll = trustsAll;
    }

    /// <summary>The value of the Host field.</summary>
    public string Host => _url.HostField;

    /// <summary>What stands before the path of each request.</summary>
    public string Prefix => _url.Prefix;

    /// <summary>A server of the benchmarks.</summary>
    public static LoadTarget Of(IPEndPoint endPoint) => new(endPoint, ServerUrl.TryParse($"http://{endPoint}")!, trustsAll: false);

    /// <summary>The server at <paramref name="url"/>.</summary>
    /// <param name="url">Where the server is.</param>
    /// <param name="trustsAll">Accept any certificate.</param>
    /// <exception cref="BenchmarkException">There is no such host.</exception>
    public static LoadTarget Resolve(ServerUrl url, bool trustsAll)
    {
        try
        {
            return new LoadTarget(EndPointOf(url), url, trustsAll);
        }
        catch (SocketException e)
        {
            throw new BenchmarkException($"No such host, {url.Host}: {e.Message}.");
        }
        catch (ArgumentException e)
        {
            throw new BenchmarkException($"No such socket, {url.SocketPath}: {e.Message}");
        }
    }

    /// <summary>A new connection, which does not block.</summary>
    /// <exception cref="BenchmarkException">There is no connection, or no TLS.</exception>
    public LoadConnection Connect()
    {
        bool isTcp = _endPoint is not UnixDomainSocketEndPoint;
        var socket = new Socket(_endPoint.AddressFamily, SocketType.Stream, isTcp ? ProtocolType.Tcp : ProtocolType.Unspecified);
        try
        {
            if (isTcp)
                socket.NoDelay = true;
            socket.Connect(_endPoint);
            TlsChannel? tls = _url.IsSecure ? TlsChannel.Open(socket, _url.Host, _trustsAll) : null;
            socket.Blocking = false;
            return new LoadConnection(socket, tls);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new BenchmarkException($"No connection to the server: {e.Message}.");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static EndPoint EndPointOf(ServerUrl url)
    {
        if (url.SocketPath is { } path)
            return new UnixDomainSocketEndPoint(path);
        IPAddress[] addresses = Dns.GetHostAddresses(url.Host);
        return new IPEndPoint(addresses.FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork) ?? addresses[0], url.Port);
    }
}
