namespace Moshpit.Tests.Properties;

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

    /// <summary>The stream ends by a FIN after so many more events.</summary>
    Cut,

    /// <summary>The stream ends by a reset after so many more events.</summary>
    Reset,

    /// <summary>After so many more events nothing reaches the client, and the server does not see that.</summary>
    Silence,

    /// <summary>The server sees the end of streams that have no client any more.</summary>
    EndGhosts,

    /// <summary>Sends to all, with the next seq.</summary>
    Broadcast,

    /// <summary>Sends to one, with the next seq.</summary>
    Direct,

    /// <summary>Sends with the seq of the message before, whose answer was lost.</summary>
    Repeat,

    /// <summary>Sends, and leaves out a seq.</summary>
    SkipNumber,

    /// <summary>Sends with a seq a little below the highest.</summary>
    Reorder,

    /// <summary>Sends with a seq that is much higher than any, or far below that.</summary>
    FarNumber,

    /// <summary>Sends so much that the oldest events are not kept.</summary>
    Flood,

    Leave,

    /// <summary>Says leave for the stream before the newest.</summary>
    LeaveLate,

    /// <summary>Says leave for in some seconds.</summary>
    LeaveLater,

    Pass,

    /// <summary>So much time passes that graces are over.</summary>
    PassGrace,

    /// <summary>So much time passes that nothing is kept or remembered any more.</summary>
    PassHistory,

    /// <summary>The server stops, and another starts.</summary>
    Restart,
}
