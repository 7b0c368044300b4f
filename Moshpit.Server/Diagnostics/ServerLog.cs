using Microsoft.Extensions.Logging;

namespace Moshpit.Server.Diagnostics;

/// <summary>What the server says about itself. Event ids 1–99.</summary>
internal static partial class ServerLog
{
    [LoggerMessage(1, LogLevel.Warning, "The logger did not keep up: {Count} log entries before this one were dropped.")]
    public static partial void EntriesDropped(ILogger logger, long count);

    [LoggerMessage(2, LogLevel.Error,
        "Stopped without waiting any longer for {Connections} connections, {Streams} streams and {Frames} message buffers that had not ended.")]
    public static partial void NotEnded(ILogger logger, int connections, int streams, int frames);
}
