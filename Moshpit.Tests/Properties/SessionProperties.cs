using System.Diagnostics;
using CsCheck;

namespace Moshpit.Tests.Properties;

/// <summary>
/// Whatever happens to sessions and in rooms, each stream is told exactly what a model says that was written from the protocol alone. Steps
/// come one after the other and time is not real, so a schedule that fails fails again; it is made smaller, and printed.
/// </summary>
[Parallelizable]
public sealed class SessionProperties
{
    private const int Schedules = 2000;
    private const int LongestSchedule = 40;

    private static readonly TimeSpan TimeToMinimize = TimeSpan.FromSeconds(60);

    private static readonly Gen<SessionStep> AnyStep = Gen.Select(
        Gen.Frequency(
            (16, SessionStepKind.Open), (6, SessionStepKind.OpenLate), (3, SessionStepKind.Reload), (3, SessionStepKind.Storm),
            (8, SessionStepKind.Cut), (6, SessionStepKind.Reset), (6, SessionStepKind.Silence), (5, SessionStepKind.EndGhosts),
            (3, SessionStepKind.CutAll), (12, SessionStepKind.Broadcast), (8, SessionStepKind.Direct), (6, SessionStepKind.Several),
            (6, SessionStepKind.NoEcho), (5, SessionStepKind.Repeat), (3, SessionStepKind.SkipNumber), (4, SessionStepKind.Reorder),
            (5, SessionStepKind.FarNumber), (4, SessionStepKind.Flood), (3, SessionStepKind.Leave), (2, SessionStepKind.LeaveLate),
            (3, SessionStepKind.LeaveLater), (5, SessionStepKind.OwnerLeaves), (4, SessionStepKind.List), (4, SessionStepKind.Kick),
            (6, SessionStepKind.HandOver), (8, SessionStepKind.Change), (1, SessionStepKind.Close), (5, SessionStepKind.Pass),
            (3, SessionStepKind.PassGrace), (1, SessionStepKind.PassHistory), (1, SessionStepKind.Restart)),
        Gen.Int[0, 7],
        Gen.Int[0, 63],
        (kind, client, number) => new SessionStep(kind, client, number));

    private static readonly Gen<SessionRoom> AnyRoom = Gen.Int[0, (int)SessionRoom.All].Select(room => (SessionRoom)room);

    private static readonly Gen<SessionSchedule> AnySchedule = Gen.Select(
        AnyRoom,
        AnyRoom.Select(rarely => rarely | ~(SessionRoom.OwnerPublishes | SessionRoom.IsSmall)),
        AnyStep.Array[1, LongestSchedule],
        (room, rarely, steps) => new SessionSchedule(room & rarely, steps));

    /// <summary>What schedules must come by, since they would say little of it otherwise.</summary>
    private static readonly string[] WhatIsSeen =
    [
        "resumed", "not resumed", "new", "known loss", "unknown loss", "replaced", "left", "closed", "stopping", "away", "back",
        "join", "leave", "signal", "204", "404", "404 as 200", "429", "429 as 200", "POST 200", "POST 200 duplicate", "POST 401",
        "POST 404", "POST 409", "owner left", "owner lost", "owner given", "owner by coming", "leave left", "leave lost",
        "leave kicked", "kicked", "room", "403", "503", "400", "POST 403", "some are gone", "List 200", "Kick 200", "Kick 403",
        "Kick 404", "HandOver 200", "HandOver 403", "HandOver 404", "HandOver 409", "Change 200", "Change 400", "Change 403",
        "Close 200",
    ];

