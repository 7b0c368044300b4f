using Microsoft.Extensions.Logging;

namespace Moshpit.Server.Channels;

/// <summary>What the channels have to say. Event ids 300–399.</summary>
internal static partial class ChannelLog
{
    [LoggerMessage(300, LogLevel.Error,
        "Delivering to a peer failed because of an error of ours, and its stream ends; the others are not affected.")]
    public static partial void DeliveryFailed(ILogger logger, Exception exception);
}
