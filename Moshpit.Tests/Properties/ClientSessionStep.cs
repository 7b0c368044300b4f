namespace Moshpit.Tests.Properties;

/// <summary>One thing that two real clients do, or that happens to their connections.</summary>
internal readonly record struct ClientSessionStep(ClientSessionStepKind Kind, int Client, int Number)
{
    public override string ToString() => $"{Kind}({Client}, {Number})";
}

/// <summary>What a <see cref="ClientSessionStep"/> does.</summary>
internal enum ClientSessionStepKind
{
    /// <summary>Writes some messages to all, without waiting.</summary>
    Write,

    /// <summary>Writes to the other client alone.</summary>
    WriteToOther,

    /// <summary>Waits until both have heard everything.</summary>
    Settle,

    /// <summary>A connection is reset after so many more bytes from the server.</summary>
    Cut,

    /// <summary>All connections of the client are reset now.</summary>
    Reset,

    /// <summary>What the client sends and is sent gets lost, until it takes new connections.</summary>
    Silence,

    /// <summary>The client takes new connections.</summary>
    Reconnect,

    /// <summary>The program is killed, and started again with its session and the last id that it read.</summary>
    Restart,
}
