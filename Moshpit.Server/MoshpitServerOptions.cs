using System.Buffers;
using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Moshpit.Server.Limits;

namespace Moshpit.Server;

/// <summary>Everything about a <see cref="MoshpitServer"/> that can be set. The defaults suit a server on the open internet.</summary>
public sealed class MoshpitServerOptions
{
    /// <summary>Stands for the Unix socket in <see cref="Proxies"/>.</summary>
    internal const string UnixProxy = "unix";

    /// <summary>
    /// The longest body. Its data may get six times as long (<see cref="Sse.JsonText.MostGrowth"/>). One array must hold two such messages
    /// and what is pending.
    /// </summary>
    internal const int MostBodyLimit = 128 * 1024 * 1024;

    internal const long MostPendingLimit = 256 * 1024 * 1024;

    /// <summary>The clock and the kernel count in it.</summary>
    private static readonly TimeSpan ShortestTimeout = TimeSpan.FromMilliseconds(1);

    /// <summary>The longest timeout: timers take little more.</summary>
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromDays(24);

    /// <summary>What fits into <c>sockaddr_un</c> on every system, with its terminating NUL.</summary>
    private const int LongestSocketPath = 103;

    /// <summary>
    /// TCP port to listen on; 0 lets the system choose (read it from <see cref="MoshpitServer.Port"/>); null for no TCP at all.
    /// Default 5000, as in the original program.
    /// </summary>
    public int? Port { get; set; } = 5000;

    /// <summary>Name or address to listen on. Default null: all addresses, IPv6 and IPv4. A name may stand for several addresses; all are used.</summary>
    public string? Host { get; set; }

    /// <summary>
    /// Path of a Unix socket to listen on, besides TCP. A stale file is replaced. Everybody on this machine may connect, as to a port, unless the
    /// folder keeps them out. Default null: none.
    /// </summary>
    public string? SocketPath { get; set; }

    /// <summary>
    /// Longest body of a POST, in bytes, at most 128 MiB; a longer one is answered 413. Default 10 KiB, as in the original program.
    /// </summary>
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

    /// <summary>
    /// Bytes that may wait for any slow peer, as long as all together are within <see cref="TotalBacklogLimit"/>. Default 256 KiB. It is never less
    /// than eight times <see cref="BodyLimit"/>: a peer that reads must not be cut because a few large messages meet.
    /// </summary>
    public long BacklogLimit { get; set; } = 256 * 1024;

    /// <summary>
    /// Bytes that may wait for one slow peer while there is memory: its even share of <see cref="TotalBacklogLimit"/> among all peers that are behind,
    /// but no more than this and no less than <see cref="BacklogLimit"/>. A peer for which more waits is cut. Default 8 MiB.
    /// </summary>
    public long MaxBacklog { get; set; } = 8 * 1024 * 1024;

    /// <summary>
    /// Bytes of memory that messages under way may take, those for all slow peers together; what several peers share counts once, and what the
    /// kernel may hold for slow peers counts too. Past it a peer is cut as soon as it has more than an even share, so those furthest behind are
    /// cut first. Default: an eighth of the memory that the process may use (<see cref="GCMemoryInfo.TotalAvailableMemoryBytes"/>, which is
    /// a container's limit where there is one), at least 16 MiB and at most 4 GiB.
    /// </summary>
    public long TotalBacklogLimit { get; set; } = MemoryBudget.DefaultLimit();

    /// <summary>
    /// Bytes of messages that one peer may POST a second on average; it may send twice as much at once. A faster sender waits for its answer, for at
    /// most 2 s; beyond that it is answered 429. Default 1 MB. Clients without limits by address have none here either; see <see cref="Proxies"/>.
    /// </summary>
    public int BytesPerSecondPerPeer { get; set; } = 1_000_000;

    /// <summary>How long a slow peer may take nothing of what waits for it before it is cut. Default 10 s.</summary>
    public TimeSpan StallTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Bytes that may be published to a channel and not yet be on their way to all its peers; past it a POST waits for room before it is answered.
    /// Default 128 KiB, at most 256 MiB. A direct message brings so much to its addressee at once, so it should be well below
    /// <see cref="BacklogLimit"/>.
    /// </summary>
    public long PendingLimit { get; set; } = 128 * 1024;

    /// <summary>Threads that may serve one large channel at the same time. Default: as many as there are cores.</summary>
    public int ThreadsPerChannel { get; set; } = Environment.ProcessorCount;

    /// <summary>Bytes that a peer may send on its stream after its request, in all; they are dropped, and more ends the stream. Default 64 KiB.</summary>
    public int StreamInputLimit { get; set; } = 64 * 1024;

