using System.CommandLine;
using Microsoft.AspNetCore.SignalR.Client;
using Moshpit.Benchmarks.Load;
using NATS.Client.Core;

namespace Moshpit.Benchmarks.Recoveries;

/// <summary><c>recover</c>: how clients recover when the way to their server fails, side by side, as a Markdown table.</summary>
internal static class RecoverCommand
{
    private const int DefaultRounds = 3;
    private const int MaxRounds = 100;

    public static Command Create()
    {
        var rounds = new Option<int>("--rounds") { Description = "How often each fault happens", DefaultValueFactory = _ => DefaultRounds };
        rounds.MustBeWithin(1, MaxRounds);
        var trial = new Option<bool>("--trial") { Description = "Make everything short: shows that it works, and measures nothing" };
        var command = new Command("recover", "Tell how clients recover when the way to their server fails") { rounds, trial };
        command.SetAction(parsed =>
            RunAsync(parsed.GetValue(rounds), parsed.GetValue(trial) ? RecoveryTimes.Trial : RecoveryTimes.Standard));
        return command;
    }

    private static async Task<int> RunAsync(int rounds, RecoveryTimes times)
    {
        List<(string Name, Func<IContender> Create)> contenders =
        [
            ("moshpit", () => new MoshpitContender()),
            ($"SignalR {VersionOf<HubConnection>()}", () => new SignalRContender()),
        ];
        string? nats = NatsContender.FindProgram();
        if (nats is null)
            await Console.Error.WriteLineAsync("NATS is left out: install nats-server to have it measured.");
        else
            contenders.Add(($"NATS.Net {VersionOf<NatsConnection>()}", () => new NatsContender(nats)));

        Scenario[] scenarios = Enum.GetValues<Scenario>();
        List<Recovery>[,] cells = new List<Recovery>[scenarios.Length, contenders.Count];
        for (int round = 1; round <= rounds; round++)
        {
            // All at the same time: they wait most of it.
            await Console.Error.WriteLineAsync($"round {round} of {rounds}");
            await Task.WhenAll(
                from scenario in Enumerable.Range(0, scenarios.Length)
                from contender in Enumerable.Range(0, contenders.Count)
                select Task.Run(async () =>
                {
                    await using IContender under = contenders[contender].Create();
                    (cells[scenario, contender] ??= []).Add(await Recovery.MeasureAsync(under, scenarios[scenario], times));
                }));
        }

        Console.WriteLine($"| | {string.Join(" | ", contenders.Select(contender => contender.Name))} |");
        Console.WriteLine($"|---|{string.Concat(Enumerable.Repeat("---|", contenders.Count))}");
        for (int scenario = 0; scenario < scenarios.Length; scenario++)
        {
            IEnumerable<string> row = Enumerable.Range(0, contenders.Count)
                .Select(contender => Recovery.Describe(cells[scenario, contender], times.Bound));
            Console.WriteLine($"| {TitleOf(scenarios[scenario], times)} | {string.Join(" | ", row)} |");
        }

        Console.WriteLine(
            $"\nRounds: {rounds}. A message is published every 50 ms. Times begin when the way works again, and end when a message "
            + "arrives. Figures are medians.");
        return 0;
    }

    private static string TitleOf(Scenario scenario, RecoveryTimes times) => scenario switch
    {
        Scenario.Killed => "all connections reset",
        Scenario.Suspended => $"nothing passes for {times.Suspended.TotalSeconds:0.#} s",
        Scenario.HalfOpen => "connections go dead without a sign",
        Scenario.Restarted => "server killed, and started again after 1 s",
        _ => $"connections reset, and refused for {times.Refused.TotalSeconds:0.#} s",
    };

    private static string VersionOf<T>() => typeof(T).Assembly.GetName().Version!.ToString(3);
}
