namespace Moshpit.Server.Buffers;

/// <summary>
/// Something that takes frames, in order, and never waits. What is to be in order is written under a lock of the writer's; a sink guards
/// its own state, so that its other members can be used at any time.
/// </summary>
internal abstract class FrameSink
{
    /// <summary>Events reach it as the chunks that they are encoded as; otherwise (HTTP/1.0) without their chunks.</summary>
    public abstract bool IsChunked { get; }

    /// <summary>Something waits for the other side to read.</summary>
    public abstract bool IsBehind { get; }

    /// <summary>It was told to end, or has: what is written to it now never arrives.</summary>
    public abstract bool HasEnded { get; }

    /// <summary>The other side was not seen to have gone.</summary>
    public virtual bool IsConnected => !HasEnded;

    /// <summary>
    /// Takes <paramref name="bytes"/> of <paramref name="frame"/>: they are sent, or kept for later with a reference of the sink's own. A
    /// sink that has ended drops them. A sink that fails ends, and does not throw.
    /// </summary>
    public abstract void Write(SharedFrame frame, Range bytes);

    /// <summary>
    /// Null: more may be written without bringing the sink close to its bound; or the other side does not read, and waiting would be in
    /// vain. Otherwise completes when that may have changed.
    /// </summary>
    public abstract Task? WhenRoom();

    /// <summary>Ends the sink in good order after everything that it has taken: the other side can tell that nothing is missing.</summary>
    public abstract void Complete(DisconnectReason reason);

    /// <summary>Ends the sink at once: what it has taken may not arrive, and the other side can tell that it was cut.</summary>
    public abstract void Abort(DisconnectReason reason);
}
