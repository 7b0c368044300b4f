using Microsoft.Extensions.Logging;

namespace Moshpit.Server.Transport;

/// <summary>What the transport has to say. Event ids 100–199.</summary>
internal static partial class TransportLog
{
    [LoggerMessage(100, LogLevel.Warning,
        "Accepting a connection failed ({Error}); retrying every {Milliseconds} ms. Connected peers are not affected.")]
    public static partial void AcceptFailed(ILogger logger, string error, double milliseconds);

    [LoggerMessage(101, LogLevel.Warning, "Accepting connections again.")]
    public static partial void AcceptRecovered(ILogger logger);

    [LoggerMessage(102, LogLevel.Error, "A stream failed because of an error of ours; the others are not affected.")]
    public static partial void StreamFailed(ILogger logger, Exception exception);

    [LoggerMessage(103, LogLevel.Error, "What was due at a tick of the clock failed because of an error of ours; the next tick comes.")]
    public static partial void TickFailed(ILogger logger, Exception exception);
}
