using Moshpit.Benchmarks.EndToEnd;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Reconnects;
using Moshpit.Benchmarks.Servers;
using static System.FormattableString;

namespace Moshpit.Benchmarks.Compare;

/// <summary>
/// Measures moshpit with session peers beside moshpit with plain peers. Both are measured one after the other in each round; which comes
/// first changes from round to round.
/// </summary>
/// <param name="scale">How much is done.</param>
/// <param name="binary">A published moshpit, for the memory and the reconnects; null: the benchmarks' own child process.</param>
/// <param name="log">Told what is going on.</param>
internal sealed class SessionComparison(CompareScale scale, FileInfo? binary, TextWriter log)
{
    private const int NarrowWindow = 1;
    private const int WideWindow = 64;

    private readonly Measurements _measurements = new(scale, binary);
    private readonly ReconnectRows _reconnects = new(scale.Reconnect, Columns.Sessions);

    private readonly Row _narrowCpu = NewRow(
        "broadcast, window 1, server CPU per delivery", "μs", "0.000", Target.AtMost(1.05, Columns.Plain));

    private readonly Row _wideRate = NewRow(
        "broadcast, window 64, deliveries a second", "", "N0", Target.AtLeast(0.95, Columns.Plain));

    private readonly Row _wideCpu = NewRow("broadcast, window 64, server CPU per delivery", "μs", "0.000");
    private readonly Row _resumeCpu = NewRow("a resume (plain: a join), server CPU", "μs", "0.000");
    private readonly Row _resumeRate = NewRow("resumes a second (plain: joins)", "", "N0");
    private readonly Row _memory = NewRow(Invariant($"{scale.ManyPeers:N0} idle peers, RSS per peer"), "B", "N0", Target.AtMost(1700));
    private readonly Row _memoryBeyondPlain = NewRow(
        Invariant($"{scale.ManyPeers:N0} idle peers, RSS per peer beyond that of a plain one"), "B", "N0", Target.AtMost(400));

    private readonly Row _history = NewRow(
        Invariant($"{scale.HistoryChannels:N0} channels of a peer and {scale.HistoryMessages} kept messages of {scale.HistorySize:N0} B, ")
        + "RSS per channel beyond those messages and a plain channel", "B", "N0", Target.AtMost(2048));

    private bool _isPlainFirst;

    /// <summary>What can be measured by itself.</summary>
    public static IReadOnlyList<string> Parts { get; } = ["session-broadcast", "resume", "reconnect", "session-memory"];

    /// <summary>The lines, in the order in which they are to be read.</summary>
    public IEnumerable<Row> Rows => new[] { _narrowCpu, _wideRate, _wideCpu, _resumeCpu, _resumeRate }
        .Concat(_reconnects.All).Concat([_memory, _memoryBeyondPlain, _history]).Where(row => row.HasSamples);

    /// <summary>Measures all <paramref name="parts"/> once.</summary>
    public void RunRound(IReadOnlyCollection<string> parts)
    {
        _isPlainFirst = !_isPlainFirst;
        foreach (string part in Parts.Where(parts.Contains))
            Run(part);
    }

    private static Row NewRow(string title, string unit, string format, params Target[] targets) =>
        new(title, unit, format, targets) { Columns = Columns.Sessions };

    private void Run(string part)
    {
        switch (part)
        {
            case "session-broadcast":
                Broadcast(NarrowWindow, null, _narrowCpu);
                Broadcast(WideWindow, _wideRate, _wideCpu);
                break;
            case "resume":
                InTurn(part, column =>
                {
                    bool isPlain = column == Columns.Plain;
                    MeasuredRun run = isPlain ? _measurements.Joins(ServerKind.Moshpit) : _measurements.Resumes();
                    _resumeCpu.Add(column, run.CpuMicroseconds);
                    _resumeRate.Add(column, run.PerSecond);
                });
                break;
            case "reconnect":
                log.WriteLine("  reconnect");
                using (ReconnectScene scene = ReconnectScene.Start(ChildServer.StartMoshpit(binary), scale.Reconnect))
                    _reconnects.Add(scene.Run());
                break;
            default:
                Memory();
                break;
        }
    }

    private void Broadcast(int window, Row? rate, Row cpu) => InTurn($"broadcast, window {window}", column =>
    {
        using ServerRig rig = ServerRig.Start(
            ChildServer.Start(ServerKind.Moshpit), DialectOf(column), channels: 1, scale.BroadcastPeers, publishers: 1);
        MeasuredRun run = _measurements.Broadcast(rig, window);
        rate?.Add(column, run.PerSecond);
        cpu.Add(column, run.CpuMicroseconds);
    });

    private void Memory()
    {
        Dictionary<string, double> peer = [];
        InTurn("memory", column =>
        {
            peer[column] = (double)_measurements.Growth(DialectOf(column), channels: 1) / (scale.ManyPeers - 1);
            _memory.Add(column, peer[column]);
        });
        double ownBeyondPlain = peer[Columns.Sessions.First] - peer[Columns.Plain];
        _memoryBeyondPlain.Add(ownBeyondPlain);
        log.WriteLine("  memory of histories");
        double beyondPlain = (double)(_measurements.HistoryGrowth() - _measurements.ChannelGrowth()) / (scale.HistoryChannels - 1);
        _history.Add(beyondPlain - ownBeyondPlain);
    }

    private void InTurn(string what, Action<string> measure)
    {
        string[] columns = [Columns.Sessions.First, Columns.Plain];
        foreach (string column in _isPlainFirst ? columns.Reverse() : columns)
        {
            log.WriteLine($"  {what}: {column}");
            measure(column);
        }
    }

    private static Dialect DialectOf(string column) => column == Columns.Plain ? new MoshpitDialect() : new SessionDialect();
}
