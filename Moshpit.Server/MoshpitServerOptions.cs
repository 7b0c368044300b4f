using System.Buffers;
using System.Net;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Moshpit.Server.Buffers;
using static Moshpit.Server.SettingKinds;

namespace Moshpit.Server;

/// <summary>Everything about a <see cref="MoshpitServer"/> that can be set. The defaults suit a server on the open internet.</summary>
/// <remarks>
/// Unless its property says otherwise, a number is at least 1, and a time is from 1 ms to 24 days. A <see cref="long"/> of bytes is at most
/// 1 PiB; <see cref="long.MaxValue"/> stands for no limit.
/// </remarks>
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

    /// <summary>What fits into <c>sockaddr_un</c> on every system, with its terminating NUL.</summary>
    private const int LongestSocketPath = 103;

    /// <summary>
    /// The declarations of the properties: those of the command line first, in the order of the help. The rules that span several
    /// properties are in <see cref="Validate"/>.
    /// </summary>
    internal static IReadOnlyList<Setting> Settings { get; } =
    [
        Whole(nameof(Port), o => o.Port ?? 0, (o, port) => o.Port = port, "--port", "PORT",
            "listen for connections on this port; 0 picks a free one", alias: "-p", least: 0, most: 65535,
            whyIgnored: text => text.Contains("://", StringComparison.Ordinal)
                ? "it is no port, but what Kubernetes sets for a service named moshpit" : null),
        Text(nameof(Host), o => o.Host, (o, host) => o.Host = host, "--host", "HOST", "listen on this name or address",
            standard: "all, IPv6 and IPv4"),
        Text(nameof(SocketPath), o => o.SocketPath, (o, path) => o.SocketPath = path, "--socket", "PATH",
            "listen on a Unix socket at this path; no TCP then, unless --port or --host is given too", alias: "-s"),
        Whole(nameof(BodyLimit), o => o.BodyLimit, (o, bytes) => o.BodyLimit = bytes, "--limit", "BYTES",
            "largest body of a POST, in bytes", most: MostBodyLimit),
        Time(nameof(Heartbeat), o => o.Heartbeat, (o, time) => o.Heartbeat = time, "--heartbeat",
            "silence on a stream after which a comment is sent, in seconds; 0 for none", zero: "none"),
        Time(nameof(IdleTimeout), o => o.IdleTimeout, (o, time) => o.IdleTimeout = time, "--idle",
            "silence between two requests after which a connection is closed, in seconds"),
        List(nameof(Proxies), (o, proxies) => Array.ForEach(proxies, o.Proxies.Add), "--proxy", "ADDRESS",
            "believe X-Forwarded-For from this address, network (10.0.0.0/8) or unix; may be repeated"),
        Whole(nameof(MaxConnections), o => o.MaxConnections, (o, count) => o.MaxConnections = count, "--max-connections", "N",
            "most connections at once"),
        Whole(nameof(MaxChannels), o => o.MaxChannels, (o, count) => o.MaxChannels = count, "--max-channels", "N",
            "most channels at once"),
        Whole(nameof(MaxPeersPerChannel), o => o.MaxPeersPerChannel, (o, count) => o.MaxPeersPerChannel = count, "--max-peers", "N",
            "most peers in a channel"),
        Whole(nameof(MaxConnectionsPerAddress), o => o.MaxConnectionsPerAddress, (o, count) => o.MaxConnectionsPerAddress = count,
            "--max-connections-per-address", "N", "most connections at once from one address"),
        Whole(nameof(MaxStreamsPerAddress), o => o.MaxStreamsPerAddress, (o, count) => o.MaxStreamsPerAddress = count,
            "--max-streams", "N", "most streams at once from one address"),
        Whole(nameof(RequestsPerSecondPerAddress), o => o.RequestsPerSecondPerAddress, (o, count) => o.RequestsPerSecondPerAddress = count,
            "--max-requests", "N", "most requests a second from one address"),
        Whole(nameof(ChannelsPerMinutePerAddress), o => o.ChannelsPerMinutePerAddress, (o, count) => o.ChannelsPerMinutePerAddress = count,
            "--max-new-channels", "N", "most new channels a minute from one address"),
        Whole(nameof(BytesPerSecondPerPeer), o => o.BytesPerSecondPerPeer, (o, bytes) => o.BytesPerSecondPerPeer = bytes,
            "--max-bytes", "BYTES", "most bytes of messages a second from one peer"),
        Bytes(nameof(BacklogLimit), o => o.BacklogLimit, (o, bytes) => o.BacklogLimit = bytes, "--backlog",
            "bytes that may always wait for one slow peer"),
        Bytes(nameof(MaxBacklog), o => o.MaxBacklog, (o, bytes) => o.MaxBacklog = bytes, "--max-backlog",
            "bytes that may wait for one slow peer while there is memory"),
        Bytes(nameof(TotalBacklogLimit), o => o.TotalBacklogLimit, (o, bytes) => o.TotalBacklogLimit = bytes, "--total-backlog",
            "bytes of memory for all messages under way", standard: "an eighth of the memory"),
        Time(nameof(Grace), o => o.Grace, (o, time) => o.Grace = time, "--grace",
            "how long the peer of a session may be without a stream, in seconds; 0 for not at all", zero: "none"),
        Bytes(nameof(HistoryLimit), o => o.HistoryLimit, (o, bytes) => o.HistoryLimit = bytes, "--history",
            "bytes of messages that a channel keeps for sessions that come back"),
        Bytes(nameof(TotalHistoryLimit), o => o.TotalHistoryLimit, (o, bytes) => o.TotalHistoryLimit = bytes, "--history-total",
            "bytes that all channels keep", standard: "a thirty-second of the memory"),
        Time(nameof(HistoryTime), o => o.HistoryTime, (o, time) => o.HistoryTime = time, "--history-time",
            "how long messages are kept, in seconds; at least as long as --grace"),
        Whole(nameof(RequestLineLimit), o => o.RequestLineLimit),
        Whole(nameof(HeaderSectionLimit), o => o.HeaderSectionLimit),
        Whole(nameof(HeaderFieldLimit), o => o.HeaderFieldLimit),
        Time(nameof(HeaderTimeout), o => o.HeaderTimeout),
        Time(nameof(BodyTimeout), o => o.BodyTimeout),
        Time(nameof(LingerTimeout), o => o.LingerTimeout),
        Bytes(nameof(LingerLimit), o => o.LingerLimit),
        Time(nameof(StallTimeout), o => o.StallTimeout),
        Whole(nameof(PendingLimit), o => o.PendingLimit, most: MostPendingLimit),
        Whole(nameof(ThreadsPerChannel), o => o.ThreadsPerChannel, standard: "the number of cores"),
        Whole(nameof(StreamInputLimit), o => o.StreamInputLimit),
        Time(nameof(UnacknowledgedTimeout), o => o.UnacknowledgedTimeout),
        Whole(nameof(SendBuffer), o => o.SendBuffer, zero: "the system's choice"),
        Time(nameof(DrainTime), o => o.DrainTime, zero: "none"),
        Time(nameof(ShutdownTimeout), o => o.ShutdownTimeout),
    ];

    /// <summary>
    /// TCP port to listen on; 0 lets the system choose (read it from <see cref="MoshpitServer.Port"/>); null for no TCP at all.
    /// Default 5000, as in the original program.
    /// </summary>
    public int? Port { get; set; } = 5000;

    /// <summary>
    /// Name or address to listen on. Default null: all addresses, IPv6 and IPv4. A name may stand for several addresses; all are used.
    /// </summary>
    public string? Host { get; set; }

    /// <summary>
    /// Path of a Unix socket to listen on, besides TCP. A stale file is replaced. Every user of this machine may connect, as to a port,
    /// unless the folder keeps them out. Default null: none.
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
    /// Bytes that may wait for any slow peer, as long as all together are within <see cref="TotalBacklogLimit"/>. Default 256 KiB. It is
    /// never less than eight times <see cref="BodyLimit"/>: a peer that reads must not be cut because a few large messages meet.
    /// </summary>
    public long BacklogLimit { get; set; } = 256 * 1024;

    /// <summary>
    /// Bytes that may wait for one slow peer while there is memory: its even share of <see cref="TotalBacklogLimit"/> among all peers that
    /// are behind, but no more than this and no less than <see cref="BacklogLimit"/>. A peer for which more waits is cut. Default 8 MiB.
    /// </summary>
    public long MaxBacklog { get; set; } = 8 * 1024 * 1024;

    /// <summary>
    /// Bytes of memory that messages under way may take, those for all slow peers together; what several peers share counts once, and what
    /// the kernel may hold for slow peers counts too. Past it a peer is cut as soon as it has more than an even share, so those furthest
    /// behind are cut first. Default: an eighth of the memory that the process may use
    /// (<see cref="GCMemoryInfo.TotalAvailableMemoryBytes"/>, which is a container's limit where there is one), at least 16 MiB and at most
    /// 4 GiB.
    /// </summary>
    public long TotalBacklogLimit { get; set; } = MemoryBudget.DefaultLimit();

    /// <summary>
    /// Bytes of messages that one peer may POST a second on average; it may send twice as much at once. A faster sender waits for its
    /// answer, for at most 2 s; beyond that it is answered 429. Default 1 MB. Clients without limits by address have none here either; see
    /// <see cref="Proxies"/>.
    /// </summary>
    public int BytesPerSecondPerPeer { get; set; } = 1_000_000;

    /// <summary>How long a slow peer may take nothing of what waits for it before it is cut. Default 10 s.</summary>
    public TimeSpan StallTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Bytes that may be published to a channel and not yet be on their way to all its peers; past it a POST waits for room before it is
    /// answered. Default 128 KiB, at most 256 MiB. A direct message brings so much to its addressee at once, so it should be well below
    /// <see cref="BacklogLimit"/>.
    /// </summary>
    public long PendingLimit { get; set; } = 128 * 1024;

    /// <summary>
    /// How long a session peer that has lost its stream remains in its channel, so that it can come back as the same peer. Default 30 s;
    /// <see cref="TimeSpan.Zero"/>: it leaves at once.
    /// </summary>
    public TimeSpan Grace { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Bytes of messages that a channel with a session peer keeps, so that none is lost to a peer that comes back; each counts as it is
    /// sent, and 16 bytes more. A channel without a session peer keeps nothing. Default 256 KiB; it is never less than four times
    /// <see cref="BodyLimit"/>.
    /// </summary>
    public long HistoryLimit { get; set; } = 256 * 1024;

    /// <summary>
    /// Bytes of messages that all channels keep together. Past it the channels that keep more than an even share lose their oldest. They
    /// are a part of what <see cref="TotalBacklogLimit"/> bounds. Default: a quarter of the default of that.
    /// </summary>
    public long TotalHistoryLimit { get; set; } = MemoryBudget.DefaultLimit() / 4;

    /// <summary>How long messages are kept, up to half as long again; at least as long as <see cref="Grace"/>. Default 2 minutes.</summary>
    public TimeSpan HistoryTime { get; set; } = TimeSpan.FromMinutes(2);

    /// <summary>Threads that may deliver to the peers of one large channel at the same time. Default: as many as there are cores.</summary>
    public int ThreadsPerChannel { get; set; } = Environment.ProcessorCount;

    /// <summary>
    /// Bytes that a peer may send on its stream after its request, in all; they are dropped, and more ends the stream. Default 64 KiB.
    /// </summary>
    public int StreamInputLimit { get; set; } = 64 * 1024;

    /// <summary>
    /// How long data that was sent may go unacknowledged before the kernel gives the connection up (<c>TCP_USER_TIMEOUT</c>, Linux only).
    /// A peer that vanished is noticed within this time after the next message or heartbeat. Default 20 s.
    /// </summary>
    public TimeSpan UnacknowledgedTimeout { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>
    /// Bytes that the kernel may keep for one slow peer before the <see cref="BacklogLimit"/> begins to count (<c>SO_SNDBUF</c>; Linux
    /// doubles it for its own overhead). Default 64 KiB; 0 leaves it to the system, which may go to megabytes.
    /// </summary>
    public int SendBuffer { get; set; } = 64 * 1024;

    /// <summary>
    /// Most connections at once, streams included; more are answered 503. Default 100,000. On Linux it is also kept below what the
    /// process's descriptors allow (<c>ulimit -n</c>, less what is open at the start and a reserve of 32 to 256).
    /// </summary>
    public int MaxConnections { get; set; } = 100_000;

    /// <summary>Most channels at once; creating more is answered 503. Default 100,000.</summary>
    public int MaxChannels { get; set; } = 100_000;

    /// <summary>Most peers in a channel; more are answered 503. Default 100,000.</summary>
    public int MaxPeersPerChannel { get; set; } = 100_000;

    /// <summary>
    /// Most connections at once from one address, streams included; more are answered 429, or, when there are very many, closed. Default
    /// 2,000. On Linux it is also kept to a quarter of the connections that the process's descriptors allow. See <see cref="Proxies"/>.
    /// </summary>
    public int MaxConnectionsPerAddress { get; set; } = 2_000;

    /// <summary>
    /// Most streams at once from one address; more are answered 429. Default 1,000. On Linux it is also kept to a quarter of the
    /// connections that the process's descriptors allow. Streams that newer ones of their sessions have replaced, and that have not ended
    /// yet, count as many again. See <see cref="Proxies"/>.
    /// </summary>
    public int MaxStreamsPerAddress { get; set; } = 1_000;

    /// <summary>Most requests within a second from one address; more are answered 429. Default 1,000. See <see cref="Proxies"/>.</summary>
    public int RequestsPerSecondPerAddress { get; set; } = 1_000;

    /// <summary>
    /// Most channels created within a minute from one address; more are answered 429. Default 600. See <see cref="Proxies"/>.
    /// </summary>
    public int ChannelsPerMinutePerAddress { get; set; } = 600;

    /// <summary>
    /// Proxies in front of this server: addresses (<c>10.0.0.7</c>), networks (<c>10.0.0.0/8</c>) or <c>unix</c> for the Unix socket. Only
    /// they are believed when they say in <c>X-Forwarded-For</c> or <c>Forwarded</c> (RFC 7239) whom a request is from: the client is the
    /// last address in the field that is no proxy's. If a request has both fields, they must name the same client: a proxy may pass on the
    /// one that it does not write. Requests for which a proxy names no client (no field, a malformed one, two that differ, <c>unknown</c>,
    /// <c>_hidden</c>, a loopback address) share the limits of one address, the proxy's own. A proxy's connections are not limited by
    /// address; nor is anything that comes over loopback or a Unix socket that is not named here. An IPv6 /64 counts as one address.
    /// Default: none.
    /// </summary>
    public IList<string> Proxies { get; private set; } = [];

    /// <summary>
    /// Over how long <see cref="MoshpitServer.StopAsync"/> spreads the ends of the streams, when they are many, so that their clients don't
    /// all come back in the same millisecond. Default 2 s.
    /// </summary>
    public TimeSpan DrainTime { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long <see cref="MoshpitServer.StopAsync"/> waits for requests to finish, which are answered 503 then, and again for streams to
    /// be read to their end, which are cut then. Default 2 s.
    /// </summary>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Where logs go. Default: nowhere. Tokens and payloads are never logged. A logger that blocks or throws holds up nothing: entries that
    /// it does not take in time are dropped, and their number is logged. It is called on one thread, a little later than what it tells of.
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

    /// <summary>Checks each value against its declaration, and the rules that no declaration holds.</summary>
    private void Validate()
    {
        foreach (Setting setting in Settings)
            setting.Check(this);
        if (Port is null && SocketPath is null)
            throw new ArgumentException("There is nothing to listen on: set Port, SocketPath, or both.");
        if (Host?.Length == 0)
            throw new ArgumentException("The host is empty; give a name or an address of this machine, or none for all of them.");
        if (SocketPath is not null && (SocketPath.Length == 0 || Encoding.UTF8.GetByteCount(SocketPath) > LongestSocketPath))
            throw new ArgumentException($"{nameof(SocketPath)} (--socket) must be the path of a file, of 1 to {LongestSocketPath} bytes.");
        _ = ReadProxies();
        if (LoggerFactory is null || TimeProvider is null)
            throw new ArgumentException(
                $"{nameof(LoggerFactory)} and {nameof(TimeProvider)} must not be null; leave them out for the defaults.");
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
                networks.Add(address.IsIPv4MappedToIPv6
                    ? new IPNetwork(address.MapToIPv4(), 32)
                    : new IPNetwork(address, address.GetAddressBytes().Length * 8));
            else if (!isShort && IPNetwork.TryParse(proxy, out IPNetwork network))
                networks.Add(network);
            else if (proxy != UnixProxy)
                throw new ArgumentException($"Proxy '{proxy}' must be an address, a network such as 10.0.0.0/8, or {UnixProxy}.");
        }

        return networks;
    }
}
