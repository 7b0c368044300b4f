using Moshpit.Server;

namespace Moshpit.Tests.Soak;

/// <summary>Session rooms, one after the other and several at once, and what they share.</summary>
internal sealed class SessionRooms(int port, Random random, bool meetsLimits) : IDisposable
{
    /// <summary>Bytes that the server keeps for each channel.</summary>
    public const int HistoryLimit = 32 * 1024;

    /// <summary>Streams that are cut of one peer. A session may open 10 within 10 s.</summary>
    private const int FewestCuts = 3, MostCuts = 7, TooManyCuts = 14;

    public Relay Relay => field ??= new Relay(port, Walk.Happened);

    public CutWalk Walk { get; } = new(new Random(random.Next()));

    public SessionCounts Counts { get; } = new();

    public int Port => port;

    /// <summary>What the rooms rely on.</summary>
    public static void Configure(MoshpitServerOptions options)
    {
        options.BodyLimit = HistoryLimit / 4;
        options.HistoryLimit = HistoryLimit;
        options.HistoryTime = options.Grace = TimeSpan.FromMinutes(5);

        // Each room is a client with limits of its own, which are so low that some requests are refused.
        options.Proxies.Add("127.0.0.1");
        options.RequestsPerSecondPerAddress = 300;
    }

    /// <summary>Holds rooms, each after the one before it.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
            await new SessionRoom(this, NextSeed()).RunAsync();
    }

    /// <summary>How many streams of a peer are cut; in some cases more than a session may open at once.</summary>
    public int ChooseCuts(Random choices) =>
        meetsLimits && choices.Next(40) == 0 ? TooManyCuts : choices.Next(FewestCuts, MostCuts + 1);

    public void Dispose() => Relay.Dispose();

    private int NextSeed()
    {
        lock (random)
            return random.Next();
    }
}
