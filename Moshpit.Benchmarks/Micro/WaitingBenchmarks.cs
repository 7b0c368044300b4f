using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.Logging.Abstractions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;

namespace Moshpit.Benchmarks.Micro;

/// <summary>
/// So many publishers wait for room in a channel, and all get it: the time from when there is room until the last has published.
/// </summary>
public class WaitingBenchmarks
{
    /// <summary>Room for one message at a time.</summary>
    private const int PendingLimit = 1;

    private readonly FramePool _frames = new();
    private Channel _channel = null!;
    private Peer _peer = null!;
    private HeldSink _sink = null!;
    private SharedFrame _message = null!;
    private Task<Delivery>[] _waiting = [];

    [Params(1000, 8000)]
    public int Publishers { get; set; }

    [GlobalSetup]
    public void Open()
    {
        var registry = new ChannelRegistry
        {
            MaxChannels = 1,
            MaxPeersPerChannel = int.MaxValue,
            MaxShards = 1,
            PendingLimit = PendingLimit,
            History = new HistoryBudget(limit: 0, total: 0, time: 0),
            Away = new AwayPeers(grace: 0, () => 0),
            Now = () => 0,
            OwnerNews = new OwnerNews(_frames),
            SessionEvents = new SessionEvents(_frames, grace: 0, heartbeatSeconds: 0),
            Frames = _frames,
            Logger = NullLogger.Instance,
        };
        Span<HexId> ids = stackalloc HexId[3];
        HexId.Fill(ids);
        _channel = registry.Create(new ChannelId(ids[0]), RoomSettings.Default)
            ?? throw new InvalidOperationException("There is room for a channel.");
        _message = _frames.Rent(100);
        _message.Append("0123456789"u8);
        _peer = new Peer(_channel, new PeerId(ids[1]), new Token(ids[2]));
        _sink = new HeldSink();
        Check.That(_peer.Join(_sink, _message) == JoinOutcome.Joined, "The peer could not join.");
    }

    [IterationSetup]
    public void Wait()
    {
        _channel.Drain();
        SpinWait.SpinUntil(() => _channel.PendingBytes == 0);
        _sink.Hold();
        Task<Delivery> first = PublishAsync();
        Check.That(first.IsCompletedSuccessfully, "There is room for the first.");
        _ = Task.Run(_channel.Drain);
        SpinWait.SpinUntil(() => _sink.IsHolding);
        _waiting = [.. Enumerable.Range(0, Publishers).Select(_ => PublishAsync())];
        Check.That(_waiting.All(waiting => !waiting.IsCompleted), "There was room.");
    }

    [Benchmark]
    public void All()
    {
        _sink.LetGo();
        Delivery[] deliveries = Task.WhenAll(_waiting).GetAwaiter().GetResult();
        Check.That(Array.TrueForAll(deliveries, delivery => delivery.Outcome == DeliveryOutcome.Delivered), "The channel closed.");
    }

    private Task<Delivery> PublishAsync() => _channel.PublishAsync(new Publication(_peer, null, _message)).AsTask();

    /// <summary>Holds up the thread that writes to it, until it is let go.</summary>
    private sealed class HeldSink : FrameSink
    {
        private readonly ManualResetEventSlim _open = new(true);

        public bool IsHolding { get; private set; }

        public override bool IsChunked => true;

        public override bool IsBehind => false;

        public override bool HasEnded => false;

        public void Hold() => _open.Reset();

        public void LetGo() => _open.Set();

        public override void Write(SharedFrame frame, Range bytes)
        {
            IsHolding = !_open.IsSet;
            _open.Wait();
            IsHolding = false;
        }

        public override Task? WhenRoom() => null;

        public override void Complete(DisconnectReason reason)
        {
        }

        public override void Abort(DisconnectReason reason)
        {
        }
    }
}
