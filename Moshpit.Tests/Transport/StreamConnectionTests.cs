using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Transport;

namespace Moshpit.Tests.Transport;

/// <summary>What can't be brought about from outside; the rest is in <c>Spec/</c>.</summary>
internal sealed class StreamConnectionTests
{
    [Test]
    public void One_whose_socket_is_closed_before_its_first_write_ends_as_any_other()
    {
        var frames = new FramePool();
        SharedFrame frame = frames.Rent(10);
        frame.Append("opening"u8);
        List<DisconnectReason> ends = [];
        List<(int Open, int Ending)> counts = [];
        StreamTransport transport = null!;
        var sockets = new ActivityCount();
        transport = new StreamTransport
        {
            Clock = new ServerClock(TimeProvider.System, TimeSpan.FromSeconds(1), NullLogger.Instance),
            Logger = NullLogger.Instance,
            Frames = frames,
            Heartbeat = frame,
            PlainHeartbeat = default,
            LastChunk = frame,
            HeartbeatInterval = long.MaxValue,
            Budget = new MemoryBudget(frames, 1000, 1000, 1000),
            StallTimeout = 1000,
            LingerTimeout = 1000,
            InputLimit = 1000,
            Ended = (_, reason) =>
            {
                ends.Add(reason);
                counts.Add((transport.Streams.Count, sockets.Count));
            },
            Sockets = sockets,
        };
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Dispose();
        var stream = new StreamConnection(socket, transport, isChunked: true);
        lock (stream)
            stream.Write(frame, 0..frame.Length);
        stream.Start();
        counts.Add((transport.Streams.Count, sockets.Count));
        Assert.That(ends, Is.EqualTo(new[] { DisconnectReason.Reset }));
        Assert.That(counts, Is.EqualTo(new[] { (0, 1), (0, 0) }), "a stop waits for its channel to hear of it");
        frame.Release();
        Assert.That(frames.Outstanding, Is.Zero);
    }
}
