namespace Moshpit.Tests.Properties;

/// <summary>What a <see cref="Step"/> does.</summary>
internal enum StepKind
{
    /// <summary>Opens a channel.</summary>
    Create,

    /// <summary>Joins a channel, and says something as soon as it is connected.</summary>
    Join,

    /// <summary>So many join at once that a pass over the channel is no longer made by the thread that publishes.</summary>
    Crowd,

    /// <summary>Sends to all.</summary>
    Broadcast,

    /// <summary>Sends to one, of whatever channel.</summary>
    Direct,

    /// <summary>Sends to all and to one by turns, without waiting for answers.</summary>
    Burst,

    /// <summary>Leaves by a FIN; an owner, too.</summary>
    Leave,

    /// <summary>Leaves by a reset; an owner, too.</summary>
    Reset,

    /// <summary>Sends with the token of a peer of another channel, or with a token of no peer.</summary>
    Forge,

    /// <summary>Joins a channel that is gone, or never was.</summary>
    JoinNobody,
}
