using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server.Buffers;
using Moshpit.Server.Transport;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Transport;

/// <summary>What can't be brought about from outside; the rest is in <c>Spec/</c>.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class EventStreamConnectionTests : ISinkOwner
{
    private const int BacklogLimit = 64 * 1024;

    /// <summary>Less than the kernel holds for one peer, more than the messages of a test.</summary>
    private const int TotalLimit = 128 * 1024;

    private readonly FakeTimeProvider _time = new();
    private readonly FramePool _frames = new();
    private readonly SharedFrame _frame;
    private StreamTransport _transport;
    private readonly List<DisconnectReason> _ends = [];
    private long _acknowledged;
    private Action? _ended;

    public EventStreamConnectionTests()
    {
        _frame = _frames.Rent(1000);
        _frame.Append(new byte[1000]);
        _transport = NewTransport(TotalLimit);
    }

    [Test]
    public void One_whose_socket_is_closed_before_its_first_write_ends_as_any_other()
    {
        List<(int Open, int Ending)> counts = [];
        _ended += () => counts.Add((_transport.Streams.Count, _transport.Sockets.Count));
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Dispose();
        var stream = new EventStreamConnection(socket, _transport, this, isChunked: true);
        Write(stream);
        stream.Start();
        counts.Add((_transport.Streams.Count, _transport.Sockets.Count));
        Assert.That(_ends, Is.EqualTo(new[] { DisconnectReason.Reset }));
        Assert.That(counts, Is.EqualTo(new[] { (0, 1), (0, 0) }), "a stop waits for its channel to hear of it");
        _frame.Release();
        Assert.That(_frames.Outstanding, Is.Zero);
    }

    [Test]
    public async Task Under_pressure_from_the_kernel_a_peer_is_spared_as_long_as_it_acknowledges()
    {
        using var behind = new Behind(this);
        Assert.That(_transport.Budget.IsExceeded);
        for (int n = 0; n < 10; n++)
        {
            _acknowledged++;
            _time.Advance(ReadProgress.Validity);
            Write(behind.Stream);
            Assert.That(behind.Stream.HasEnded, Is.False);
        }

        _time.Advance(ReadProgress.Validity);
        Write(behind.Stream);
        Assert.That(await behind.EndAsync(), Is.EqualTo(DisconnectReason.BacklogFull));
    }

    [Test]
    public async Task Under_pressure_a_peer_that_acknowledges_nothing_is_cut_when_it_has_been_behind_for_a_moment()
    {
        using var behind = new Behind(this);
        Write(behind.Stream);
        Assert.That(behind.Stream.HasEnded, Is.False, "it may be about to read");
        _time.Advance(ReadProgress.Validity);
        Write(behind.Stream);
        Assert.That(await behind.EndAsync(), Is.EqualTo(DisconnectReason.BacklogFull));
    }

    [Test]
    public async Task Under_pressure_a_peer_that_acknowledges_may_have_the_least_and_no_more()
    {
        using var behind = new Behind(this);
        int written = 0;
        for (; !behind.Stream.HasEnded && written <= BacklogLimit; written += _frame.Length)
        {
            _acknowledged++;
            Write(behind.Stream);
        }

        Assert.That(written, Is.EqualTo(BacklogLimit).Within(2 * _frame.Length));
        Assert.That(await behind.EndAsync(), Is.EqualTo(DisconnectReason.BacklogFull));
    }

    [Test]
    public async Task A_peer_that_acknowledges_a_little_at_a_time_is_not_stalled_and_one_that_does_not_is()
    {
        _transport = NewTransport(long.MaxValue);
        using var behind = new Behind(this);
        _transport.Clock.Start();
        for (int n = 0; n < 5; n++)
        {
            _acknowledged++;
            _time.Advance(FakeTime.Tick);
            _transport.OnTick();
            Assert.That(behind.Stream.HasEnded, Is.False);
        }

        _time.Advance(FakeTime.Tick);
        _transport.OnTick();
        Assert.That(await behind.EndAsync(), Is.EqualTo(DisconnectReason.Stalled));
    }

    [Test]
    public async Task What_was_written_before_the_start_does_not_count_against_the_bound()
    {
        _transport = NewTransport(long.MaxValue);
        using var behind = new Behind(this, replay: 3 * BacklogLimit);
        _time.Advance(ReadProgress.Validity);
        int written = 0;
        for (; !behind.Stream.HasEnded && written <= 2 * BacklogLimit; written += _frame.Length)
            Write(behind.Stream);
        Assert.That(written, Is.EqualTo(BacklogLimit).Within(2 * _frame.Length));
        Assert.That(await behind.EndAsync(), Is.EqualTo(DisconnectReason.BacklogFull));
    }

    [Test]
    public void What_was_written_before_the_start_counts_against_what_all_together_may_take()
    {
        using var within = new Behind(this, replay: TotalLimit / 2);
        Assert.That(within.Stream.HasEnded, Is.False);
        using var beyond = new Behind(this, replay: 2 * TotalLimit);
        Assert.That(beyond.Stream.HasEnded);
    }

    private StreamTransport NewTransport(long totalLimit) => new()
    {
        Clock = new ServerClock(_time, 4 * FakeTime.Tick, NullLogger.Instance),
        Logger = NullLogger.Instance,
        Frames = _frames,
        Heartbeat = _frame,
        PlainHeartbeat = default,
        LastChunk = _frame,
        HeartbeatInterval = long.MaxValue,
        Budget = new MemoryBudget(_frames, totalLimit, BacklogLimit, BacklogLimit),
        StallTimeout = (long)FakeTime.Tick.TotalMilliseconds,
        LingerTimeout = 1000,
        InputLimit = 1000,
        BytesAcknowledged = _ => _acknowledged,
        Sockets = new ActivityCount(),
    };

    void ISinkOwner.OnEnded(FrameSink sink, SinkEnd end)
    {
        _ends.Add(end.Reason);
        _ended?.Invoke();
    }

    void ISinkOwner.End(DisconnectReason reason) => throw new NotSupportedException();

    private void Write(EventStreamConnection stream) => stream.Write(_frame, 0.._frame.Length);

    /// <summary>A stream whose peer has let the socket's buffer fill up.</summary>
    private sealed class Behind : IDisposable
    {
        private readonly RawConnection _peer;
        private readonly TaskCompletionSource<DisconnectReason> _end = new();

        public Behind(EventStreamConnectionTests test, int replay = 0)
        {
            using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listening.Listen();
            _peer = RawConnection.ConnectNarrow(((IPEndPoint)listening.LocalEndPoint!).Port);
            Socket socket = listening.Accept();
            socket.Blocking = false;
            socket.SendBufferSize = TotalLimit; // of which the kernel takes the double
            test._ended += () => _end.TrySetResult(test._ends[^1]);
            Stream = new EventStreamConnection(socket, test._transport, test, isChunked: true);
            while (!Stream.IsBehind)
                test.Write(Stream);
            for (int written = 0; written < replay; written += test._frame.Length)
                test.Write(Stream);
            Stream.Start();
        }

        public EventStreamConnection Stream { get; }

        public Task<DisconnectReason> EndAsync() => _end.Task.WaitAsync(RawConnection.Patience);

        public void Dispose()
        {
            _peer.Dispose();
            Stream.Abort(DisconnectReason.ServerStopped);
        }
    }
}
