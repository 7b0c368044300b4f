using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.Logging.Abstractions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Sse;

namespace Moshpit.Benchmarks.Micro;

/// <summary>
/// Messages published in a channel whose peers only count what they are given, spread over so many shards: a plain channel, or a room with
/// all that there is, whose peers have sessions and hear of all others.
/// </summary>
[MemoryDiagnoser]
public class PublishBenchmarks
{
    private const int PeersPerShard = 256;
    private const int Messages = 1000;
    private const int MessageLength = 200;
    private const int OpeningLength = 1024;

    private static readonly RoomSettings FullRoom = new(Max: 1_000_000, OwnerPublishes: true, IsKept: true);

    private readonly FramePool _frames = new();
    private readonly List<CountingSink> _sinks = [];
    private Channel _channel = null!;
    private Peer _sender = null!;
    private long _published;

    [Params(1, 8, 64)]
    public int Shards { get; set; }

    [Params(false, true)]
    public bool IsRoom { get; set; }

    [GlobalSetup]
    public void Fill()
    {
        var registry = new ChannelRegistry
        {
            MaxChannels = 1,
            MaxPeersPerChannel = int.MaxValue,
            MaxShards = Shards,
            PendingLimit = 1024 * 1024,
            History = new HistoryBudget(limit: 256 * 1024, total: 64 * 1024 * 1024, time: 120_000),
            Away = new AwayPeers(grace: 30_000, () => 0),
            Now = () => 0,
            OwnerNews = new OwnerNews(_frames),
            SessionEvents = new SessionEvents(_frames, grace: 30_000, heartbeatSeconds: 25),
            Frames = _frames,
            Logger = NullLogger.Instance,
        };
        Span<HexId> ids = stackalloc HexId[2];
        HexId.Fill(ids);
        _channel = registry.Create(new ChannelId(ids[0]), IsRoom ? FullRoom : RoomSettings.Default)
            ?? throw new InvalidOperationException("There is room for a channel.");
        for (int n = 0; n < Shards * PeersPerShard; n++)
        {
            HexId.Fill(ids);
            var sink = new CountingSink();
            Session? session = IsRoom ? new Session(new SessionKey(ids[1]), null, default, hearsAll: true) : null;
            var peer = new Peer(_channel, new PeerId(ids[0]), new Token(ids[1]), session: session);
            SharedFrame opening = _frames.Rent(OpeningLength);
            Check.That(peer.Join(sink, opening) == JoinOutcome.Joined, "A peer could not join.");
            opening.Release();
            _sender ??= peer;
            _sinks.Add(sink);
        }

        _channel.Drain();
        Arrive();
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
        SharedFrame message = _frames.Rent(MessageLength);
        EventWriter.BeginSignal(message);
        message.Append("\"................................................................\""u8);
        EventWriter.EndSignal(message);
        ValueTask<Delivery> publishing = _channel.PublishAsync(new Publication(_sender, null, message));
        _channel.Drain();
        Check.That(IsDelivered(publishing.IsCompleted ? publishing.Result : publishing.AsTask().Result), "The channel closed.");
        _published += message.Length;
        message.Release();
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
