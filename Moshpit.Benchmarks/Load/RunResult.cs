using HdrHistogram;

namespace Moshpit.Benchmarks.Load;

/// <summary>What became of a run.</summary>
internal sealed record RunResult
{
    /// <summary>Messages published.</summary>
    public required long Messages { get; init; }

    /// <summary>Deliveries that arrived.</summary>
    public required long Delivered { get; init; }

    /// <summary>Deliveries that never arrived.</summary>
    public required long Lost { get; init; }

    /// <summary>What arrived out of order, twice, or out of nowhere.</summary>
    public required long Misplaced { get; init; }

    /// <summary>Connections that the server ended.</summary>
    public required int Ended { get; init; }

    /// <summary>From the first message to the last delivery.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>From publishing to each delivery, in nanoseconds; null: not recorded.</summary>
    public LongHistogram? Latency { get; init; }

    public bool IsFaultless => Lost == 0 && Misplaced == 0 && Ended == 0;

    public double DeliveriesPerSecond => Delivered / Elapsed.TotalSeconds;

    public double MessagesPerSecond => Messages / Elapsed.TotalSeconds;

    /// <summary>This result, if every peer got every message in order: nothing else is worth timing.</summary>
    public RunResult RequireFaultless() => IsFaultless
        ? this
        : throw new BenchmarkException(
            $"Of {Messages} messages {Lost} deliveries were lost, {Misplaced} misplaced, and {Ended} connections ended.");
}
