using System.Diagnostics;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// The program under mixed load and faults, for some seconds in a normal run. For longer, as before a release:
/// <code>MOSHPIT_SOAK_SECONDS=1200 dotnet test -c Release --filter FullyQualifiedName~Soak --logger "console;verbosity=normal"</code>
/// Rooms of well-behaved peers check all the time that nothing is lost, doubled or out of order, while others reset, stall, dribble, flood
/// and send garbage. <c>MOSHPIT_SOAK_SEED</c> repeats the choices of a run, as far as scheduling allows.
/// </summary>
[NonParallelizable]
[Platform("Linux")]
public sealed class SoakTests
{
    private const int Rooms = 4;

    /// <summary>Memory is compared with what it was after this part of the time, when pools and heap have found their size.</summary>
    private const double WarmUp = 0.3;

    /// <summary>
    /// A garbage-collected heap breathes: half as much again, and this on top, is not yet growth. A leak of the load is many times that.
    /// </summary>
    private const long Tolerance = 48 * 1024 * 1024;

    /// <summary>Descriptors that the runtime may open for itself meanwhile. A leak of the load is thousands.</summary>
    private const int RuntimeDescriptors = 8;

    [Test]
    public async Task Under_load_and_faults_every_promise_holds_and_nothing_is_left_behind()
    {
        (int seconds, int seed) = (SoakSettings.Seconds, SoakSettings.Seed);
        using MoshpitProgram program = MoshpitProgram.Start("--port", "0", "--host", "127.0.0.1", "--log", "warning");
        int port = await program.ListeningAsync();
        (await RawPeer.OpenAsync(RawConnection.Connect(port), "/")).Dispose();
        int descriptors = Descriptors(program);
        long plateau = 0;

        using var stop = new CancellationTokenSource();
        var random = new Random(seed);
        Room[] rooms = [.. Enumerable.Range(0, Rooms).Select(_ => new Room(port, new Random(random.Next())))];
        Fault[] faults = [.. Fault.All(port, random)];
        Task[] running = [.. rooms.Select(room => room.RunAsync(stop.Token)), .. faults.Select(fault => fault.RunAsync(stop.Token))];
        long start = Stopwatch.GetTimestamp();
        TestContext.Progress.WriteLine($"soak: {seconds} s, seed {seed}");
        while (Stopwatch.GetElapsedTime(start) is var elapsed && elapsed.TotalSeconds < seconds)
        {
            double until = plateau == 0 ? seconds * WarmUp : seconds;
            Task wait = Task.Delay(TimeSpan.FromSeconds(Math.Clamp(until - elapsed.TotalSeconds, 0.01, 10)));
            if (await Task.WhenAny([.. running, wait]) != wait)
                break;
            if (plateau == 0 && Stopwatch.GetElapsedTime(start).TotalSeconds >= seconds * WarmUp)
                plateau = ResidentMemory(program);
            TestContext.Progress.WriteLine(
                $"soak: {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s, "
                + $"{rooms.Sum(room => room.Delivered)} messages checked in {rooms.Sum(room => room.Rounds)} rooms, "
                + $"{faults.Sum(fault => fault.Count)} faults, {ResidentMemory(program) >> 20} MiB, {Descriptors(program)} descriptors");
        }

        await stop.CancelAsync();
        await Task.WhenAll(running).WaitAsync(RawConnection.Patience);
        Assert.That(rooms.Select(room => room.Delivered), Is.All.GreaterThan(0));
        Assert.That(faults.Select(fault => fault.Count), Is.All.GreaterThan(0));
        await Eventually.AsyncTrue(() => Descriptors(program) <= descriptors + RuntimeDescriptors,
            () => $"{Descriptors(program)} descriptors, {descriptors} before");
        Assert.That(plateau, Is.Positive);
        Assert.That(ResidentMemory(program), Is.LessThan(plateau * 3 / 2 + Tolerance), $"it was {plateau} after the warm-up");

        using RawPeer last = await RawPeer.OpenAsync(RawConnection.Connect(port), "/");
        program.Signal(MoshpitProgram.SigTerm);
        last.Dispose();
        (int status, _, string errors) = await program.EndAsync();
        Assert.That(status, Is.Zero);
        Assert.That(errors, Is.Empty);
    }

    private static int Descriptors(MoshpitProgram program) => Directory.GetFileSystemEntries($"/proc/{program.Id}/fd").Length;

    private static long ResidentMemory(MoshpitProgram program)
    {
        using Process process = Process.GetProcessById(program.Id);
        return process.WorkingSet64;
    }
}
