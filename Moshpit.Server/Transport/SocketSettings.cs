using System.Net.Sockets;

namespace Moshpit.Server.Transport;

/// <summary>What is set on a listening socket, from which accepted ones have it without a call of their own.</summary>
/// <param name="SendBuffer">Bytes that the kernel may keep for a connection; 0 for its own choice.</param>
/// <param name="UnacknowledgedTimeout">How long what was sent may go unacknowledged.</param>
internal sealed record SocketSettings(int SendBuffer, TimeSpan UnacknowledgedTimeout)
{
    private const int TcpLevel = 6; // IPPROTO_TCP
    private const int UserTimeout = 18; // TCP_USER_TIMEOUT, RFC 5482
    private const int Info = 11; // TCP_INFO, tcp(7)
    private const int BytesAckedOffset = 120; // tcpi_bytes_acked of struct tcp_info, in <linux/tcp.h> since 4.1

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

    /// <summary>How many bytes the other side has acknowledged in all; 0 where that can't be known (it can for TCP on Linux).</summary>
    public static long BytesAcknowledged(Socket socket)
    {
        if (!OperatingSystem.IsLinux() || socket.AddressFamily == AddressFamily.Unix)
            return 0;
        Span<byte> info = stackalloc byte[BytesAckedOffset + sizeof(long)];
        try
        {
            return socket.GetRawSocketOption(TcpLevel, Info, info) == info.Length ? BitConverter.ToInt64(info[BytesAckedOffset..]) : 0;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return 0;
        }
    }

    /// <summary>Bytes of memory that the kernel may use for what <paramref name="socket"/> sends; 0 where that can't be known.</summary>
    public static int SendBufferOf(Socket socket)
    {
        try
        {
            return socket.SendBufferSize;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return 0;
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
