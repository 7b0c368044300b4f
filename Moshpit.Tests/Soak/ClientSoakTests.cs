using System.Diagnostics;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// Real clients whose connections are cut at every byte, for some seconds in a normal run; <see cref="SoakTests"/> says how it goes on for
/// longer.
/// </summary>
[NonParallelizable]
[Platform("Linux")]
public sealed class ClientSoakTests
{
    /// <summary>Most of the time clients wait to come back.</summary>
    private const int RoomsAtOnceInShort = 8, RoomsAtOnceInLong = 24;

    /// <summary>Each cut may cost seconds before the client comes back.</summary>
    private const int CutsInShort = 3, CutsInLong = 12;

    /// <summary>A soak of so many seconds is a long one.</summary>
    private const int LongSoak = 60;

    [Test]
    public async Task Clients_that_are_cut_at_every_byte_say_and_hear_each_message_once_and_in_order()
    {
        (int seconds, int seed) = (SoakSettings.Seconds, SoakSettings.Seed);
        bool isLong = seconds >= LongSoak;
        int cuts = isLong ? CutsInLong : CutsInShort;
        int roomsAtOnce = isLong ? RoomsAtOnceInLong : RoomsAtOnceInShort;
        var random = new Random(seed);
        var walk = new CutWalk(random);
        var counts = new ClientCounts();
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.Grace = TimeSpan.FromMinutes(5);
            options.RequestsPerSecondPerAddress = int.MaxValue;
            options.ChannelsPerMinutePerAddress = int.MaxValue;
        });
        using var relay = new Relay(server.Port, walk.Happened);
        long start = Stopwatch.GetTimestamp();
        await TestContext.Progress.WriteLineAsync($"client soak: {seconds} s, seed {seed}");
        Task[] running = [.. Enumerable.Range(0, roomsAtOnce).Select(_ => RunAsync())];
        await Task.WhenAll(running);
        await TestContext.Progress.WriteLineAsync($"client soak: {counts}, {walk.Count} cuts, of streams at {walk.CutBytes} bytes");
        Assert.That(new[] { counts.Rooms, counts.Repeated, counts.Lost, walk.Count }, Is.All.Positive);
        await server.WhenIdleAsync();
        Assert.That(server.Server.Parts.Channels.Count, Is.Zero);

        async Task RunAsync()
        {
            do
            {
                int choices;
                lock (random)
                    choices = random.Next();
                await new ClientRoom(relay, walk, cuts, counts, new Random(choices)).RunAsync();
                if (counts.Rooms % 100 == 0)
                    await TestContext.Progress.WriteLineAsync($"client soak: {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s, {counts}");
            }
            while (Stopwatch.GetElapsedTime(start).TotalSeconds < seconds);
        }
    }
}
