using System.Runtime.InteropServices;
using Moshpit.Benchmarks.Compare;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Clients;

/// <summary>Measures the C# client against a moshpit in a child process: over a long way, and on loopback.</summary>
/// <param name="server">The child process.</param>
/// <param name="warmup">
/// Messages of each peer on loopback that are written and not measured, until the client is compiled. With few of them, the work of the
/// just-in-time compiler on the one core of the client is measured.
/// </param>
/// <param name="log">Told what is going on.</param>
internal sealed class ClientRounds(ChildServer server, int warmup, TextWriter log)
{
    private const int RelayedWarmup = 3;
    private const int Window = 64;

    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Row _roundTrip = NewRow("one message at a time over 50 ms round trips, time of each", "ms", "0.0");
    private readonly Row _relayed = NewRow("messages of one peer over 50 ms round trips, a second", "", "N0", Target.AtLeast(500));
    private readonly Row _narrowAllocation = NewRow("one message at a time, allocation per Write and echo", "B", "N0");
    private readonly Row _wideAllocation = NewRow($"{Window} messages at a time, allocation per Write and echo", "B", "N0");
    private readonly Row _narrowRate = NewRow("one message at a time, Writes and echoes a second", "", "N0");
    private readonly Row _wideRate = NewRow($"{Window} messages at a time, Writes and echoes a second", "", "N0");

    /// <summary>The lines, in the order in which they are to be read.</summary>
    public IEnumerable<Row> Rows => [_relayed, _roundTrip, _narrowAllocation, _wideAllocation, _narrowRate, _wideRate];

    /// <summary>Measures everything once.</summary>
    /// <param name="messages">Written on loopback, by each peer.</param>
    /// <param name="relayed">Written over the relay.</param>
    public async Task RunAsync(int messages, int relayed)
    {
        await MeasureRelayedAsync(relayed).ConfigureAwait(false);
        await MeasureAsync(messages, 1, _narrowAllocation, _narrowRate).ConfigureAwait(false);
        await MeasureAsync(messages, Window, _wideAllocation, _wideRate).ConfigureAwait(false);
    }

    /// <summary>How it was run: without that the figures say little.</summary>
    public static string Note(int rounds, int messages, int relayed)
    {
        string cores = Cores.AreApart
            ? $"cores: {Cores.OfServer} for the server, {Environment.ProcessorCount - Cores.OfServer} for the client"
            : $"cores, shared with the client: {Environment.ProcessorCount}";
        return $"Rounds: {rounds}, of {relayed} messages over the relay and {messages} of each peer on loopback; {cores}. Figures are "
            + $"medians of the rounds. The server ran in a child process, so that allocation is the client's alone. Both ran in "
            + $"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}, just-in-time compiled.";
    }

    private static Row NewRow(string title, string unit, string format, params Target[] targets) =>
        new(title, unit, format, targets) { Columns = Columns.Median };

    private async Task MeasureRelayedAsync(int messages)
    {
        log.WriteLine("  relay");
        using var relay = new DelayRelay(server.EndPoint, Delay);
        EchoPeer peer = await EchoPeer.OpenAsync(relay.EndPoint, Patience).ConfigureAwait(false);
        await using (peer.ConfigureAwait(false))
        {
            // The first message opens the connection that the others use.
            await peer.RunAsync(1, 1).ConfigureAwait(false);
            EchoRun single = await peer.RunAsync(RelayedWarmup, 1).ConfigureAwait(false);
            if (single.MillisecondsPerMessage < 2 * Delay.TotalMilliseconds)
                throw new BenchmarkException($"A round trip over the relay took {single.MillisecondsPerMessage} ms only.");
            _roundTrip.Add(single.MillisecondsPerMessage);
            _relayed.Add((await peer.RunAsync(messages, messages).ConfigureAwait(false)).PerSecond);
        }
    }

    private async Task MeasureAsync(int messages, int window, Row allocation, Row rate)
    {
        log.WriteLine($"  loopback, window {window}");
        EchoPeer peer = await EchoPeer.OpenAsync(server.EndPoint, Patience).ConfigureAwait(false);
        await using (peer.ConfigureAwait(false))
        {
            await peer.RunAsync(warmup, window).ConfigureAwait(false);
            EchoRun run = await peer.RunAsync(messages, window).ConfigureAwait(false);
            allocation.Add(run.AllocatedPerMessage);
            rate.Add(run.PerSecond);
        }
    }
}
