namespace Moshpit.Server.Transport;

/// <summary>What came of waiting for bytes.</summary>
internal enum Received : byte
{
    Bytes,

    /// <summary>The other side will send nothing more; it may still read.</summary>
    End,

    Failed,

    TimedOut,
}
