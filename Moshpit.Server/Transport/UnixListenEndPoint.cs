using System.Net;
using System.Net.Sockets;

namespace Moshpit.Server.Transport;

/// <summary>
/// The path of a listening Unix socket. For the address of a client the runtime sets aside as many bytes as the listener's own address has,
/// and where that is longer (a client may bind its end to any name) an exception ends the process. So this address, once bound, says
/// that it has as many bytes as any can have.
/// </summary>
internal sealed class UnixListenEndPoint(UnixDomainSocketEndPoint path) : EndPoint
{
    /// <summary>No less than <c>sizeof(sockaddr_un)</c> and the NUL that Linux may add.</summary>
    private const int LongestAddress = 128;

    private bool _isBound;

    public override AddressFamily AddressFamily => AddressFamily.Unix;

    /// <summary>Binds <paramref name="socket"/> to it, once.</summary>
    public void Bind(Socket socket)
    {
        socket.Bind(this);
        _isBound = true;
    }

    public override SocketAddress Serialize() => _isBound ? new SocketAddress(AddressFamily.Unix, LongestAddress) : path.Serialize();

    /// <summary>What a client calls its end means nothing here, and need not be a valid name.</summary>
    public override EndPoint Create(SocketAddress socketAddress) => this;
}
