using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Diagnostics;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;
using Moshpit.Server.Sse;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>What all connections of one server share.</summary>
internal sealed class ServerState : IAsyncDisposable
{
    /// <summary>Connections that carry requests whose state is kept for the next ones. More are there at times; theirs is garbage then.</summary>
    private const int MostPooled = 256;

    /// <summary>
    /// Bodies that a backlog has room for at least: with less, a peer that reads would be cut when a few large messages meet, or by a single one that
    /// is mostly escapes (<see cref="JsonText.MostGrowth"/>).
    /// </summary>
    private const int LeastBacklogBodies = 8;

    /// <summary>The shortest time between two groups of streams that end as the server stops.</summary>
    private static readonly TimeSpan DrainStep = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// How long the end waits for what has no reason to go on: connections that were cut, a tick of the clock, message buffers that a pass or a
    /// send still holds. Milliseconds are enough, unless the machine is very busy.
    /// </summary>
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(5);

    private readonly LogQueue _log;
    private readonly TaskCompletionSource _requestsDrained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SharedFrame _heartbeat;
    private readonly SharedFrame _lastChunk;
    private readonly CancellationTokenSource _stop = new();
    private volatile bool _stopping;
    private volatile bool _endingStreams;
    private int _serving;
    private readonly Rejection _bodyTooLarge;
    private readonly Rejection _targetTooLong;
    private readonly Rejection _headerSectionTooLarge;
    private readonly Rejection _tooManyFields;

    public ServerState(MoshpitServerOptions options)
    {
        Options = options;
        Frames = new FramePool(options.Arrays);
        Logger = _log = new LogQueue(options.LoggerFactory.CreateLogger("Moshpit"));
        Warnings = new OperatorWarnings(Logger);
        Clock = new ServerClock(options.TimeProvider, ShortestTimeout(options), Logger);
        Clock.Tick += OnTick;
        Channels = new ChannelRegistry
        {
            MaxChannels = options.MaxChannels,
            MaxPeersPerChannel = options.MaxPeersPerChannel,
            MaxFanOuts = options.ThreadsPerChannel,
            PendingLimit = options.PendingLimit,
            Frames = Frames,
            Logger = Logger,
        };
        int descriptors = DescriptorLimit.Connections();
        int share = DescriptorLimit.ShareOf(descriptors);
        Addresses = new AddressLimits
        {
            RequestsPerSecond = options.RequestsPerSecondPerAddress,
            ChannelsPerMinute = options.ChannelsPerMinutePerAddress,
            Streams = Math.Min(options.MaxStreamsPerAddress, share),
            Connections = Math.Min(options.MaxConnectionsPerAddress, share),
            Proxies = options.ReadProxies(),
            UnixSocketIsProxy = options.Proxies.Contains(MoshpitServerOptions.UnixProxy),
        };
        Admission = new Admission(this, descriptors);
        Admission.WarnOfFewDescriptors();
        Limits = new RequestLimits
        {
            MaxRequestLine = options.RequestLineLimit,
            MaxHeaderSection = options.HeaderSectionLimit,
            MaxHeaderFields = options.HeaderFieldLimit,
        };
        _bodyTooLarge = Rejections.BodyTooLarge.With($"The body is too large; send at most {options.BodyLimit} bytes.");
        _targetTooLong = Rejections.TargetTooLong.With(
            $"The request target is too long; the whole request line may have {options.RequestLineLimit} bytes.");
        _headerSectionTooLarge = Rejections.HeaderSectionTooLarge.With(
            $"The header fields are too large; together they may have {options.HeaderSectionLimit} bytes.");
        _tooManyFields = Rejections.TooManyFields.With($"There are too many header fields; send at most {options.HeaderFieldLimit}.");
        RequestStates = new DefaultObjectPool<RequestState>(new RequestState.Policy(Limits), MostPooled);
        Buffers = new DefaultObjectPool<TransportBuffers>(new TransportBuffers.Policy(), MostPooled);
        Receivers = new DefaultObjectPool<Receiver>(new Receiver.Policy(), MostPooled);
        _heartbeat = FrameOf(EventWriter.Heartbeat);
        _lastChunk = FrameOf(ChunkFraming.LastChunk);
        Streams = new StreamTransport
        {
            Clock = Clock,
            Logger = Logger,
            Frames = Frames,
            Heartbeat = _heartbeat,
            PlainHeartbeat = ChunkFraming.EventIn(EventWriter.Heartbeat),
            LastChunk = _lastChunk,
            HeartbeatInterval = options.Heartbeat == TimeSpan.Zero ? long.MaxValue : (long)options.Heartbeat.TotalMilliseconds,
            Budget = new MemoryBudget(
                Frames, options.TotalBacklogLimit, Math.Max(options.BacklogLimit, LeastBacklogBodies * (long)options.BodyLimit), options.MaxBacklog),
            StallTimeout = (long)options.StallTimeout.TotalMilliseconds,
            LingerTimeout = (long)options.LingerTimeout.TotalMilliseconds,
            InputLimit = options.StreamInputLimit,
            Ended = OnStreamEnded,
            Gone = OnConnectionEnded,
        };
    }

