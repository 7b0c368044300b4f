namespace Moshpit.Benchmarks.Load;

/// <summary>What a run publishes, and when.</summary>
internal sealed record RunPlan
{
    /// <summary>Messages to publish; the run may end before, by <see cref="Duration"/>.</summary>
    public long Messages { get; init; } = long.MaxValue;

    /// <summary>How long messages are published.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.MaxValue;

    /// <summary>Ends the publishing before that.</summary>
    public CancellationToken Stop { get; init; }

    /// <summary>Messages published and not yet everywhere, at most.</summary>
    public int Window { get; init; } = 1;

    /// <summary>Messages a second, whatever happens to them; null: as fast as the window lets.</summary>
    public double? Rate { get; init; }

    /// <summary>To one peer of the channel instead of all.</summary>
    public bool Direct { get; init; }

    /// <summary>Length of the data, in bytes.</summary>
    public int Size { get; init; } = 64;

    /// <summary>
    /// Deliveries are counted by their bytes and not looked at, so that the receiving side holds up no server: for a run between two
    /// that check, see <see cref="Swarm.Check"/>.
    /// </summary>
    public bool CountOnly { get; init; }

    /// <summary>Whether the time of each delivery is recorded, which costs the receiving side a little.</summary>
    public bool RecordLatency { get; init; }
}
