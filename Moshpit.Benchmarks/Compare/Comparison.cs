using System.Runtime.InteropServices;
using Moshpit.Benchmarks.EndToEnd;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;
using static System.FormattableString;

namespace Moshpit.Benchmarks.Compare;

/// <summary>
/// Measures moshpit beside the others, one server at a time, all of them in each round, so that whatever else the machine does hits all
/// alike.
/// </summary>
/// <param name="scale">How much is done.</param>
/// <param name="binary">
/// A published moshpit, for its direct messages, memory, size and start; null: the benchmarks' own child process, for its memory.
/// </param>
/// <param name="log">Told what is going on.</param>
internal sealed class Comparison(CompareScale scale, FileInfo? binary, TextWriter log)
{
    private const int DirectWindow = 64;
    private const int NarrowWindow = 1;
    private const int WideWindow = 64;
    private const double LatencyRate = 100;

    private readonly Measurements _measurements = new(scale, binary);
    private readonly int _pairChannels = scale.ManyPeers / 2;

    private readonly Row _narrowCpu = new(
        "broadcast, window 1, server CPU per delivery", "μs", "0.000", Target.AtMost(1.10, Columns.Floor));

    private readonly Row _wideRate = new(
        "broadcast, window 64, deliveries a second", "", "N0",
        Target.AtLeast(40, Columns.Floor), Target.AtLeast(16, Columns.Kestrel));

    private readonly Row _wideCpu = new("broadcast, window 64, server CPU per delivery", "μs", "0.000");
    private readonly Row _narrowAllocation = new("broadcast, window 1, allocation per delivery", "B", "0.00", Target.AtMost(0));
    private readonly Row _wideAllocation = new("broadcast, window 64, allocation per delivery", "B", "0.00", Target.AtMost(0));

    private readonly Row _directCpu = new(
        "direct message, server CPU (Kestrel: answers, delivers nothing)", "μs", "0.000", Target.AtMost(1.30, Columns.Floor));

    private readonly Row _binaryDirectCpu = new(
        "direct message, server CPU of the native binary", "μs", "0.000", Target.AtMost(1.30, Columns.Floor));

    private readonly Row _directAllocation = new("direct message, allocation", "B", "0.00", Target.AtMost(0));
    private readonly Row _joinCpu = new(
        "a join (connect, GET, first event), server CPU", "μs", "0.000", Target.AtMost(1.45, Columns.Floor));

    private readonly Row _latency = new(
        Invariant($"{scale.BroadcastPeers:N0} peers, {LatencyRate} messages/s, p99 of publishing to delivery"), "ms", "0.000");

    private readonly Row _join = new(Invariant($"{scale.ManyPeers:N0} peers broadcast to; a join meanwhile, median"), "ms", "0.000");
    private readonly Row _joinTail = new(Invariant($"{scale.ManyPeers:N0} peers broadcast to; a join meanwhile, p99"), "ms", "0.000");
    private readonly Row _direct = new(
        Invariant($"{scale.ManyPeers:N0} peers broadcast to; a direct message meanwhile, median"), "ms", "0.000");

    private readonly Row _directTail = new(
        Invariant($"{scale.ManyPeers:N0} peers broadcast to; a direct message meanwhile, p99"), "ms", "0.000");

    private readonly Row _memory = new(Invariant($"{scale.ManyPeers:N0} idle peers, RSS per peer"), "B", "N0", Target.AtMost(1300));
    private readonly Row _channelMemory = new(
        Invariant($"{scale.ManyPeers / 2:N0} channels of 2 idle peers, RSS per channel beyond its peers"), "B", "N0", Target.AtMost(1000));

    private readonly Row _size = new("native binary, size", "MB", "0.00", Target.AtMost(8));
    private readonly Row _start = new("native binary, start to listening", "ms", "0.0", Target.AtMost(30));

    private static ServerKind[] Kinds { get; } =
        [.. Enum.GetValues<ServerKind>().Where(kind => kind != ServerKind.Floor || FloorProgram.Path is not null)];

