using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Moshpit.Server.Buffers;

namespace Moshpit.Server.Transport;

/// <summary>What all event streams of a server share: limits, the heartbeat, and the set of those that are open.</summary>
internal sealed class StreamTransport
{
    private readonly long[] _ended = new long[Enum.GetValues<DisconnectReason>().Length];
    public required ServerClock Clock { get; init; }

    public required ILogger Logger { get; init; }

    /// <summary>Where all that is sent comes from, and a send queue's copies.</summary>
    public required FramePool Frames { get; init; }

    /// <summary>A chunk, sent after <see cref="HeartbeatInterval"/> of silence; held by the server as long as it runs.</summary>
    public required SharedFrame Heartbeat { get; init; }

    /// <summary>Where in <see cref="Heartbeat"/> the part for streams without chunks stands.</summary>
    public required Range PlainHeartbeat { get; init; }

    /// <summary>Ends a stream of chunks in good order; held by the server as long as it runs.</summary>
    public required SharedFrame LastChunk { get; init; }

    /// <summary>Milliseconds of silence before a heartbeat; <see cref="long.MaxValue"/> for none.</summary>
    public required long HeartbeatInterval { get; init; }

    /// <summary>How much may wait for peers that are behind.</summary>
    public required MemoryBudget Budget { get; init; }

    /// <summary>How many bytes the other side of a socket has acknowledged in all.</summary>
    public Func<Socket, long> BytesAcknowledged { get; init; } = SocketSettings.BytesAcknowledged;

    /// <summary>Milliseconds without progress that a send queue may last.</summary>
    public required long StallTimeout { get; init; }

    /// <summary>Milliseconds that a peer has to close its side after the end of the stream.</summary>
    public required long LingerTimeout { get; init; }

    /// <summary>Bytes that a stream's peer may send in all; they are dropped.</summary>
    public required int InputLimit { get; init; }

    /// <summary>Counts each stream from its start until nothing is left of it.</summary>
    public required ActivityCount Sockets { get; init; }

    public SlotTable<EventStreamConnection> Streams { get; } = new();

    /// <summary>Nothing can be due for a stream that made progress more recently than this.</summary>
    public long ShortestPatience => Math.Min(HeartbeatInterval, Math.Min(StallTimeout, LingerTimeout));

    /// <summary>How many streams have ended for <paramref name="reason"/>.</summary>
    public long EndedFor(DisconnectReason reason) => Volatile.Read(ref _ended[(int)reason]);

    /// <summary>Called once for each stream that was started, on any thread, when its socket is closed.</summary>
    public void OnEnded(EventStreamConnection stream, SinkEnd end)
    {
        try
        {
            Streams.Remove(stream);
            Interlocked.Increment(ref _ended[(int)end.Reason]);
            stream.Owner.OnEnded(stream, end);
        }
        finally
        {
            Sockets.End();
        }
    }

    public void OnTick()
    {
        long now = Clock.Now;
        foreach (EventStreamConnection? stream in Streams.Snapshot())
            stream?.OnTick(now);
    }
}
