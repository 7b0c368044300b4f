namespace Moshpit.Tests.Properties;

/// <summary>A room, and what happens there.</summary>
internal sealed record SessionSchedule(SessionRoom Room, SessionStep[] Steps)
{
    public override string ToString() => $"[{Room}] {string.Join(' ', Steps)}";
}

/// <summary>How clients ask for their channel.</summary>
[Flags]
internal enum SessionRoom
{
    None = 0,

    /// <summary>By its name; the owner creates it.</summary>
    IsNamed = 1,

    IsKept = 2,

    OwnerPublishes = 4,

    /// <summary>Not all clients have room.</summary>
    IsSmall = 8,

    /// <summary>Every client says <c>create=1</c>.</summary>
    AllCreate = 16,

    /// <summary>A plain stream creates the channel, if it has a name.</summary>
    BeginsPlain = 32,

    /// <summary>All clients are there when it begins.</summary>
    BeginsFull = 64,

    All = 127,
}

/// <summary>One thing that happens to a client. Both numbers are taken modulo what there is, so any numbers make sense.</summary>
internal readonly record struct SessionStep(SessionStepKind Kind, int Client, int Number)
{
    public override string ToString() => $"{Kind}({Client}, {Number})";
}

/// <summary>What a <see cref="SessionStep"/> does.</summary>
internal enum SessionStepKind
{
    /// <summary>Opens a stream, with the last id that the client has had. A stream that it has goes on without its client.</summary>
    Open,

    /// <summary>A request for a stream that the client has given up reaches the server now, with an earlier last id.</summary>
    OpenLate,

    /// <summary>The client forgets what it knew, and opens a stream.</summary>
    Reload,

    /// <summary>Opens more streams than a session may within some seconds, and may have lost the last one that it got.</summary>
    Storm,

    /// <summary>The stream ends by a FIN after so many more events.</summary>
    Cut,

    /// <summary>The stream ends by a reset after so many more events.</summary>
    Reset,

    /// <summary>After so many more events nothing reaches the client, and the server does not see that.</summary>
    Silence,

    /// <summary>The server sees the end of streams that have no client any more.</summary>
    EndGhosts,

    /// <summary>The streams of all sessions end.</summary>
    CutAll,

    /// <summary>Sends to all, with the next seq.</summary>
    Broadcast,

    /// <summary>Sends to one, with the next seq.</summary>
    Direct,

    /// <summary>Sends to several peers, with the next seq. Some of them may be gone.</summary>
    Several,

    /// <summary>Sends to all but itself, with the next seq.</summary>
    NoEcho,

    /// <summary>Sends with the seq of the message before, whose answer was lost.</summary>
    Repeat,

    /// <summary>Sends, and leaves out a seq.</summary>
    SkipNumber,

    /// <summary>Sends with a seq a little below the highest.</summary>
    Reorder,

    /// <summary>Sends with a seq that is much higher than any, and perhaps then with one that is far below that.</summary>
    FarNumber,

    /// <summary>Sends so much that the oldest events are not kept.</summary>
    Flood,

    Leave,

    /// <summary>Says leave for the stream before the newest.</summary>
    LeaveLate,

    /// <summary>Says leave for in some seconds.</summary>
    LeaveLater,

    /// <summary>The owner says leave.</summary>
    OwnerLeaves,

    /// <summary>Asks which peers there are.</summary>
    List,

    /// <summary>The owner, or now and then another peer, throws a peer out.</summary>
    Kick,

    /// <summary>The owner, or now and then another peer, hands over to a peer.</summary>
    HandOver,

    /// <summary>The owner, or now and then another peer, changes the room.</summary>
    Change,

    /// <summary>The owner, or now and then another peer, ends the channel.</summary>
    Close,

    Pass,

    /// <summary>So much time passes that graces are over.</summary>
    PassGrace,

    /// <summary>So much time passes that nothing is kept or remembered any more.</summary>
    PassHistory,

    /// <summary>The server stops, and another starts.</summary>
    Restart,
}