    public MoshpitServerOptions Options { get; }

    public ILogger Logger { get; }

    public OperatorWarnings Warnings { get; }

    public ServerClock Clock { get; }

    public FramePool Frames { get; }

    public ChannelRegistry Channels { get; }

    public AddressLimits Addresses { get; }

    public Admission Admission { get; }

    public RequestLimits Limits { get; }

    public ObjectPool<RequestState> RequestStates { get; }

    public ObjectPool<TransportBuffers> Buffers { get; }

    public ObjectPool<Receiver> Receivers { get; }

    /// <summary>Connections that carry an event stream.</summary>
    public StreamTransport Streams { get; }

    /// <summary>Connections that carry requests.</summary>
    public SlotTable<HttpConnection> Connections { get; } = new();

    /// <summary>The server takes no new work; what is under way is finished.</summary>
    public bool Stopping => _stopping;

    /// <summary>Cancelled when the server begins to stop: what may wait then does not.</summary>
    public CancellationToken StopToken => _stop.Token;

    /// <summary>
    /// The time for requests is over and the streams are being ended: a stream that starts only now may have been missed. Set before anybody looks
    /// which there are.
    /// </summary>
    public bool EndingStreams => _endingStreams;

    /// <summary>
    /// Finishes the requests under way, refuses those that take longer than <see cref="MoshpitServerOptions.ShutdownTimeout"/>, then ends the
    /// streams, spread over <see cref="MoshpitServerOptions.DrainTime"/>, so that their clients don't all come back at once; cuts who is still
    /// there after that timeout once more.
    /// </summary>
    /// <remarks>Each wait has a bound: <see cref="DisposeAsync"/> tells what has not ended then.</remarks>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _stopping = true;
        Interlocked.MemoryBarrier();
        await _stop.CancelAsync().ConfigureAwait(false);
        ApiLog.Stopping(Logger, Streams.Streams.Count, Channels.Count);
        foreach (HttpConnection? connection in Connections.Snapshot().ToArray())
            connection?.OnStopping();
        try
        {
            await WhenAsync(_requestsDrained, cancellationToken).ConfigureAwait(false);
            _endingStreams = true;
            foreach (HttpConnection? connection in Connections.Snapshot().ToArray())
                connection?.OnDrainTimeout();
            Channels.CloseAll();
            await EndStreamsAsync(cancellationToken).ConfigureAwait(false);
            await WhenAsync(_drained, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            ApiLog.Hurrying(Logger, Admission.Connections);
        }

        _endingStreams = true;
        foreach (HttpConnection? connection in Connections.Snapshot().ToArray())
            connection?.Abort();
        foreach (StreamConnection? stream in Streams.Streams.Snapshot().ToArray())
            Cut(stream);
        OnConnectionEnded();
        await EndsAsync(_drained.Task).ConfigureAwait(false);
        foreach (DisconnectReason reason in Enum.GetValues<DisconnectReason>())
        {
            if (Streams.EndedFor(reason) is > 0 and long count)
                ApiLog.EndedFor(Logger, count, reason);
        }

        Warnings.Flush();
    }

    /// <summary><paramref name="rejection"/>, with the limits in force in its sentence.</summary>
    public Rejection WithLimits(Rejection rejection) =>
        rejection == Rejections.BodyTooLarge ? _bodyTooLarge
        : rejection == Rejections.TargetTooLong ? _targetTooLong
        : rejection == Rejections.HeaderSectionTooLarge ? _headerSectionTooLarge
        : rejection == Rejections.TooManyFields ? _tooManyFields
        : rejection;

    /// <summary>Ends <paramref name="stream"/> at once, since the server stops.</summary>
    public static void Cut(StreamConnection? stream)
    {
        if (stream is null)
            return;
        lock (stream)
            stream.Abort(DisconnectReason.ServerStopped);
    }

    /// <summary>A connection may have requests from now on, until <see cref="EndServing"/>.</summary>
    public void BeginServing() => Interlocked.Increment(ref _serving);

