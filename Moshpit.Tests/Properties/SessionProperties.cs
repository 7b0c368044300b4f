using System.Diagnostics;
using CsCheck;

namespace Moshpit.Tests.Properties;

/// <summary>
/// Whatever happens to the streams of sessions, each is told exactly what a model says that was written from the protocol alone. Steps come
/// one after the other and time is not real, so a schedule that fails fails again; it is made smaller, and printed.
/// </summary>
[Parallelizable]
public sealed class SessionProperties
{
    private const int Schedules = 2000;
    private const int LongestSchedule = 40;

    private static readonly TimeSpan TimeToMinimize = TimeSpan.FromSeconds(60);

    private static readonly Gen<SessionStep> AnyStep = Gen.Select(
        Gen.Frequency(
            (16, SessionStepKind.Open), (6, SessionStepKind.OpenLate), (3, SessionStepKind.Reload), (8, SessionStepKind.Cut),
            (6, SessionStepKind.Reset), (6, SessionStepKind.Silence), (5, SessionStepKind.EndGhosts), (14, SessionStepKind.Broadcast),
            (10, SessionStepKind.Direct), (5, SessionStepKind.Repeat), (3, SessionStepKind.SkipNumber), (4, SessionStepKind.Reorder),
            (5, SessionStepKind.FarNumber), (4, SessionStepKind.Flood), (3, SessionStepKind.Leave), (2, SessionStepKind.LeaveLate),
            (3, SessionStepKind.LeaveLater), (5, SessionStepKind.Pass), (3, SessionStepKind.PassGrace), (1, SessionStepKind.PassHistory),
            (1, SessionStepKind.Restart)),
        Gen.Int[0, 5],
        Gen.Int[0, 60],
        (kind, client, number) => new SessionStep(kind, client, number));

    /// <summary>What schedules must come by, since they would say little of it otherwise.</summary>
    private static readonly string[] WhatIsSeen =
    [
        "resumed", "not resumed", "new", "known loss", "unknown loss", "replaced", "left", "closed", "stopping", "away", "back", "join",
        "leave", "signal", "204", "404", "refused for now", "POST 200", "POST 200 duplicate", "POST 401", "POST 404", "POST 409",
    ];

    [Test]
    public async Task Whatever_happens_to_its_streams_a_session_is_told_what_the_protocol_says()
    {
        SessionServer server = await SessionServer.StartAsync();
        Dictionary<string, int> seen = [];
        (SessionStep[] Steps, Exception Failure)? found = null;
        await AnyStep.Array[1, LongestSchedule].SampleAsync(
            async steps =>
            {
                if (found is null && await FailureAsync(server, steps, seen) is { } failure)
                    found = (steps, failure);
            },
            iter: Schedules,
            threads: 1);
        if (found is { } first)
        {
            (SessionStep[] smallest, Exception failure) = await MinimizeAsync(first.Steps, first.Failure);
            Assert.Fail($"{string.Join(' ', first.Steps)}\nMade smaller:\n{string.Join(' ', smallest)}\n{failure}");
        }

        await server.DisposeAsync();
        TestContext.Out.WriteLine(string.Join(", ", seen.OrderBy(each => each.Value).Select(each => $"{each.Key}: {each.Value}")));
        foreach (string what in WhatIsSeen)
            Assert.That(seen.GetValueOrDefault(what), Is.GreaterThan(Schedules / 200), $"schedules hardly come by '{what}'");
    }

    /// <summary>Null: all was as the model says. Otherwise the server may be in any state.</summary>
    private static async Task<Exception?> FailureAsync(SessionServer server, SessionStep[] steps, Dictionary<string, int> seen)
    {
        using var run = new SessionRun(server, seen);
        try
        {
            await run.RunAsync(steps);
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    /// <summary>Leaves out steps, many and then few at a time, without which it still fails.</summary>
    private static async Task<(SessionStep[] Smallest, Exception Failure)> MinimizeAsync(SessionStep[] steps, Exception failure)
    {
        var clock = Stopwatch.StartNew();
        for (int length = steps.Length / 2; length > 0; length /= 2)
        {
            for (int start = 0; start + length <= steps.Length && clock.Elapsed < TimeToMinimize;)
            {
                SessionStep[] smaller = [.. steps[..start], .. steps[(start + length)..]];
                if (await FailureAsync(await SessionServer.StartAsync(), smaller, []) is { } again)
                    (steps, failure) = (smaller, again);
                else
                    start += length;
            }
        }

        return (steps, failure);
    }
}
