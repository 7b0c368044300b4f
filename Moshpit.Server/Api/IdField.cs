namespace Moshpit.Server.Api;

/// <summary>What stood in a field that should name a peer.</summary>
internal enum IdField : byte
{
    /// <summary>No such field, or, for <c>cid</c>, an empty one.</summary>
    Absent,

    /// <summary>
    /// There, but not a string of 32 lower-case hex digits, nor, for <c>cid</c>, an array of one such string, so it can't name any peer.
    /// </summary>
    Malformed,

    /// <summary>There, and well formed.</summary>
    Present,
}
