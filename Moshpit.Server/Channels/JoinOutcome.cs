namespace Moshpit.Server.Channels;

/// <summary>How an attempt to join a channel went.</summary>
internal enum JoinOutcome : byte
{
    Joined,

    /// <summary>The channel has just closed.</summary>
    Closed,

    /// <summary>The channel has as many peers as it may have.</summary>
    Full,
}
