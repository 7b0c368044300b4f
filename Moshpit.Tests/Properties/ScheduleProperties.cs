using CsCheck;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>
/// Any number of peers do anything at the same time, and the protocol holds. A failing schedule is made smaller and printed, a list of rounds;
/// as threads run as they like, it may need several tries to fail again. How often it is tried, and how to try more: <see cref="Any"/>.
/// </summary>
public sealed class ScheduleProperties
{
    private static readonly Gen<Step> AnyStep = Gen.Select(
        Gen.Frequency(
            (3, StepKind.Create), (8, StepKind.Join), (1, StepKind.Crowd), (14, StepKind.Broadcast), (8, StepKind.Direct), (4, StepKind.Leave),
            (2, StepKind.Reset), (1, StepKind.Forge), (1, StepKind.JoinNobody)),
        Gen.Int[0, 30],
        Gen.Int[0, 30],
        (kind, who, whom) => new Step(kind, who, whom));

    [Test]
    public async Task Whatever_peers_do_each_is_told_what_the_protocol_says()
    {
        await using TestServer server = await TestServer.StartAsync();
        await AnyStep.Array[1, 10].Array[1, 7].SampleAsync(
            async rounds =>
            {
                using (var run = new ScheduleRun(server))
                    await run.RunAsync(rounds);
                await Eventually.AsyncTrue(() => server.Server.State.Channels.Count == 0);
            },
            threads: 1,
            print: rounds => string.Join('\n', rounds.Select(round => string.Join(' ', round))));
        await server.WhenIdleAsync();
    }
}
