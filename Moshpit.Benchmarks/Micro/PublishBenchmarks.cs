using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.Logging.Abstractions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Sse;

namespace Moshpit.Benchmarks.Micro;

/// <summary>Messages published in a channel whose peers only count what they are given, spread over so many shards.</summary>
[MemoryDiagnoser]
public class PublishBenchmarks
{
    private const int PeersPerShard = 256;
    private const int Messages = 1000;

    private readonly FramePool _frames = new();
    private readonly List<CountingSink> _sinks = [];
    private Channel _channel = null!;
    private Peer _sender = null!;
    private SharedFrame _message = null!;
    private long _published;

    [Params(1, 8, 64)]
    public int Shards { get; set; }

    [GlobalSetup]
    public void Fill()
    {
        var registry = new ChannelRegistry
        {
            MaxChannels = 1,
            MaxPeersPerChannel = int.MaxValue,
            MaxShards = Shards,
            PendingLimit = 1024 * 1024,
            History = new HistoryBudget(limit: 0, total: 0, time: 0),
            Away = new AwayPeers(grace: 0, () => 0),
            Now = () => 0,
            OwnerNews = new OwnerNews(_frames),
            SessionEvents = new SessionEvents(_frames, grace: 0, heartbeatSeconds: 0),
            Frames = _frames,
            Logger = NullLogger.Instance,
        };
        Span<HexId> ids = stackalloc HexId[2];
        HexId.Fill(ids);
        _channel = registry.Create(new ChannelId(ids[0]), RoomSettings.Default)
            ?? throw new InvalidOperationException("There is room for a channel.");
        SharedFrame nothing = _frames.Rent(1);
        for (int n = 0; n < Shards * PeersPerShard; n++)
        {
            HexId.Fill(ids);
            var sink = new CountingSink();
            var peer = new Peer(_channel, new PeerId(ids[0]), new Token(ids[1]));
            Check.That(peer.Join(sink, nothing) == JoinOutcome.Joined, "A peer could not join.");
            _sender ??= peer;
            _sinks.Add(sink);
        }

        nothing.Release();
        _message = _frames.Rent(100);
        EventWriter.BeginSignal(_message);
        _message.Append("\"................................................................\""u8);
        EventWriter.EndSignal(_message);
        foreach (CountingSink sink in _sinks)
            sink.Bytes = 0;
    }

    /// <summary>One after the other: each message has arrived everywhere before the next one is published.</summary>
    [Benchmark(OperationsPerInvoke = Messages)]
    public void OneByOne()
    {
        for (int n = 0; n < Messages; n++)
        {
            Publish();
            Arrive();
        }

        Verify();
    }

    /// <summary>As fast as there is room for them.</summary>
    [Benchmark(OperationsPerInvoke = Messages)]
    public void InARow()
    {
        for (int n = 0; n < Messages; n++)
            Publish();
        Arrive();
        Verify();
    }

    private void Publish()
    {
        ValueTask<Delivery> publishing = _channel.PublishAsync(new Publication(_sender, null, _message));
        _channel.Drain();
        Check.That(IsDelivered(publishing.IsCompleted ? publishing.Result : publishing.AsTask().Result), "The channel closed.");
        _published += _message.Length;
    }

    private static bool IsDelivered(Delivery delivery) => delivery.Outcome == DeliveryOutcome.Delivered;

    private void Arrive()
    {
        SpinWait wait = default;
        while (_channel.PendingBytes > 0)
            wait.SpinOnce();
    }

    private void Verify() => Check.That(_sinks.TrueForAll(sink => sink.Bytes == _published), "A peer missed something.");

    private sealed class CountingSink : FrameSink
    {
        private long _bytes;

        public long Bytes
        {
            get => Volatile.Read(ref _bytes);
            set => Volatile.Write(ref _bytes, value);
        }

        public override bool IsChunked => true;

        public override bool IsBehind => false;

        public override bool HasEnded => false;

        public override void Write(SharedFrame frame, Range bytes) => Bytes += bytes.End.Value - bytes.Start.Value;

        public override Task? WhenRoom() => null;

        public override void Complete(DisconnectReason reason)
        {
        }

        public override void Abort(DisconnectReason reason)
        {
        }
    }
}
