using System.Net.Sockets;
using Moshpit.Benchmarks.Polling;

namespace Moshpit.Benchmarks.Servers;

/// <summary>Accepts for the <see cref="BareServer"/>.</summary>
internal sealed class BareListener(Socket socket, BareServer server) : PolledSocket(socket)
{
    public override void OnReady()
    {
        // Readiness is told again as long as more are waiting, so one a time will do.
        try
        {
            server.Accept(Socket.Accept());
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.ConnectionAborted)
        {
            // It went away again.
        }
    }
}
