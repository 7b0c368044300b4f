using System.Text;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Sse;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Channels;

/// <summary>Peers that do not know chunks (HTTP/1.0), beside others in one channel.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class PlainPeerTests
{
    private readonly TestChannel _channel = new();

    [Test]
    public async Task A_plain_peer_gets_the_events_without_their_chunks_in_one_write()
    {
        (_, RecordingSink chunked) = _channel.Join();
        (Peer peer, RecordingSink plain) = _channel.Join(plain: true);
        await PublishAsync("1", flush: false);
        await PublishAsync("2", flush: true);
        SharedFrame direct = Signal("3");
        peer.TrySend(direct);
        direct.Release();
        Assert.That(plain.Writes,
            Is.EqualTo(new[] { "event: signal\ndata: 1\n\nevent: signal\ndata: 2\n\n", "event: signal\ndata: 3\n\n" }));
        Assert.That(chunked.Text, Does.EndWith("17\r\nevent: signal\ndata: 1\n\n\r\n17\r\nevent: signal\ndata: 2\n\n\r\n"));
        Assert.That(_channel.Frames.Outstanding, Is.Zero);
    }

    [Test]
    public async Task A_direct_message_brings_what_is_pending_without_chunks_too()
    {
        (Peer peer, RecordingSink plain) = _channel.Join(plain: true);
        await PublishAsync("1", flush: false);
        SharedFrame direct = Signal("2");
        peer.TrySend(direct);
        direct.Release();
        Assert.That(plain.Writes, Is.EqualTo(new[] { "event: signal\ndata: 1\n\nevent: signal\ndata: 2\n\n" }));
        _channel.Channel.Drain();
        Assert.That(_channel.Frames.Outstanding, Is.Zero);
    }

    [TestCase(10)]
    [TestCase(EventChain.SegmentLength / 4 + 100)]
    [TestCase(EventChain.SegmentLength + 100)]
    public void A_delivery_to_a_plain_peer_allocates_nothing_and_the_chunk_is_taken_off_once_for_all(int length)
    {
        const int Peers = 8, Messages = 50;
        for (int n = 0; n < Peers; n++)
            _channel.Join(deaf: true, plain: true);
        string data = new('7', length);
        SharedFrame frame = Signal(data);

        // What runs beside the test may disturb a run, but not each of five.
        long[] runs = [.. Enumerable.Range(0, 5).Select(_ => Measure())];
        Assert.That(runs.Min(), Is.Zero);
        frame.Release();
        Assert.That(_channel.Frames.Outstanding, Is.Zero);

        long Measure()
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int n = 0; n < Messages; n++)
            {
                if (!_channel.PublishAsync(frame).IsCompletedSuccessfully)
                    throw new InvalidOperationException("There is room, so nothing waits.");
                _channel.Channel.Drain();
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    private async Task PublishAsync(string data, bool flush)
    {
        SharedFrame frame = Signal(data);
        await _channel.PublishAsync(frame);
        if (flush)
            _channel.Channel.Drain();
        frame.Release();
    }

    private SharedFrame Signal(string data)
    {
        SharedFrame frame = _channel.Frames.Rent(data.Length);
        EventWriter.BeginSignal(frame);
        frame.Append(Encoding.Latin1.GetBytes(data));
        EventWriter.EndSignal(frame);
        return frame;
    }
}