    /// <summary>Schedules that once found a fault of the server, made smaller.</summary>
    private static readonly SessionSchedule[] Found =
    [
        // A plain owner that closed its room was told that a peer that was away had left.
        new(SessionRoom.IsNamed | SessionRoom.BeginsPlain,
            [new(SessionStepKind.OpenLate, 6, 16), new(SessionStepKind.EndGhosts, 2, 59), new(SessionStepKind.Close, 3, 61)]),

        // An owner that kicked itself was succeeded for a reason that no client knows.
        new(SessionRoom.IsKept, [new(SessionStepKind.OpenLate, 3, 27), new(SessionStepKind.Kick, 7, 48)]),

        // The last event of a stream bore the number of a message that was not told there.
        new(SessionRoom.None, [new(SessionStepKind.NoEcho, 0, 25), new(SessionStepKind.Restart, 4, 54)]),

        // A session that had left its channel and joined it anew was taken for over when it asked for a new channel.
        new(SessionRoom.IsKept,
        [
            new(SessionStepKind.Open, 6, 0), new(SessionStepKind.OwnerLeaves, 1, 51), new(SessionStepKind.Open, 4, 57),
            new(SessionStepKind.Reset, 4, 51), new(SessionStepKind.PassGrace, 0, 44), new(SessionStepKind.OwnerLeaves, 3, 46),
        ]),
    ];

    [Test]
    public async Task Whatever_happens_to_its_streams_a_session_is_told_what_the_protocol_says()
    {
        SessionServer server = await SessionServer.StartAsync();
        Dictionary<string, int> seen = [];
        (SessionSchedule Schedule, Exception Failure)? found = null;
        await AnySchedule.SampleAsync(
            async schedule =>
            {
                if (found is null && await FailureAsync(server, schedule, seen) is { } failure)
                    found = (schedule, failure);
            },
            iter: Schedules,
            threads: 1);
        if (found is { } first)
        {
            (SessionSchedule smallest, Exception failure) = await MinimizeAsync(first.Schedule, first.Failure);
            Assert.Fail($"{first.Schedule}\nMade smaller:\n{smallest}\n{failure}");
        }

        await server.DisposeAsync();
        TestContext.Out.WriteLine(string.Join(", ", seen.OrderBy(each => each.Value).Select(each => $"{each.Key}: {each.Value}")));
        foreach (string what in WhatIsSeen)
            Assert.That(seen.GetValueOrDefault(what), Is.GreaterThan(Schedules / 200), $"schedules hardly come by '{what}'");
    }

    [Test]
    public async Task The_faults_that_schedules_have_found_stay_mended()
    {
        List<string> again = [];
        foreach (SessionSchedule schedule in Found)
        {
            SessionServer server = await SessionServer.StartAsync();
            if (await FailureAsync(server, schedule, []) is { } failure)
                again.Add($"{schedule}\n{failure.Message}");
            else
                await server.DisposeAsync();
        }

        Assert.That(again, Is.Empty);
    }

    /// <summary>Null: all was as the model says. Otherwise the server may be in any state.</summary>
    private static async Task<Exception?> FailureAsync(SessionServer server, SessionSchedule schedule, Dictionary<string, int> seen)
    {
        using var run = new SessionRun(server, seen);
        try
        {
            await run.RunAsync(schedule);
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    /// <summary>Leaves out steps, many and then few at a time, and wishes for the room, without which it still fails.</summary>
    private static async Task<(SessionSchedule Smallest, Exception Failure)> MinimizeAsync(SessionSchedule schedule, Exception failure)
    {
        var clock = Stopwatch.StartNew();
        for (int length = schedule.Steps.Length / 2; length > 0; length /= 2)
        {
            for (int start = 0; start + length <= schedule.Steps.Length;)
            {
                if (!await TryAsync(schedule with { Steps = [.. schedule.Steps[..start], .. schedule.Steps[(start + length)..]] }))
                    start += length;
            }
        }

        foreach (SessionRoom wish in Enum.GetValues<SessionRoom>()[1..])
            await TryAsync(schedule with { Room = schedule.Room & ~wish });
        return (schedule, failure);

        async Task<bool> TryAsync(SessionSchedule smaller)
        {
            if (clock.Elapsed > TimeToMinimize || await FailureAsync(await SessionServer.StartAsync(), smaller, []) is not { } again)
                return false;
            (schedule, failure) = (smaller, again);
            return true;
        }
    }
}
