using Moshpit.Server.Buffers;

namespace Moshpit.Server.Transport;

/// <summary>
/// Something that takes frames, in order, and never waits. Every call is made while the caller holds the lock on the sink itself
/// (<c>lock (sink)</c>), so that what several calls put in stays together.
/// </summary>
internal abstract class FrameSink
{
    /// <summary>
    /// Takes <paramref name="bytes"/> of <paramref name="frame"/>: they are sent, or kept for later with a reference of the sink's own. A sink
    /// that has ended drops them.
    /// </summary>
    public abstract void Write(SharedFrame frame, Range bytes);

    /// <summary>Ends the sink after everything that it has taken.</summary>
    public abstract void Complete(DisconnectReason reason);

    /// <summary>Ends the sink at once: what it has taken may not arrive.</summary>
    public abstract void Abort(DisconnectReason reason);
}