    /// <summary>A connection has no more requests, though its client may not have read the last answer yet.</summary>
    public void EndServing()
    {
        Interlocked.Decrement(ref _serving);
        OnConnectionEnded();
    }

    /// <summary>Called after a connection of either kind has ended.</summary>
    public void OnConnectionEnded()
    {
        if (!Stopping || Volatile.Read(ref _serving) > 0)
            return;
        _requestsDrained.TrySetResult();

        // In this order: what leaves one of these counts has entered the next before.
        if (Connections.Count + Streams.Streams.Count + Streams.Ending == 0)
            _drained.TrySetResult();
    }

    /// <summary>
    /// After <see cref="StopAsync"/>: waits until the clock stands still and every message buffer was returned, for a bounded time, and then for
    /// the log.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        bool ended = _drained.Task.IsCompleted & await EndsAsync(Clock.StopAsync().AsTask()).ConfigureAwait(false);
        if (ended)
        {
            // What has not ended may still send them.
            _heartbeat.Release();
            _lastChunk.Release();

            // A pass that goes on, or a send that fails just now, returns its last one after the last socket was closed.
            ended = await EndsAsync(Frames.WhenAllReturnedAsync()).ConfigureAwait(false);
        }

        if (!ended)
            ServerLog.NotEnded(Logger, Connections.Count, Streams.Streams.Count + Streams.Ending, Frames.Outstanding);
        await _log.CloseAsync().ConfigureAwait(false);
    }

    /// <summary>Waits for what should end by itself now. False: it did not.</summary>
    private async Task<bool> EndsAsync(Task task)
    {
        try
        {
            await task.WaitAsync(EndTimeout, Options.TimeProvider).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private SharedFrame FrameOf(ReadOnlySpan<byte> bytes)
    {
        SharedFrame frame = Frames.Rent(bytes.Length);
        frame.Append(bytes);
        return frame;
    }

    private async Task WhenAsync(TaskCompletionSource drained, CancellationToken cancellationToken)
    {
        OnConnectionEnded();
        try
        {
            await drained.Task.WaitAsync(Options.ShutdownTimeout, Options.TimeProvider, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // Whoever is late is cut in the end.
        }
    }

    private async Task EndStreamsAsync(CancellationToken cancellationToken)
    {
        StreamConnection?[] streams = Streams.Streams.Snapshot().ToArray();
        int steps = Math.Max(1, (int)(Options.DrainTime / DrainStep));

        // Few streams need no spreading: one for each millisecond is slow enough.
        int perStep = Math.Max((int)DrainStep.TotalMilliseconds, (streams.Length + steps - 1) / steps);
        for (int i = 0; i < streams.Length; i++)
        {
            if (i > 0 && i % perStep == 0)
                await Task.Delay(DrainStep, Options.TimeProvider, cancellationToken).ConfigureAwait(false);
            if (streams[i]?.Owner is Peer peer)
                Channel.End(peer, DisconnectReason.ServerStopped);
        }
    }

    private static TimeSpan ShortestTimeout(MoshpitServerOptions options)
    {
        TimeSpan shortest = options.Heartbeat == TimeSpan.Zero ? TimeSpan.MaxValue : options.Heartbeat;
        ReadOnlySpan<TimeSpan> others =
            [options.HeaderTimeout, options.BodyTimeout, options.IdleTimeout, options.LingerTimeout, options.StallTimeout];
        foreach (TimeSpan timeout in others)
            shortest = timeout < shortest ? timeout : shortest;
        return shortest;
    }

    private void OnTick()
    {
        long now = Clock.Now;
        foreach (HttpConnection? connection in Connections.Snapshot())
            connection?.OnTick(now);
        Streams.OnTick();
        Addresses.OnTick(now);
        Warnings.OnTick(now, Streams.Budget.Used, Streams.Budget.Limit);
    }

    private void OnStreamEnded(StreamConnection stream, DisconnectReason reason)
    {
        var peer = (Peer)stream.Owner!;
        Warnings.OnStreamEnded(reason, stream.Usage);
        double seconds = (Clock.Now - stream.OpenedAt) / 1000d;
        ApiLog.StreamEnded(Logger, peer.Channel.Id, peer.Cid, OperatorWarnings.NameOf(stream.Usage), reason, seconds, stream.BytesSent);

        // Its room first: the owner, who is told then, may count on it.
        stream.Usage?.RemoveStream();
        Admission.Leave(stream.Usage, refusal: null);
        peer.Channel.Leave(peer);
    }
}
