using System.Globalization;

namespace Moshpit.Benchmarks.Load;

/// <summary>What the command line asks of a load.</summary>
internal sealed record LoadOptions
{
    public required ServerUrl Server { get; init; }

    /// <summary>Accept any certificate.</summary>
    public required bool TrustsAll { get; init; }

    public required int Peers { get; init; }

    public required int Channels { get; init; }

    public required int Publishers { get; init; }

    /// <summary>Each peer has a session.</summary>
    public required bool Sessions { get; init; }

    public required Dialect Dialect { get; init; }

    public required RunPlan Plan { get; init; }

    /// <summary>The server's process, where it runs on this machine.</summary>
    public int? ProcessId { get; init; }

    /// <summary>Where the distribution of latencies is drawn.</summary>
    public string? PlotPath { get; init; }

    /// <summary>What was measured, in a line.</summary>
    public string Description => string.Create(
        CultureInfo.InvariantCulture,
        $"{(Plan.Direct ? "direct messages" : "broadcast")}; peers: {Peers}{(Sessions ? " on sessions" : "")}, channels: {Channels}, "
        + $"{(Plan.Rate is { } rate ? $"rate: {rate} messages/s" : $"window: {Plan.Window}")}, data: {Plan.Size} bytes");
}
