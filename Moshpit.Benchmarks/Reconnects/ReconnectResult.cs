namespace Moshpit.Benchmarks.Reconnects;

/// <summary>What became of peers that were all cut at once and came back at once.</summary>
internal sealed record ReconnectResult
{
    /// <summary>From the first reset until the last peer had everything.</summary>
    public required TimeSpan Whole { get; init; }

    /// <summary>Of that, from the first connect.</summary>
    public required TimeSpan Return { get; init; }

    /// <summary>Server CPU of all of it.</summary>
    public required TimeSpan Cpu { get; init; }

    /// <summary>The longest that a message in another channel took meanwhile.</summary>
    public required TimeSpan LongestWait { get; init; }

    /// <summary>The longest that one took before, for as long as <see cref="ReconnectScene"/> waits.</summary>
    public required TimeSpan LongestWaitBefore { get; init; }
}