    /// <summary>The lines, in the order in which they are to be read.</summary>
    public IEnumerable<Row> Rows =>
        new[]
        {
            _narrowCpu, _wideRate, _wideCpu, _directCpu, _binaryDirectCpu, _joinCpu, _memory, _channelMemory, _narrowAllocation,
            _wideAllocation, _directAllocation, _size, _start, _latency, _join, _joinTail, _direct, _directTail,
        }.Where(row => row.HasSamples);

    /// <summary>What can be measured by itself. The start comes first, so that a binary that does not start is noticed at once.</summary>
    public static IReadOnlyList<string> Parts { get; } = ["start", "broadcast", "direct", "join-cpu", "latency", "joins", "memory"];

    /// <summary>Measures all <paramref name="parts"/> once.</summary>
    public void RunRound(IReadOnlyCollection<string> parts)
    {
        foreach (string part in Parts.Where(parts.Contains))
            Run(part);
    }

    private void Run(string part)
    {
        switch (part)
        {
            case "start":
                if (binary is not null)
                    Start(binary);
                break;
            case "broadcast":
                foreach (ServerKind kind in Kinds)
                    Broadcast(kind, NarrowWindow, null, _narrowCpu, _narrowAllocation);
                foreach (ServerKind kind in Kinds)
                    Broadcast(kind, WideWindow, _wideRate, _wideCpu, _wideAllocation);
                break;
            case "direct":
                foreach (ServerKind kind in Kinds)
                    DirectMessages(kind);
                if (binary is not null)
                    DirectMessages(binary);
                break;
            case "join-cpu":
                foreach (ServerKind kind in Kinds)
                    JoinCpu(kind);
                break;
            case "latency":
                foreach (ServerKind kind in (ReadOnlySpan<ServerKind>)[ServerKind.Moshpit, ServerKind.Bare])
                    Latency(kind);
                break;
            case "joins":
                foreach (ServerKind kind in (ReadOnlySpan<ServerKind>)[ServerKind.Moshpit, ServerKind.Kestrel, ServerKind.Bare])
                    Visits(kind);
                break;
            default:
                Memory();
                break;
        }
    }

    /// <summary>What was run how: without it the figures say little.</summary>
    public string Note(int rounds)
    {
        string floor = FloorProgram.Path is null
            ? "The C floor was left out, as nothing here compiles it."
            : $"The C floor was compiled with {FloorProgram.Optimization}.";
        string memory = binary is null
            ? "Memory is that of moshpit in the same runtime."
            : $"Rows of the native binary, of memory, and of peers cut at once are of {binary.Name} as published.";
        string cores = Cores.AreApart
            ? $"cores: {Cores.OfServer} for the server, {Environment.ProcessorCount - Cores.OfServer} for the load"
            : $"cores, shared with the load: {Environment.ProcessorCount}";
        return $"Rounds: {rounds}; {cores}. Figures are medians of the rounds, ratios medians of "
            + $"the ratios within them. Moshpit, Kestrel and the bare loop ran in child processes of the benchmarks, in one runtime: "
            + $"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}, just-in-time compiled. {floor} {memory}";
    }

    private void Broadcast(ServerKind kind, int window, Row? rate, Row cpu, Row allocation)
    {
        log.WriteLine($"  broadcast, window {window}: {kind}");
        using var rig = ServerRig.StartBroadcast(kind, scale.BroadcastPeers);
        MeasuredRun run = _measurements.Broadcast(rig, window);
        rate?.Add(kind, run.PerSecond);
        cpu.Add(kind, run.CpuMicroseconds);
        AddAllocation(allocation, kind, run);
    }

    private void DirectMessages(ServerKind kind)
    {
        log.WriteLine($"  direct messages: {kind}");
        using var rig = ServerRig.StartDirect(kind, scale.DirectChannels);
        MeasuredRun run = DirectMessages(rig, ServerRig.AdaptDirect(kind, new RunPlan { Window = DirectWindow }));
        _directCpu.Add(kind, run.CpuMicroseconds);
        AddAllocation(_directAllocation, kind, run);

        // The binary stands in the place of moshpit beside the same others.
        if (binary is not null && kind != ServerKind.Moshpit)
            _binaryDirectCpu.Add(kind, run.CpuMicroseconds);
    }

