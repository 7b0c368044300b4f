using System.CommandLine;

namespace Moshpit.Benchmarks.Compare;

/// <summary><c>compare</c>: the targets of the project, measured side by side, as a Markdown table.</summary>
internal static class CompareCommand
{
    private const int DefaultRounds = 5;
    private const int MaxRounds = 1000;

    public static Command Create()
    {
        var rounds = new Option<int>("--rounds") { Description = "How often everything is measured", DefaultValueFactory = _ => DefaultRounds };
        rounds.Validators.Add(result =>
        {
            if (result.GetValue(rounds) is < 1 or > MaxRounds)
                result.AddError($"--rounds must be a number from 1 to {MaxRounds}.");
        });
        var binary = new Option<FileInfo?>("--binary") { Description = "A published moshpit, for its memory, its size and its start" };
        binary.Validators.Add(result =>
        {
            if (result.GetValue(binary) is not { Exists: true })
                result.AddError("--binary must be the path of an executable file.");
        });
        var command = new Command("compare", "Measure moshpit beside Kestrel and a bare send loop, one at a time, and tell the ratios")
        {
            rounds, binary,
        };
        command.SetAction(parsed => Run(parsed.GetValue(rounds), parsed.GetValue(binary)));
        return command;
    }

    private static int Run(int rounds, FileInfo? binary)
    {
        var comparison = new Comparison(binary, Console.Error);
        for (int round = 1; round <= rounds; round++)
        {
            Console.Error.WriteLine($"round {round} of {rounds}");
            comparison.RunRound();
        }

        Console.WriteLine("| what (medians) | moshpit | Kestrel | bare loop | moshpit/Kestrel | moshpit/bare loop | target |");
        Console.WriteLine("|---|---:|---:|---:|---:|---:|---|");
        foreach (Row row in comparison.Rows)
            Console.WriteLine(row.ToMarkdown());
        return 0;
    }
}
