namespace Moshpit.Server.Buffers;

/// <summary>What a sink is the outlet of.</summary>
internal interface ISinkOwner
{
    /// <summary>Ends the present outlet in good order, after everything that belongs on it.</summary>
    void End(DisconnectReason reason);

    /// <summary>Called once for each sink that was started, on any thread, when nothing is left of it.</summary>
    void OnEnded(FrameSink sink, SinkEnd end);
}

/// <summary>How a sink ended.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Seconds">How long it was open.</param>
/// <param name="Bytes">Bytes that it has sent.</param>
internal readonly record struct SinkEnd(DisconnectReason Reason, double Seconds, long Bytes);
