using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Moshpit.Benchmarks.Polling;

namespace Moshpit.Benchmarks.Load;

/// <summary>The server under load: where connections go, and what stands in every request.</summary>
internal sealed class LoadTarget
{
    private const int ErrorInProgress = 115;

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

    /// <summary>
    /// A new connection that may still be under way: sending on it waits until it is there. Over TCP without TLS.
    /// </summary>
    /// <exception cref="BenchmarkException">There is no connection.</exception>
    public unsafe LoadConnection BeginConnect()
    {
        if (_url.IsSecure || _endPoint is not IPEndPoint)
            throw new NotSupportedException("Only connections over TCP without TLS begin without waiting.");
        var socket = new Socket(_endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, Blocking = false };
        SocketAddress address = _endPoint.Serialize();

        // Socket.Connect throws an exception for each connection that is not there at once, which takes longer than the connecting.
        fixed (byte* bytes = address.Buffer.Span)
        {
            if (LibC.Connect((int)socket.Handle, bytes, address.Size) == 0 || Marshal.GetLastPInvokeError() == ErrorInProgress)
                return new LoadConnection(socket, null);
        }

        socket.Dispose();
        throw new BenchmarkException($"No connection to the server: {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    private static EndPoint EndPointOf(ServerUrl url)
    {
        if (url.SocketPath is { } path)
            return new UnixDomainSocketEndPoint(path);
        IPAddress[] addresses = Dns.GetHostAddresses(url.Host);
        return new IPEndPoint(addresses.FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork) ?? addresses[0], url.Port);
    }
}
