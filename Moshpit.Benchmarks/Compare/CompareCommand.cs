using System.CommandLine;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Compare;

/// <summary><c>compare</c>: the targets of the project, measured side by side, as a Markdown table.</summary>
internal static class CompareCommand
{
    private const int DefaultRounds = 5;
    private const int MaxRounds = 1000;

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
            Description = "A part of it; may be repeated", HelpName = string.Join('|', Comparison.Parts),
        };
        only.AcceptOnlyFromAmong([.. Comparison.Parts]);
        var command = new Command("compare", "Measure moshpit beside Kestrel, a bare send loop and a floor in C, and tell the ratios")
        {
            rounds, binary, cores, only,
        };
        command.SetAction(parsed =>
        {
            Cores.OfServer = parsed.GetValue(cores);
            IReadOnlyCollection<string> parts = parsed.GetValue(only) is { Length: > 0 } named ? named : Comparison.Parts;
            return Run(parsed.GetValue(rounds), parsed.GetValue(binary), parts);
        });
        return command;
    }

    private static int Run(int rounds, FileInfo? binary, IReadOnlyCollection<string> parts)
    {
        var comparison = new Comparison(binary, Console.Error);
        for (int round = 1; round <= rounds; round++)
        {
            Console.Error.WriteLine($"round {round} of {rounds}");
            comparison.RunRound(parts);
        }

        Console.WriteLine(Columns.Servers.MarkdownHead);
        foreach (Row row in comparison.Rows)
            Console.WriteLine(row.ToMarkdown());
        Console.WriteLine($"\n{comparison.Note(rounds)}");
        return 0;
    }
}
