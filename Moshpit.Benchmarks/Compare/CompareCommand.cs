using System.CommandLine;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Compare;

/// <summary><c>compare</c>: the targets of the project, measured side by side, as a Markdown table.</summary>
internal static class CompareCommand
{
    private const int DefaultRounds = 5;
    private const int MaxRounds = 1000;

    private static string[] AllParts { get; } = [.. Comparison.Parts, .. SessionComparison.Parts];

    public static Command Create()
    {
        Option<int> rounds = new Option<int>("--rounds")
        {
            Description = "How often everything is measured", DefaultValueFactory = _ => DefaultRounds,
        }.MustBeWithin(1, MaxRounds);
        Option<FileInfo?> binary = new Option<FileInfo?>("--binary")
        {
            Description = "A published moshpit, for its direct messages, its memory, its size and its start",
        }.MustBe("the path of an executable file", file => file is { Exists: true });
        Option<int> cores = new Option<int>("--server-cores")
        {
            Description = "Cores of each server; the load has the others (as many as there are: both share all)",
            DefaultValueFactory = _ => Cores.OfServer,
        }.MustBeWithin(1, Environment.ProcessorCount);
        var only = new Option<string[]>("--only")
        {
            Description = "A part of it; may be repeated", HelpName = string.Join('|', AllParts),
        };
        only.AcceptOnlyFromAmong(AllParts);
        var trial = new Option<bool>("--trial")
        {
            Description = "Do very little of everything, to see that it works; the figures mean nothing",
        };
        var command = new Command("compare", "Measure moshpit beside Kestrel, a bare send loop and a floor in C, and tell the ratios")
        {
            rounds, binary, cores, only, trial,
        };
        command.SetAction(parsed =>
        {
            Cores.OfServer = parsed.GetValue(cores);
            IReadOnlyCollection<string> parts = parsed.GetValue(only) is { Length: > 0 } named ? named : AllParts;
            CompareScale scale = parsed.GetValue(trial) ? CompareScale.Trial : CompareScale.Full;
            return Run(parsed.GetValue(rounds), scale, parsed.GetValue(binary), parts);
        });
        return command;
    }

    private static int Run(int rounds, CompareScale scale, FileInfo? binary, IReadOnlyCollection<string> parts)
    {
        var comparison = new Comparison(scale, binary, Console.Error);
        var sessions = new SessionComparison(scale, binary, Console.Error);
        for (int round = 1; round <= rounds; round++)
        {
            Console.Error.WriteLine($"round {round} of {rounds}");
            comparison.RunRound(parts);
            sessions.RunRound(parts);
        }

        Print(Columns.Servers, comparison.Rows);
        Print(Columns.Sessions, sessions.Rows);
        Console.WriteLine(comparison.Note(rounds));
        return 0;
    }

    /// <summary>A table, if it has any lines.</summary>
    private static void Print(Columns columns, IEnumerable<Row> rows)
    {
        string[] lines = [.. rows.Select(row => row.ToMarkdown())];
        if (lines.Length > 0)
            Console.WriteLine($"{columns.MarkdownHead}\n{string.Join('\n', lines)}\n");
    }
}