    private void DirectMessages(FileInfo file)
    {
        log.WriteLine("  direct messages: native binary");
        using var rig = ServerRig.StartDirect(ChildServer.StartBinary(file.FullName), scale.DirectChannels);
        MeasuredRun run = DirectMessages(rig, new RunPlan { Window = DirectWindow, Direct = true });
        _binaryDirectCpu.Add(ServerKind.Moshpit, run.CpuMicroseconds);
    }

    private MeasuredRun DirectMessages(ServerRig rig, RunPlan plan)
    {
        (RunResult result, ServerUsage usage) = _measurements.WarmUpAndMeasure(rig, plan);
        return new MeasuredRun(result.Messages, result.Elapsed, usage);
    }

    /// <summary>C has no managed heap, so its zero says nothing.</summary>
    private static void AddAllocation(Row row, ServerKind kind, MeasuredRun run)
    {
        if (kind != ServerKind.Floor)
            row.Add(kind, run.AllocatedBytes!.Value);
    }

    private void Latency(ServerKind kind)
    {
        log.WriteLine($"  latency: {kind}");
        using var rig = ServerRig.StartBroadcast(kind, scale.BroadcastPeers);
        rig.WarmUp(new RunPlan { Window = NarrowWindow }, scale.WarmupShare);
        var plan = new RunPlan { Rate = LatencyRate, RecordLatency = true };
        rig.Run(plan with { Duration = scale.Warmup });
        (RunResult result, _) = rig.Run(plan with { Duration = scale.LatencyMeasured });
        _latency.Add(kind, result.Latency!.GetValueAtPercentile(99) / 1e6);
    }

    /// <summary>A visitor comes, speaks and goes while one message after the other goes to very many peers.</summary>
    private void Visits(ServerKind kind)
    {
        log.WriteLine($"  visits: {kind}");
        using var rig = ServerRig.StartBroadcast(kind, scale.ManyPeers);
        var plan = new RunPlan { Window = NarrowWindow };
        rig.Run(plan with { Duration = scale.Warmup });
        bool speaks = kind == ServerKind.Moshpit;
        var visitor = new Visitor(rig.Server.EndPoint, speaks ? "/" + rig.Swarm.Channels[0].Id : "/0", speaks);
        rig.Run(plan with { Duration = scale.LatencyMeasured });
        visitor.Stop();
        _join.Add(kind, visitor.Joins.GetValueAtPercentile(50) / 1e6);
        _joinTail.Add(kind, visitor.Joins.GetValueAtPercentile(99) / 1e6);
        if (!speaks)
            return;
        _direct.Add(kind, visitor.Messages.GetValueAtPercentile(50) / 1e6);
        _directTail.Add(kind, visitor.Messages.GetValueAtPercentile(99) / 1e6);
    }

    /// <summary>A channel of two costs what the same peers cost beyond what they cost in one channel.</summary>
    private void Memory()
    {
        log.WriteLine("  memory");
        long together = _measurements.Growth(new MoshpitDialect(), channels: 1);
        _memory.Add(ServerKind.Moshpit, (double)together / (scale.ManyPeers - 1));
        long inPairs = _measurements.Growth(new MoshpitDialect(), _pairChannels);
        _channelMemory.Add(ServerKind.Moshpit, (double)(inPairs - together) / (_pairChannels - 1));
    }

    private void JoinCpu(ServerKind kind)
    {
        log.WriteLine($"  CPU of a join: {kind}");
        _joinCpu.Add(kind, _measurements.Joins(kind).CpuMicroseconds);
    }

    private void Start(FileInfo file)
    {
        log.WriteLine("  start");
        using ChildServer server = ChildServer.StartBinary(file.FullName);
        _size.Add(ServerKind.Moshpit, file.Length / 1e6);
        _start.Add(ServerKind.Moshpit, server.TimeToListening.TotalMilliseconds);
    }
}
