using System.Net;
using Microsoft.Extensions.Logging;
using Moshpit.Server.Buffers;

namespace Moshpit.Server.Api;

/// <summary>
/// What the routes have to say, without tokens and payloads. Ids are keys, so they are shortened. Event ids 200–299.
/// </summary>
internal static partial class ApiLog
{
    [LoggerMessage(200, LogLevel.Debug, "Peer {Cid} joined channel {Id}.")]
    public static partial void StreamOpened(ILogger logger, ChannelId id, PeerId cid);

    [LoggerMessage(201, LogLevel.Information,
        "Peer {Cid} of {Client} left channel {Id}: {Reason}. Its stream lasted {Seconds} s and was sent {Bytes} bytes.")]
    public static partial void StreamEnded(
        ILogger logger, ChannelId id, PeerId cid, object client, DisconnectReason reason, double seconds, long bytes);

    [LoggerMessage(202, LogLevel.Debug, "A request was refused: {Status} {Name}.")]
    public static partial void Refused(ILogger logger, int status, string name);

    [LoggerMessage(203, LogLevel.Error, "A connection failed because of an error of ours; the others are not affected.")]
    public static partial void Failed(ILogger logger, Exception exception);

    [LoggerMessage(204, LogLevel.Information, "Listening on {EndPoint}.")]
    public static partial void Listening(ILogger logger, EndPoint endPoint);

    [LoggerMessage(205, LogLevel.Information, "Stopping, with {Streams} streams in {Channels} channels.")]
    public static partial void Stopping(ILogger logger, int streams, int channels);

    [LoggerMessage(206, LogLevel.Information, "Stopped. {Count} streams had ended for {Reason}.")]
    public static partial void EndedFor(ILogger logger, long count, DisconnectReason reason);

    [LoggerMessage(207, LogLevel.Information, "Told to hurry; cutting the {Connections} connections that are left.")]
    public static partial void Hurrying(ILogger logger, int connections);

    [LoggerMessage(208, LogLevel.Warning,
        "The process may open files for {Connections} connections only, fewer than MaxConnections ({MaxConnections}), and "
        + "one address gets a quarter of them. Raise the limit (ulimit -n, LimitNOFILE= in a systemd unit), or lower --max-connections.")]
    public static partial void FewDescriptors(ILogger logger, int connections, int maxConnections);

    [LoggerMessage(209, LogLevel.Warning,
        "One address gets {Share} connections and streams at most, a quarter of those that the process may open files for; "
        + "MaxConnectionsPerAddress ({Connections}) or MaxStreamsPerAddress ({Streams}) is higher. Raise the limit (ulimit -n, "
        + "LimitNOFILE= in a systemd "
        + "unit), or lower --max-connections-per-address and --max-streams.")]
    public static partial void SmallShare(ILogger logger, int share, int connections, int streams);

    [LoggerMessage(210, LogLevel.Warning, "At a limit: refused {Count} times with {Status} {Name}, last {Client}.")]
    public static partial void ManyRefused(ILogger logger, long count, int status, string name, object client);

    [LoggerMessage(211, LogLevel.Warning, "Cut {Count} streams for {Reason}, last one of {Client}.")]
    public static partial void StreamsCut(ILogger logger, long count, DisconnectReason reason, object client);

    [LoggerMessage(212, LogLevel.Warning,
        "At a limit: messages take {Bytes} bytes of memory, more than {Limit}. Peers that read slowest are cut.")]
    public static partial void MessagesTakeMuchMemory(ILogger logger, long bytes, long limit);

    [LoggerMessage(213, LogLevel.Warning,
        "A request from {Client} came through a proxy that is not named. All clients of that proxy share the "
        + "limits of one address. If the proxy is yours, name its address with --proxy.")]
    public static partial void UnnamedProxy(ILogger logger, object client);

    [LoggerMessage(214, LogLevel.Warning,
        "A request over loopback or a Unix socket came through a proxy that is not named. Its clients have no "
        + "limits by address. If the proxy is yours, name it with --proxy (127.0.0.1, ::1 or unix).")]
    public static partial void UnnamedLocalProxy(ILogger logger);
}
