using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>
/// What the routes have to say, without tokens and payloads, and of ids, which are keys, no more than tells them apart. Event ids 200–299.
/// </summary>
internal static partial class ApiLog
{
    [LoggerMessage(200, LogLevel.Debug, "Peer {Cid} joined channel {Id}.")]
    public static partial void StreamOpened(ILogger logger, ShortId id, ShortId cid);

    [LoggerMessage(201, LogLevel.Debug, "Peer {Cid} left channel {Id}: {Reason}.")]
    public static partial void StreamEnded(ILogger logger, ShortId id, ShortId cid, DisconnectReason reason);

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

    [LoggerMessage(208, LogLevel.Warning, "The process may open files for {Connections} connections only, fewer than MaxConnections ({MaxConnections}), and "
        + "one address gets a quarter of them. Raise the limit (ulimit -n, LimitNOFILE= in a systemd unit), or lower --max-connections.")]
    public static partial void FewDescriptors(ILogger logger, int connections, int maxConnections);

    [LoggerMessage(209, LogLevel.Warning, "One address gets {Share} connections and streams at most, a quarter of those that the process may open files for; "
        + "MaxConnectionsPerAddress ({Connections}) or MaxStreamsPerAddress ({Streams}) is higher. Raise the limit (ulimit -n, LimitNOFILE= in a systemd "
        + "unit), or lower --max-connections-per-address and --max-streams.")]
    public static partial void SmallShare(ILogger logger, int share, int connections, int streams);

    /// <summary>The first 8 of an id's 32 digits.</summary>
    internal readonly struct ShortId(UInt128 id)
    {
        public override string ToString() => ((uint)(id >> 96)).ToString("x8", CultureInfo.InvariantCulture);
    }
}
