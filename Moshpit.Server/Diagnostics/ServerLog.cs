using Microsoft.Extensions.Logging;

namespace Moshpit.Server.Diagnostics;

/// <summary>What the server says about itself. Event ids 1–99.</summary>
internal static partial class ServerLog
{
    [LoggerMessage(1, LogLevel.Warning, "The logger did not keep up: {Count} log entries before this one were dropped.")]
    public static partial void EntriesDropped(ILogger logger, long count);

    [LoggerMessage(2, LogLevel.Error, "Stopped without waiting any longer for {What} that had not ended.")]
    public static partial void Leaked(ILogger logger, string what);

    [LoggerMessage(3, LogLevel.Information, "After {Seconds} s of {Phase}, the stop does not wait any longer for {What}.")]
    public static partial void NotEnded(ILogger logger, double seconds, object phase, string what);
}
