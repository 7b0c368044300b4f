using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;
using Moshpit.Server.Api;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Diagnostics;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;
using Moshpit.Server.Sse;
using Moshpit.Server.Transport;

namespace Moshpit.Server;

/// <summary>The parts of one server, put together, and what is done to all of them: a tick of the clock, and the stop.</summary>
internal sealed class ServerParts : IAsyncDisposable
{
    /// <summary>
    /// Connections that carry requests whose state is kept for the next ones. More are there at times; theirs is garbage then.
    /// </summary>
    private const int MostPooled = 256;

    /// <summary>
    /// Bodies that a send queue has room for at least: with less, a peer that reads would be cut when a few large messages meet, or by a
    /// single one that is mostly escapes (<see cref="JsonText.MostGrowth"/>).
    /// </summary>
    private const int LeastBacklogBodies = 8;

    /// <summary>Bodies that a channel's history has room for at least.</summary>
    private const int LeastHistoryBodies = 4;

    /// <summary>The shortest time between two groups of streams that end as the server stops.</summary>
    private static readonly TimeSpan DrainStep = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// How long the end waits for what has no reason to go on: connections that were cut, a tick of the clock, message buffers that a drain
    /// or a send still holds. Milliseconds are enough, unless the machine is very busy.
    /// </summary>
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(5);

    private readonly MoshpitServerOptions _options;
    private readonly LogQueue _log;
    private readonly SharedFrame _heartbeat;
    private readonly SharedFrame _lastChunk;
    private readonly HttpDate _date;
    private readonly OperatorWarnings _warnings;

    public ServerParts(MoshpitServerOptions options)
    {
        _options = options;
        _log = new LogQueue(options.LoggerFactory.CreateLogger("Moshpit"));
        _warnings = new OperatorWarnings(_log);
        _date = new HttpDate(options.TimeProvider);
        Clock = new ServerClock(options.TimeProvider, ShortestTimeout(options), _log);
        Clock.Tick += OnTick;
        Shutdown = new Shutdown(options.TimeProvider, _log);
        Shutdown.Entered += OnPhase;
        Frames = new FramePool(options.Arrays);
        _heartbeat = FrameOf(EventWriter.Heartbeat);
        _lastChunk = FrameOf(ChunkFraming.LastChunk);

        int descriptors = DescriptorLimit.Connections();
        Addresses = CreateAddressLimits(descriptors);
        Admission = new Admission(Addresses, options.MaxConnections, descriptors);
        _warnings.OnStart(options, descriptors);

        Channels = CreateChannels();
        Streams = CreateStreams();
        Http = CreateHttp();
    }

    public ILogger Logger => _log;

    public ServerClock Clock { get; }

    public Shutdown Shutdown { get; }

    public FramePool Frames { get; }

    public ChannelRegistry Channels { get; }

    public AddressLimits Addresses { get; }

    public Admission Admission { get; }

    /// <summary>Connections that carry an event stream.</summary>
    public StreamTransport Streams { get; }

    /// <summary>Connections that carry requests.</summary>
    public HttpServices Http { get; }

    /// <summary>Connections and streams of which anything is left.</summary>
    private ActivityCount Sockets { get; } = new();

    /// <summary>
    /// Finishes the requests under way, refuses those that take longer than <see cref="MoshpitServerOptions.ShutdownTimeout"/>, then ends
    /// the streams, spread over <see cref="MoshpitServerOptions.DrainTime"/>, so that their clients don't all come back at once, and cuts
    /// what is still there after that timeout once more.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        ApiLog.Stopping(_log, Streams.Streams.Count, Channels.Count);
        Task ended = Sockets.WhenNoneAsync();
        try
        {
            await Shutdown.EnterAsync(Phase.FinishingRequests).ConfigureAwait(false);
            await WaitAsync(Http.Requests.WhenNoneAsync(), () => $"{Http.Requests.Count} connections with requests").ConfigureAwait(false);
            await Shutdown.EnterAsync(Phase.EndingStreams).ConfigureAwait(false);
            Channels.CloseAll();
            await EndStreamsAsync(cancellationToken).ConfigureAwait(false);
            await WaitAsync(ended, TellSockets).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            ApiLog.Hurrying(_log, Admission.Connections);
        }

