using System.Diagnostics;
using CsCheck;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>
/// Any number of peers do anything at the same time, and the protocol holds. A schedule that fails is made smaller and printed, a line
/// for each round. Threads run as they like, so it may need several tries to fail again. How often it is tried, and how to try more:
/// <see cref="Any"/>.
/// </summary>
public sealed class ScheduleProperties
{
    private const int Tries = 30;

    private static readonly TimeSpan TimeToMinimize = TimeSpan.FromSeconds(20);

    // Mostly the same few, so that they have to do with each other.
    private static readonly Gen<int> Number = Gen.Frequency((3, Gen.Int[0, 3]), (1, Gen.Int[0, 60]));

    private static readonly Gen<Step> AnyStep = Gen.Select(
        Gen.Frequency(
            (3, StepKind.Create), (8, StepKind.Join), (2, StepKind.Crowd), (14, StepKind.Broadcast), (6, StepKind.Direct),
            (6, StepKind.Burst), (4, StepKind.Leave), (2, StepKind.Reset), (1, StepKind.Forge), (1, StepKind.JoinNobody)),
        Number,
        Number,
        (kind, sender, addressee) => new Step(kind, sender, addressee));

    [Test]
    public async Task Whatever_peers_do_each_is_told_what_the_protocol_says()
    {
        await using TestServer server = await TestServer.StartAsync();
        Step[][]? failing = null;
        try
        {
            await AnyStep.Array[1, 10].Array[1, 7].SampleAsync(
                async rounds =>
                {
                    Exception? failure = await FailureAsync(server, rounds);
                    if (failure is null)
                        return;
                    failing = rounds;
                    throw failure;
                },
                threads: 1,
                print: Print);
        }
        catch (CsCheckException e) when (failing is not null)
        {
            (Step[][] smallest, Exception? failure) = await MinimizeAsync(server, failing);
            Assert.Fail($"{e.Message}\nMade smaller:\n{Print(smallest)}\n{failure?.Message ?? "(which did not fail again)"}");
        }

        await server.WhenIdleAsync();
    }

    private static string Print(Step[][] rounds) => string.Join('\n', rounds.Select(round => string.Join(' ', round)));

    private static async Task<Exception?> FailureAsync(TestServer server, Step[][] rounds)
    {
        try
        {
            using (var run = new ScheduleRun(server))
                await run.RunAsync(rounds);
            await Eventually.AsyncTrue(() => server.Server.Parts.Channels.Count == 0);
            return null;
        }
        catch (Exception e)
        {
            await Eventually.AsyncTrue(() => server.Server.Parts.Channels.Count == 0);
            return e;
        }
    }

    /// <summary>Leaves out whole rounds, then steps, without which it still fails in some of a few tries.</summary>
    private static async Task<(Step[][] Smallest, Exception? Failure)> MinimizeAsync(TestServer server, Step[][] rounds)
    {
        Exception? failure = null;
        var clock = Stopwatch.StartNew();
        for (int round = rounds.Length - 1; round >= 0; round--)
        {
            for (int step = -1; round < rounds.Length && step < rounds[round].Length; step++)
            {
                Step[][] smaller = step < 0
                    ? [.. rounds[..round], .. rounds[(round + 1)..]]
                    : [.. rounds[..round], [.. rounds[round][..step], .. rounds[round][(step + 1)..]], .. rounds[(round + 1)..]];
                Exception? again = null;
                for (int i = 0; i < Tries && again is null && clock.Elapsed < TimeToMinimize; i++)
                    again = await FailureAsync(server, smaller);
                if (again is null)
                    continue;
                (rounds, failure) = (smaller, again);
                if (step < 0)
                    break;
                step--;
            }
        }

        return (rounds, failure);
    }
}
