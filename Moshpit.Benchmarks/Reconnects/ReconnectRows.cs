using Moshpit.Benchmarks.Compare;
using static System.FormattableString;

namespace Moshpit.Benchmarks.Reconnects;

/// <summary>The lines that tell how peers came back.</summary>
internal sealed class ReconnectRows
{
    private readonly ReconnectPlan _plan;
    private readonly Row _whole;
    private readonly Row _return;
    private readonly Row _wait;
    private readonly Row _waitBefore;
    private readonly Row _cpu;

    /// <param name="plan">Of every result.</param>
    /// <param name="columns">Of the table; the first has the figures.</param>
    public ReconnectRows(ReconnectPlan plan, Columns columns)
    {
        _plan = plan;
        string peers = Invariant($"{plan.Peers:N0} session peers cut at once and back");
        Row NewRow(string title, string unit, string format, params Target[] targets) =>
            new(title, unit, format, targets) { Columns = columns };
        _whole = NewRow($"{peers}, until all are whole", "ms", "N0", Target.AtMost(3000));
        _return = NewRow($"{peers}, of that from the first connect", "ms", "N0");
        _wait = NewRow($"{peers}; a message in another channel meanwhile, longest wait", "ms", "0.0", Target.AtMost(50));
        _waitBefore = NewRow("a message in that channel before, longest wait in a second", "ms", "0.0");
        _cpu = NewRow($"{peers}, server CPU per peer", "μs", "0.0");
    }

    /// <summary>The lines, in the order in which they are to be read.</summary>
    public IEnumerable<Row> All => [_whole, _return, _wait, _waitBefore, _cpu];

    public void Add(ReconnectResult result)
    {
        _whole.Add(result.Whole.TotalMilliseconds);
        _return.Add(result.Return.TotalMilliseconds);
        _wait.Add(result.LongestWait.TotalMilliseconds);
        _waitBefore.Add(result.LongestWaitBefore.TotalMilliseconds);
        _cpu.Add(result.Cpu.TotalMicroseconds / _plan.Peers);
    }
}