        await Shutdown.EnterAsync(Phase.Cutting).ConfigureAwait(false);
        await Shutdown.WaitAsync(ended, EndTimeout, TellSockets, CancellationToken.None).ConfigureAwait(false);
        foreach (DisconnectReason reason in Enum.GetValues<DisconnectReason>())
        {
            if (Streams.EndedFor(reason) is > 0 and long count)
                ApiLog.EndedFor(_log, count, reason);
        }

        _warnings.Flush();

        Task<bool> WaitAsync(Task task, Func<string> what) => Shutdown.WaitAsync(task, _options.ShutdownTimeout, what, cancellationToken);
    }

    /// <summary>
    /// After <see cref="StopAsync"/>: waits until the clock stands still and every message buffer was returned, for a bounded time, and
    /// then for the log.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        bool isOver = await Shutdown.WaitAsync(Clock.StopAsync().AsTask(), EndTimeout, () => "the clock").ConfigureAwait(false);
        if (isOver && Sockets.Count == 0)
        {
            // Streams that have not ended may still send them.
            _heartbeat.Release();
            _lastChunk.Release();

            // A drain that goes on, or a send that fails just now, returns its last one after the last socket was closed.
            await Shutdown.WaitAsync(Frames.Rented.WhenNoneAsync(), EndTimeout, () => $"{Frames.Outstanding} message buffers")
                .ConfigureAwait(false);
        }

        if (Sockets.Count + Frames.Outstanding > 0)
            ServerLog.Leaked(_log, $"{TellSockets()} and {Frames.Outstanding} message buffers");
        Shutdown.Dispose();
        await _log.CloseAsync().ConfigureAwait(false);
    }

    private AddressLimits CreateAddressLimits(int descriptors)
    {
        int share = DescriptorLimit.ShareOf(descriptors);
        return new AddressLimits
        {
            RequestsPerSecond = _options.RequestsPerSecondPerAddress,
            ChannelsPerMinute = _options.ChannelsPerMinutePerAddress,
            Streams = Math.Min(_options.MaxStreamsPerAddress, share),
            Connections = Math.Min(_options.MaxConnectionsPerAddress, share),
            Proxies = _options.ReadProxies(),
            UnixSocketIsProxy = _options.Proxies.Contains(MoshpitServerOptions.UnixProxy),
        };
    }

    private ChannelRegistry CreateChannels() => new()
    {
        MaxChannels = _options.MaxChannels,
        MaxPeersPerChannel = _options.MaxPeersPerChannel,
        MaxShards = _options.ThreadsPerChannel,
        PendingLimit = _options.PendingLimit,
        History = new HistoryBudget(
            Math.Max(_options.HistoryLimit, LeastHistoryBodies * (long)_options.BodyLimit),
            _options.TotalHistoryLimit,
            (long)Math.Max(_options.HistoryTime.TotalMilliseconds, _options.Grace.TotalMilliseconds)),
        Away = new AwayPeers((long)_options.Grace.TotalMilliseconds, () => Clock.Now),
        Now = () => Clock.Now,
        OwnerNews = new OwnerNews(Frames),
        SessionEvents = new SessionEvents(Frames, (long)_options.Grace.TotalMilliseconds, (long)_options.Heartbeat.TotalSeconds),
        Frames = Frames,
        Logger = _log,
    };

    private StreamTransport CreateStreams() => new()
    {
        Clock = Clock,
        Logger = _log,
        Frames = Frames,
        Heartbeat = _heartbeat,
        PlainHeartbeat = ChunkFraming.EventIn(EventWriter.Heartbeat),
        LastChunk = _lastChunk,
        HeartbeatInterval = _options.Heartbeat == TimeSpan.Zero ? long.MaxValue : (long)_options.Heartbeat.TotalMilliseconds,
        Budget = new MemoryBudget(
            Frames,
            _options.TotalBacklogLimit,
            Math.Max(_options.BacklogLimit, LeastBacklogBodies * (long)_options.BodyLimit),
            _options.MaxBacklog),
        StallTimeout = (long)_options.StallTimeout.TotalMilliseconds,
        LingerTimeout = (long)_options.LingerTimeout.TotalMilliseconds,
        InputLimit = _options.StreamInputLimit,
        Sockets = Sockets,
    };

    private HttpServices CreateHttp()
    {
        var limits = new RequestLimits(
            _options.RequestLineLimit, _options.HeaderSectionLimit, _options.HeaderFieldLimit, _options.BodyLimit);
        var responses = new ResponseWriter(new CorsPolicy(), _date);
        var pace = new Pace(_options, Clock, Shutdown);
        var stream = new OpenStream
        {
            Channels = Channels,
            Streams = Streams,
            Clock = Clock,
            Pace = pace,
            Responses = responses,
            Shutdown = Shutdown,
            Admission = Admission,
            Warnings = _warnings,
            Logger = _log,
        };
        Channels.OutletEnded = stream.OnEnded;
        Router router = new Router()
            .Map(HttpMethod.Get, "/", stream)
            .Map(HttpMethod.Get, Router.Channel, stream)
            .Map(HttpMethod.Head, "/", stream)
            .Map(HttpMethod.Head, Router.Channel, stream)
            .Map(HttpMethod.Post, Router.Channel, new Publish(Channels, Frames, pace, new Control(responses), responses))
            .Map(HttpMethod.Options, Router.Any, new Preflight(responses));
        return new HttpServices
        {
            Options = _options,
            Limits = limits,
            Clock = Clock,
            Shutdown = Shutdown,
            Admission = Admission,
            Addresses = Addresses,
            Router = router,
            Responses = responses,
            Reconnects = new Reconnects(Channels, responses),
            Warnings = _warnings,
            Logger = _log,
            Exchanges = new DefaultObjectPool<Exchange>(new Exchange.Policy(limits), MostPooled),
            Buffers = new DefaultObjectPool<TransportBuffers>(new TransportBuffers.Policy(), MostPooled),
            Receivers = new DefaultObjectPool<Receiver>(new Receiver.Policy(), MostPooled),
            Sockets = Sockets,
        };
    }

    private SharedFrame FrameOf(ReadOnlySpan<byte> bytes)
    {
        SharedFrame frame = Frames.Rent(bytes.Length);
        frame.Append(bytes);
        return frame;
    }

    private static TimeSpan ShortestTimeout(MoshpitServerOptions options)
    {
        TimeSpan shortest = options.Heartbeat == TimeSpan.Zero ? TimeSpan.MaxValue : options.Heartbeat;
        if (options.Grace != TimeSpan.Zero && options.Grace < shortest)
            shortest = options.Grace;
        ReadOnlySpan<TimeSpan> others =
            [options.HeaderTimeout, options.BodyTimeout, options.IdleTimeout, options.LingerTimeout, options.StallTimeout];
        foreach (TimeSpan timeout in others)
            shortest = timeout < shortest ? timeout : shortest;
        return shortest;
    }

    private void OnTick()
    {
        long now = Clock.Now;
        _date.OnTick();
        foreach (HttpConnection? connection in Http.Connections.Snapshot())
            connection?.OnTick(now);
        Streams.OnTick();
        Channels.OnTick();
        Addresses.OnTick(now);
        _warnings.OnTick(now, Streams.Budget.Used, Streams.Budget.Limit);
    }

    private void OnPhase(Phase phase)
    {
        foreach (HttpConnection? connection in Http.Connections.Snapshot())
            connection?.OnPhase(phase);
        if (phase != Phase.Cutting)
            return;
        foreach (EventStreamConnection? stream in Streams.Streams.Snapshot())
            stream?.Abort(DisconnectReason.ServerStopped);
    }

    private async Task EndStreamsAsync(CancellationToken cancellationToken)
    {
        EventStreamConnection?[] streams = Streams.Streams.Snapshot().ToArray();
        int steps = Math.Max(1, (int)(_options.DrainTime / DrainStep));

        // Few streams need no spreading: one for each millisecond is slow enough.
        int perStep = Math.Max((int)DrainStep.TotalMilliseconds, (streams.Length + steps - 1) / steps);
        for (int i = 0; i < streams.Length; i++)
        {
            if (i > 0 && i % perStep == 0)
                await Task.Delay(DrainStep, _options.TimeProvider, cancellationToken).ConfigureAwait(false);
            streams[i]?.Owner.End(DisconnectReason.ServerStopped);
        }
    }

    private string TellSockets() => $"{Http.Connections.Count} connections, {Streams.Streams.Count} streams";
}
