using System.Diagnostics;
using Moshpit.Server;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// Session peers whose connections are cut at every byte, for some seconds in a normal run; <see cref="SoakTests"/> says how it goes on for
/// longer. Each message is counted from its sender to each of its receivers.
/// </summary>
[NonParallelizable]
[Platform("Linux")]
public sealed class SessionSoakTests
{
    private const int RoomsAtOnce = 4;

    /// <summary>A soak of so many seconds is a long one, in which peers meet limits, and wait as they are told to.</summary>
    private const int LongSoak = 60;

    /// <summary>After so many seconds a cut has come to each byte.</summary>
    private const int CompleteSoak = 600;

    /// <summary>Seconds of a soak that is not long, at most.</summary>
    private const int ShortSoak = 15;

    [Test]
    public async Task Session_peers_that_are_cut_at_every_byte_lose_nothing_and_hear_nothing_twice()
    {
        (int seconds, int seed) = (SoakSettings.Seconds, SoakSettings.Seed);
        bool isLong = seconds >= LongSoak;
        seconds = isLong ? seconds : Math.Min(seconds, ShortSoak);
        await using TestServer server = await TestServer.StartAsync(SessionRooms.Configure);
        using var rooms = new SessionRooms(server.Port, new Random(seed), isLong);
        using var stop = new CancellationTokenSource();
        List<Task> running = [.. Enumerable.Range(0, RoomsAtOnce).Select(_ => rooms.RunAsync(stop.Token))];
        long start = Stopwatch.GetTimestamp();
        await TestContext.Progress.WriteLineAsync($"session soak: {seconds} s, seed {seed}");
        while (Stopwatch.GetElapsedTime(start).TotalSeconds is var elapsed && elapsed < seconds)
        {
            Task wait = Task.Delay(TimeSpan.FromSeconds(Math.Clamp(seconds - elapsed, 0.01, 10)));
            Task first = await Task.WhenAny([.. running, wait]);
            await TestContext.Progress.WriteLineAsync(
                $"session soak: {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s, {rooms.Counts}, "
                + $"{rooms.Walk.Count} cuts, of streams at {rooms.Walk.CutBytes} bytes, of their ends at {rooms.Walk.CutBytesOfByes}");
            await first;
        }

        await stop.CancelAsync();
        await foreach (Task ended in Task.WhenEach(running))
            await ended;
        SessionCounts counts = rooms.Counts;
        Assert.That(new[] { counts.Sent, counts.Resumes, counts.Replaced, counts.Gaps, counts.LostAnswers, counts.Repeats, counts.Aways },
            Is.All.Positive, $"{counts}");
        Assert.That(seconds < CompleteSoak || rooms.Walk.HasCutEveryByte, "some byte of a stream was never cut");
        await server.WhenIdleAsync();
        ServerParts parts = server.Server.Parts;
        Assert.That((parts.Channels.Count, parts.Admission.Connections, parts.Channels.History.Used), Is.EqualTo((0, 0, 0L)));
        await Eventually.AsyncTrue(() => parts.Addresses.Count == 0, () => $"{parts.Addresses.Count} addresses count something");
    }
}
