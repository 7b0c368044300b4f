using System.CommandLine;
using Moshpit.Benchmarks.Compare;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Servers;
using Moshpit.Client;

namespace Moshpit.Benchmarks.Clients;

/// <summary><c>client</c>: how fast the C# client is and what it allocates, as a Markdown table.</summary>
internal static class ClientCommand
{
    private const int DefaultRounds = 3;
    private const int MaxRounds = 1000;
    private const int DefaultMessages = 5000;
    private const int MaxMessages = 100_000;
    private const int DefaultWarmup = 20_000;
    private const int DefaultRelayed = 200;
    private const int MaxRelayed = 1000;

    public static Command Create()
    {
        Option<int> rounds = Number("--rounds", "How often everything is measured", DefaultRounds, MaxRounds);
        Option<int> messages = Number("--messages", "Messages of each peer on loopback, in each round", DefaultMessages, MaxMessages);
        Option<int> warmup = Number("--warmup", "Messages of each peer on loopback before those that count", DefaultWarmup, MaxMessages);
        Option<int> relayed = Number("--relayed", "Messages over the relay, in each round", DefaultRelayed, MaxRelayed);
        var command = new Command("client", "Measure the C# client: over 50 ms round trips, on loopback, and its allocation")
        {
            rounds, messages, warmup, relayed,
        };
        command.SetAction(parsed =>
            Run(parsed.GetValue(rounds), parsed.GetValue(messages), parsed.GetValue(warmup), parsed.GetValue(relayed)));
        return command;
    }

    private static Option<int> Number(string name, string description, int value, int most)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value };
        return option.MustBeWithin(1, most);
    }

    private static int Run(int rounds, int messages, int warmup, int relayed)
    {
        // Started by this thread, which the threads of the client come from, so that these leave the server its core.
        using ChildServer server = ChildServer.Start(ServerKind.Moshpit);
        var measured = new ClientRounds(server, warmup, Console.Error);
        try
        {
            for (int round = 1; round <= rounds; round++)
            {
                Console.Error.WriteLine($"round {round} of {rounds}");
                measured.RunAsync(messages, relayed).GetAwaiter().GetResult();
            }
        }
        catch (MoshpitException e)
        {
            throw new BenchmarkException(e.Message);
        }
        catch (OperationCanceledException)
        {
            throw new BenchmarkException("A peer did not have all its messages back in time.");
        }

        Console.WriteLine(Columns.Median.MarkdownHead);
        foreach (Row row in measured.Rows)
            Console.WriteLine(row.ToMarkdown());
        Console.WriteLine($"\n{ClientRounds.Note(rounds, messages, relayed)}");
        return 0;
    }
}
