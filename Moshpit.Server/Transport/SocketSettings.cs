using System.Net.Sockets;

namespace Moshpit.Server.Transport;

/// <summary>What is set on a listening socket, from which accepted ones have it without a call of their own.</summary>
/// <param name="SendBuffer">Bytes that the kernel may keep for a connection; 0 for its own choice.</param>
/// <param name="UnacknowledgedTimeout">How long what was sent may go unacknowledged.</param>
internal sealed record SocketSettings(int SendBuffer, TimeSpan UnacknowledgedTimeout)
{
    private const int TcpLevel = 6; // IPPROTO_TCP
    private const int UserTimeout = 18; // TCP_USER_TIMEOUT, RFC 5482

    public void ApplyTo(Socket listening)
    {
        if (SendBuffer > 0)
            listening.SendBufferSize = SendBuffer;
        if (listening.AddressFamily == AddressFamily.Unix)
            return;

        // Messages are small and sent whole; waiting for more (Nagle) would only delay them.
        listening.NoDelay = true;
        if (OperatingSystem.IsLinux())
        {
            int milliseconds = (int)Math.Min(UnacknowledgedTimeout.TotalMilliseconds, int.MaxValue);
            listening.SetRawSocketOption(TcpLevel, UserTimeout, BitConverter.GetBytes(milliseconds));
        }
    }

    /// <summary>What an accepted socket does not get from its listener.</summary>
    public static void Prepare(Socket accepted)
    {
        accepted.Blocking = false;
        if (!OperatingSystem.IsLinux() && accepted.AddressFamily != AddressFamily.Unix)
            accepted.NoDelay = true;
    }
}
