namespace Moshpit.Server.Buffers;

/// <summary>Why a connection ended. The first reason wins. The numbers are stable: logs and counters use them.</summary>
internal enum DisconnectReason : byte
{
    /// <summary>It has not ended.</summary>
    None = 0,

    /// <summary>The other side closed its sending side (FIN).</summary>
    ClosedByPeer = 1,

    /// <summary>The other side reset the connection, or the network gave it up.</summary>
    Reset = 2,

    /// <summary>A stream's peer read so slowly that its send queue passed the limit in bytes, or its share of that of all.</summary>
    BacklogFull = 3,

    /// <summary>A stream's peer took nothing of its send queue for too long.</summary>
    Stalled = 4,

    /// <summary>A stream's peer sent more than a stream's peer has any reason to.</summary>
    TooMuchInput = 5,

    /// <summary>The channel's owner left.</summary>
    ChannelClosed = 6,

    /// <summary>The server stops.</summary>
    ServerStopped = 7,

    /// <summary>An error of ours, after which the stream may lack something.</summary>
    ServerError = 8,

    /// <summary>The peer said that it leaves.</summary>
    Left = 9,

    /// <summary>A newer stream of the same session has taken its place.</summary>
    Replaced = 10,

    /// <summary>The owner of its channel threw it out.</summary>
    Kicked = 11,
}
