using System.CommandLine;
using System.CommandLine.Parsing;
using Moshpit.Benchmarks.Compare;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Reconnects;

/// <summary><c>reconnect</c>: all session peers lose their connections at once and come back at once, as a Markdown table.</summary>
internal static class ReconnectCommand
{
    private const int DefaultRounds = 3;

    /// <summary>A session may have ten streams within ten seconds, and the first round is not shown.</summary>
    private const int MaxRounds = 9;

    /// <summary>A process may have 20,000 files open, and the server has the old streams until it knows that they are gone.</summary>
    private const int MaxPeers = 19_000;
    private const int MaxMissed = 500;

    private static readonly Option<int> Rounds = Number("--rounds", "How often all are cut", DefaultRounds, MaxRounds);
    private static readonly Option<int> Peers = Number("--peers", "Session peers in all", ReconnectPlan.Standard.Peers, MaxPeers);
    private static readonly Option<int> Channels = Number(
        "--channels", "Channels that the peers are spread over", ReconnectPlan.Standard.Channels, MaxPeers);

    private static readonly Option<int> Missed = Number(
        "--missed", "Messages to each channel while its peers are away", ReconnectPlan.Standard.Missed, MaxMissed);

    private static readonly Option<FileInfo?> Binary = new Option<FileInfo?>("--binary")
    {
        Description = "A published moshpit, instead of the one of the benchmarks",
    }.MustBe("the path of an executable file", file => file is { Exists: true });

    public static Command Create()
    {
        var command = new Command("reconnect", "Cut all session peers at once, and tell when all are back and how long others wait")
        {
            Rounds, Peers, Channels, Missed, Binary,
        };
        command.Validators.Add(CheckTogether);
        command.SetAction(parsed => Run(
            parsed.GetValue(Rounds),
            new ReconnectPlan(parsed.GetValue(Peers), parsed.GetValue(Channels), parsed.GetValue(Missed)),
            parsed.GetValue(Binary)));
        return command;
    }

    private static void CheckTogether(CommandResult result)
    {
        if (result.TryRead(Peers, out int peers) && result.TryRead(Channels, out int channels) && channels > peers && peers > 0)
            result.AddError("--channels must not be more than --peers: each channel has an owner.");
    }

    private static Option<int> Number(string name, string description, int value, int most)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value };
        return option.MustBeWithin(1, most);
    }

    private static int Run(int rounds, ReconnectPlan plan, FileInfo? binary)
    {
        Console.Error.WriteLine($"{plan.Peers} peers join");
        using ReconnectScene scene = ReconnectScene.Start(ChildServer.StartMoshpit(binary), plan);
        var rows = new ReconnectRows(plan, Columns.Median);
        for (int round = 1; round <= rounds; round++)
        {
            Console.Error.WriteLine($"round {round} of {rounds}");
            rows.Add(scene.Run());
        }

        Console.WriteLine(Columns.Median.MarkdownHead);
        foreach (Row row in rows.All)
            Console.WriteLine(row.ToMarkdown());
        Console.WriteLine(
            $"\nRounds: {rounds}. Channels: {plan.Channels}. Each peer missed {plan.Missed} messages of {ReconnectScene.MessageSize} bytes "
            + "and got all of them, once and in order. Figures are medians of the rounds.");
        return 0;
    }
}
