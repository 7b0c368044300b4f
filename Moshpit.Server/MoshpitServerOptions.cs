using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Moshpit.Server;

/// <summary>Everything about a <see cref="MoshpitServer"/> that can be set. The defaults suit a server on the open internet.</summary>
public sealed class MoshpitServerOptions
{
    /// <summary>What fits into <c>sockaddr_un</c> on every system, with its terminating NUL.</summary>
    private const int LongestSocketPath = 103;

    /// <summary>
    /// TCP port to listen on; 0 lets the system choose (read it from <see cref="MoshpitServer.Port"/>); null for no TCP at all.
    /// Default 5000, as in the original program.
    /// </summary>
    public int? Port { get; set; } = 5000;

    /// <summary>Name or address to listen on. Default null: all addresses, IPv6 and IPv4. A name may stand for several addresses; all are used.</summary>
    public string? Host { get; set; }

    /// <summary>Path of a Unix socket to listen on, besides TCP. A stale file is replaced. Default null: none.</summary>
    public string? SocketPath { get; set; }

    /// <summary>Longest body of a POST, in bytes; a longer one is answered 413. Default 10 KiB, as in the original program.</summary>
    public int BodyLimit { get; set; } = 10 * 1024;

    /// <summary>Longest request line, in bytes; a longer one is answered 414. Default 8 KiB (RFC 9112 section 3 asks for 8000).</summary>
    public int RequestLineLimit { get; set; } = 8 * 1024;

    /// <summary>Longest header section, in bytes; a longer one is answered 431. Default 16 KiB.</summary>
    public int HeaderSectionLimit { get; set; } = 16 * 1024;

    /// <summary>Most header fields of a request; more are answered 431. Default 100.</summary>
    public int HeaderFieldLimit { get; set; } = 100;

    /// <summary>How long a request's head may take, however slowly it drips; then 408. Default 10 s.</summary>
    public TimeSpan HeaderTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a request's body may take, however slowly it drips; then 408. Default 10 s.</summary>
    public TimeSpan BodyTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a kept-alive connection may be silent between requests before it is closed. Default 75 s.</summary>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromSeconds(75);

    /// <summary>How long a client may take to read a response, or to close after the end. Default 5 s.</summary>
    public TimeSpan LingerTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Bytes of a refused upload that are read and dropped, so that its sender can still read why. Default 16 MiB.</summary>
    public long LingerLimit { get; set; } = 16 * 1024 * 1024;

    /// <summary>
    /// Silence on a stream after which a comment is sent, so that proxies keep it open and dead peers are noticed.
    /// Default 25 s; <see cref="TimeSpan.Zero"/> for none.
    /// </summary>
    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>Bytes that may wait for one slow peer; a peer that exceeds it is cut. Default 256 KiB.</summary>
    public long BacklogLimit { get; set; } = 256 * 1024;

    /// <summary>How long a slow peer may take nothing of what waits for it before it is cut. Default 10 s.</summary>
    public TimeSpan StallTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Bytes that may be published to a channel and not yet be on their way; past it a POST waits for room before it is answered.
    /// Default 1 MiB.
    /// </summary>
    public long PendingLimit { get; set; } = 1024 * 1024;

    /// <summary>Bytes that a peer may send on its stream after its request, in all; they are dropped, and more ends the stream. Default 64 KiB.</summary>
    public int StreamInputLimit { get; set; } = 64 * 1024;

    /// <summary>How long <see cref="MoshpitServer.StopAsync"/> waits for clients to take what is on its way to them. Default 3 s.</summary>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Where logs go. Default: nowhere. Tokens and payloads are never logged.</summary>
    public ILoggerFactory LoggerFactory { get; set; } = NullLoggerFactory.Instance;

    /// <summary>The source of time, for tests. Default <see cref="TimeProvider.System"/>.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>Throws for the first value that makes no sense.</summary>
    /// <exception cref="ArgumentException">It names the option and says what is allowed.</exception>
    internal void Validate()
    {
        if (Port is null && SocketPath is null)
            throw new ArgumentException("There is nothing to listen on: set Port, SocketPath, or both.");
        if (Port is < 0 or > 65535)
            throw new ArgumentException($"Port is {Port}; it must be from 0 to 65535.");
        if (SocketPath is not null && (SocketPath.Length == 0 || System.Text.Encoding.UTF8.GetByteCount(SocketPath) > LongestSocketPath))
            throw new ArgumentException($"SocketPath must be the path of a file, of at most {LongestSocketPath} bytes.");
        RequirePositive(BodyLimit, nameof(BodyLimit));
        RequirePositive(RequestLineLimit, nameof(RequestLineLimit));
        RequirePositive(HeaderSectionLimit, nameof(HeaderSectionLimit));
        RequirePositive(HeaderFieldLimit, nameof(HeaderFieldLimit));
        RequirePositive(LingerLimit, nameof(LingerLimit));
        RequirePositive(BacklogLimit, nameof(BacklogLimit));
        RequirePositive(PendingLimit, nameof(PendingLimit));
        RequirePositive(StreamInputLimit, nameof(StreamInputLimit));
        RequirePositive(HeaderTimeout, nameof(HeaderTimeout));
        RequirePositive(BodyTimeout, nameof(BodyTimeout));
        RequirePositive(IdleTimeout, nameof(IdleTimeout));
        RequirePositive(LingerTimeout, nameof(LingerTimeout));
        RequirePositive(StallTimeout, nameof(StallTimeout));
        RequirePositive(ShutdownTimeout, nameof(ShutdownTimeout));
        if (Heartbeat < TimeSpan.Zero)
            throw new ArgumentException($"Heartbeat is {Heartbeat}; it must be a time, or zero for none.");
    }

    private static void RequirePositive(long value, string option)
    {
        if (value <= 0)
            throw new ArgumentException($"{option} is {value}; it must be greater than 0.");
    }

    private static void RequirePositive(TimeSpan value, string option)
    {
        if (value <= TimeSpan.Zero)
            throw new ArgumentException($"{option} is {value}; it must be greater than zero.");
    }
}
