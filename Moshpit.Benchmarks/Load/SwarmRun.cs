using System.Diagnostics;
using HdrHistogram;

namespace Moshpit.Benchmarks.Load;

/// <summary>One run of a <see cref="Swarm"/>: the loop that publishes and receives.</summary>
internal sealed class SwarmRun : IDisposable
{
    /// <summary>Messages in flight at most when a rate is asked for; past it the run falls behind, which its latencies show.</summary>
    private const int RateWindow = 16 * 1024;

    private const long LongestWait = 100_000_000;
    private const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>Latencies up to two minutes, to three digits.</summary>
    private const long LongestLatency = 120 * NanosecondsPerSecond;
    private const int LatencyDigits = 3;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan PatienceAfterEnd = TimeSpan.FromSeconds(2);

    private readonly Swarm _swarm;
    private readonly RunPlan _plan;
    private readonly Publisher[] _publishers;
    private readonly int _window;
    private long _start;
    private int _ended;

    /// <param name="swarm">Whose run.</param>
    /// <param name="plan">What to publish.</param>
    /// <param name="firstNumber">Continues the numbers of earlier runs.</param>
    /// <param name="eventLength">Bytes of every event, where they are counted.</param>
    public SwarmRun(Swarm swarm, RunPlan plan, uint firstNumber, int eventLength)
    {
        _swarm = swarm;
        _plan = plan;
        _window = plan.Rate is null ? plan.Window : RateWindow;
        InFlight = plan.CountOnly
            ? new CountedInFlight(_window, firstNumber, eventLength)
            : new CheckedInFlight(_window, firstNumber)
            {
                Latency = plan.RecordLatency ? new LongHistogram(LongestLatency, LatencyDigits) : null,
            };
        foreach (SwarmChannel channel in swarm.Channels)
            Prepare(channel);
        _publishers = new Publisher[swarm.PublisherCount];
        for (int i = 0; i < _publishers.Length; i++)
        {
            _publishers[i] = new Publisher(swarm.Connect(), swarm);
            swarm.Epoll.Add(_publishers[i]);
        }
    }

    public InFlight InFlight { get; }

    public void OnEnded() => _ended++;

    public RunResult Go(Action<InFlight>? progress)
    {
        _start = Stopwatch.GetTimestamp();
        long lastProgress = _start;
        long lastCount = 0;
        while (true)
        {
            long wait = Publish();
            if (wait < 0 && InFlight.Completed == InFlight.Published)
                break;
            _swarm.Epoll.Wait(wait is > 0 and < LongestWait ? wait : LongestWait);
            long count = InFlight.Delivered + InFlight.Completed + InFlight.Published;
            if (count != lastCount || InFlight.Completed == InFlight.Published)
                (lastCount, lastProgress) = (count, Stopwatch.GetTimestamp());
            else if (Stopwatch.GetElapsedTime(lastProgress) > (_ended > 0 ? PatienceAfterEnd : Patience))
                break;
            progress?.Invoke(InFlight);
        }

        TimeSpan elapsed = Stopwatch.GetElapsedTime(_start);
        InFlight.Finish(_swarm.Channels.SelectMany(channel => channel.Peers));
        return new RunResult
        {
            Messages = InFlight.Published,
            Delivered = InFlight.Delivered,
            Lost = InFlight.Expected - InFlight.Delivered,
            Misplaced = InFlight.Misplaced,
            Ended = _ended,
            Elapsed = elapsed,
            Latency = InFlight.Latency,
        };
    }

    public void Dispose()
    {
        foreach (Publisher publisher in _publishers)
            _swarm.Epoll.Close(publisher);
        foreach (StreamPeer peer in _swarm.Channels.SelectMany(channel => channel.Peers))
            peer.CountWith(null);
    }

    private void Prepare(SwarmChannel channel)
    {
        channel.Audience = new Audience(channel.Peers.Count, _swarm.Lanes);
        channel.Broadcast = _plan.Direct ? null : _swarm.Dialect.CreatePost(_swarm.Server, channel, null, _plan.Size);
        foreach (StreamPeer peer in channel.Peers)
        {
            Array.Clear(peer.Next);
            bool isSpokenTo = !_plan.Direct || peer != channel.Peers[0] || channel.Peers.Count == 1;
            peer.Alone = _plan.Direct && isSpokenTo ? new Audience(1, _swarm.Lanes) : null;

            // A peer that is not spoken to may hear something else (heartbeats, joins), which only a look can tell from a message.
            peer.CountWith(_plan.CountOnly && isSpokenTo ? peer.Alone ?? channel.Audience : null);
            peer.Direct = _plan.Direct ? _swarm.Dialect.CreatePost(_swarm.Server, channel, peer, _plan.Size) : null;
        }
    }

    /// <summary>
    /// Publishes what is due. Nanoseconds that the next message can wait; 0: until there is room; negative: there is none.
    /// </summary>
    private long Publish()
    {
        long wait = 0;
        while (IsGoingOn())
        {
            if (InFlight.Published - InFlight.Completed >= _window || !InFlight.HasPlace)
                break;
            long timestamp = Stopwatch.GetTimestamp();
            if (_plan.Rate is { } rate)
            {
                long due = _start + (long)(InFlight.Published / rate * Stopwatch.Frequency);
                if (due > timestamp)
                {
                    wait = (long)((due - timestamp) * (NanosecondsPerSecond / (double)Stopwatch.Frequency));
                    break;
                }

                // Counted from when it was due: a server that holds up the next message is not excused by that.
                timestamp = due;
            }

            PublishOne(timestamp);
        }

        foreach (Publisher publisher in _publishers)
        {
            if (publisher.HasOutput)
                publisher.Flush();
        }

        return IsGoingOn() ? wait : -1;
    }

    private bool IsGoingOn() =>
        InFlight.Published < _plan.Messages && _ended == 0 && !_plan.Stop.IsCancellationRequested
        && (_plan.Duration == TimeSpan.MaxValue || Stopwatch.GetElapsedTime(_start) < _plan.Duration);

    private void PublishOne(long timestamp)
    {
        SwarmChannel[] channels = _swarm.Channels;
        (long turn, long index) = Math.DivRem(InFlight.Published, channels.Length);
        SwarmChannel channel = channels[index];
        int lane = (int)(turn % _swarm.Lanes);
        Publisher publisher = _publishers[(channel.Index + lane * channels.Length) % _publishers.Length];
        if (_plan.Direct)
        {
            // The owner speaks, the others are spoken to.
            int others = channel.Peers.Count - 1;
            StreamPeer addressee = channel.Peers[others == 0 ? 0 : 1 + (int)(turn % others)];
            publisher.Post(addressee.Direct!, InFlight.Begin(addressee.Alone!, lane, timestamp));
        }
        else
        {
            publisher.Post(channel.Broadcast!, InFlight.Begin(channel.Audience!, lane, timestamp));
        }
    }
}