    /// <summary>
    /// How long data that was sent may go unacknowledged before the kernel gives the connection up (<c>TCP_USER_TIMEOUT</c>, Linux only).
    /// A peer that vanished is noticed within this time after the next message or heartbeat. Default 20 s.
    /// </summary>
    public TimeSpan UnacknowledgedTimeout { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Bytes that the kernel may keep for one slow peer before the <see cref="BacklogLimit"/> begins to count (<c>SO_SNDBUF</c>; Linux doubles
    /// it for its own overhead). Default 64 KiB; 0 leaves it to the system, which may go to megabytes.
    /// </summary>
    public int SendBuffer { get; set; } = 64 * 1024;

    /// <summary>
    /// Most connections at once, streams included; more are answered 503. Default 100,000. On Linux it is also kept below what the process's
    /// descriptors allow (<c>ulimit -n</c>, less what is open at the start and a reserve of 32 to 256).
    /// </summary>
    public int MaxConnections { get; set; } = 100_000;

    /// <summary>Most channels at once; creating more is answered 503. Default 100,000.</summary>
    public int MaxChannels { get; set; } = 100_000;

    /// <summary>Most peers in a channel; more are answered 503. Default 100,000.</summary>
    public int MaxPeersPerChannel { get; set; } = 100_000;

    /// <summary>
    /// Most connections at once from one address, streams included; more are answered 429, or, when there are very many, closed. Default 2,000. On
    /// Linux it is also kept to a quarter of the connections that the process's descriptors allow. See <see cref="Proxies"/>.
    /// </summary>
    public int MaxConnectionsPerAddress { get; set; } = 2_000;

    /// <summary>
    /// Most streams at once from one address; more are answered 429. Default 1,000. On Linux it is also kept to a quarter of the connections that
    /// the process's descriptors allow. See <see cref="Proxies"/>.
    /// </summary>
    public int MaxStreamsPerAddress { get; set; } = 1_000;

    /// <summary>Most requests within a second from one address; more are answered 429. Default 1,000. See <see cref="Proxies"/>.</summary>
    public int RequestsPerSecondPerAddress { get; set; } = 1_000;

    /// <summary>Most channels created within a minute from one address; more are answered 429. Default 600. See <see cref="Proxies"/>.</summary>
    public int ChannelsPerMinutePerAddress { get; set; } = 600;

    /// <summary>
    /// Proxies in front of this server: addresses (<c>10.0.0.7</c>), networks (<c>10.0.0.0/8</c>) or <c>unix</c> for the Unix socket. Only they are
    /// believed when they say in <c>X-Forwarded-For</c> or <c>Forwarded</c> (RFC 7239) whom a request is from: the client is the last address
    /// in the field that is no proxy's. If a request has both fields, they must name the same client: a proxy may pass on the one that
    /// it does not write. Requests for which a proxy names no client (no field, a malformed one, two that differ, <c>unknown</c>, <c>_hidden</c>,
    /// a loopback address) share the limits of one address, the proxy's own. A proxy's connections are not limited by address; nor is anything
    /// that comes over loopback or a Unix socket that is not named here. An IPv6 /64 counts as one address. Default: none.
    /// </summary>
    public IList<string> Proxies { get; private set; } = [];

    /// <summary>
    /// Over how long <see cref="MoshpitServer.StopAsync"/> spreads the ends of the streams, when they are many, so that their clients don't
    /// all come back in the same millisecond. Default 2 s.
    /// </summary>
    public TimeSpan DrainTime { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long <see cref="MoshpitServer.StopAsync"/> waits for requests to finish, which are answered 503 then, and again for streams to be read
    /// to their end, which are cut then. Default 2 s.
    /// </summary>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Where logs go. Default: nowhere. Tokens and payloads are never logged. A logger that blocks or throws holds up nothing: entries that it
    /// does not take in time are dropped, and their number is logged. It is called on one thread, a little later than what it tells of.
    /// </summary>
    public ILoggerFactory LoggerFactory { get; set; } = NullLoggerFactory.Instance;

    /// <summary>The source of time, for tests. Default <see cref="TimeProvider.System"/>.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>Where message buffers come from; null for the process's shared pool. For tests: one that has no memory left.</summary>
    internal ArrayPool<byte>? Arrays { get; set; }

    /// <summary>The options as they are now: what is changed later changes no server.</summary>
    /// <exception cref="ArgumentException">A value makes no sense; it names the option and says what is allowed.</exception>
    internal MoshpitServerOptions CheckedCopy()
    {
        var copy = (MoshpitServerOptions)MemberwiseClone();
        copy.Proxies = [.. Proxies];
        copy.Validate();
        return copy;
    }

    private void Validate()
    {
        if (Port is null && SocketPath is null)
            throw new ArgumentException("There is nothing to listen on: set Port, SocketPath, or both.");
        if (Port is < 0 or > 65535)
            throw new ArgumentException($"Port is {Port}; it must be from 0 to 65535.");
        if (Host?.Length == 0)
            throw new ArgumentException("The host is empty; give a name or an address of this machine, or none for all of them.");
        if (SocketPath is not null && (SocketPath.Length == 0 || System.Text.Encoding.UTF8.GetByteCount(SocketPath) > LongestSocketPath))
            throw new ArgumentException($"{nameof(SocketPath)} (--socket) must be the path of a file, of 1 to {LongestSocketPath} bytes.");
        _ = ReadProxies();
        RequirePositive(BodyLimit, nameof(BodyLimit));
        RequirePositive(RequestLineLimit, nameof(RequestLineLimit));
        RequirePositive(HeaderSectionLimit, nameof(HeaderSectionLimit));
        RequirePositive(HeaderFieldLimit, nameof(HeaderFieldLimit));
        RequirePositive(LingerLimit, nameof(LingerLimit));
        RequirePositive(BacklogLimit, nameof(BacklogLimit));
        RequirePositive(MaxBacklog, nameof(MaxBacklog));
        RequirePositive(TotalBacklogLimit, nameof(TotalBacklogLimit));
        RequirePositive(BytesPerSecondPerPeer, nameof(BytesPerSecondPerPeer));
        RequirePositive(PendingLimit, nameof(PendingLimit));
        if (BodyLimit > MostBodyLimit)
            throw new ArgumentException($"{nameof(BodyLimit)} is {BodyLimit}; it must be at most {MostBodyLimit}.");
        if (PendingLimit > MostPendingLimit)
            throw new ArgumentException($"{nameof(PendingLimit)} is {PendingLimit}; it must be at most {MostPendingLimit}.");
        RequirePositive(ThreadsPerChannel, nameof(ThreadsPerChannel));
        RequirePositive(StreamInputLimit, nameof(StreamInputLimit));
        RequirePositive(MaxConnections, nameof(MaxConnections));
        RequirePositive(MaxChannels, nameof(MaxChannels));
        RequirePositive(MaxPeersPerChannel, nameof(MaxPeersPerChannel));
        RequirePositive(MaxConnectionsPerAddress, nameof(MaxConnectionsPerAddress));
        RequirePositive(MaxStreamsPerAddress, nameof(MaxStreamsPerAddress));
        RequirePositive(RequestsPerSecondPerAddress, nameof(RequestsPerSecondPerAddress));
        RequirePositive(ChannelsPerMinutePerAddress, nameof(ChannelsPerMinutePerAddress));
        if (SendBuffer < 0)
            throw new ArgumentException($"{nameof(SendBuffer)} is {SendBuffer}; it must be a number of bytes, or 0 for the system's choice.");
        RequirePositive(UnacknowledgedTimeout, nameof(UnacknowledgedTimeout));
        RequirePositive(HeaderTimeout, nameof(HeaderTimeout));
        RequirePositive(BodyTimeout, nameof(BodyTimeout));
        RequirePositive(IdleTimeout, nameof(IdleTimeout));
        RequirePositive(LingerTimeout, nameof(LingerTimeout));
        RequirePositive(StallTimeout, nameof(StallTimeout));
        RequirePositive(ShutdownTimeout, nameof(ShutdownTimeout));
        if (LoggerFactory is null || TimeProvider is null)
            throw new ArgumentException($"{nameof(LoggerFactory)} and {nameof(TimeProvider)} must not be null; leave them out for the defaults.");
        if (DrainTime < TimeSpan.Zero || DrainTime > LongestTimeout)
            throw new ArgumentException($"{nameof(DrainTime)} is {DrainTime}; it must be a time, or zero for none.");
        if (Heartbeat < TimeSpan.Zero || Heartbeat > LongestTimeout)
            throw new ArgumentException($"Heartbeat is {Heartbeat}; it must be a time of at most {LongestTimeout.Days} days, or zero for none.");
    }

    /// <summary><see cref="Proxies"/> without <c>unix</c>.</summary>
    /// <exception cref="ArgumentException">One is neither an address nor a network.</exception>
    internal IReadOnlyList<IPNetwork> ReadProxies()
    {
        List<IPNetwork> networks = [];
        foreach (string proxy in Proxies)
        {
            // Of four numbers: what "10.1" means should not be guessed where trust depends on it.
            bool isShort = !proxy.Contains(':') && proxy.AsSpan().Count('.') != 3;
            if (!isShort && IPAddress.TryParse(proxy, out IPAddress? address))
                networks.Add(address.IsIPv4MappedToIPv6 ? new IPNetwork(address.MapToIPv4(), 32) : new IPNetwork(address, address.GetAddressBytes().Length * 8));
            else if (!isShort && IPNetwork.TryParse(proxy, out IPNetwork network))
                networks.Add(network);
            else if (proxy != UnixProxy)
                throw new ArgumentException($"Proxy '{proxy}' must be an address, a network such as 10.0.0.0/8, or {UnixProxy}.");
        }

        return networks;
    }

    private static void RequirePositive(long value, string option)
    {
        if (value <= 0)
            throw new ArgumentException($"{option} is {value}; it must be greater than 0.");
    }

    private static void RequirePositive(TimeSpan value, string option)
    {
        if (value < ShortestTimeout || value > LongestTimeout)
            throw new ArgumentException($"{option} is {value}; it must be a millisecond at least and {LongestTimeout.Days} days at most.");
    }
}
