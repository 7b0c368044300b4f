using System.Diagnostics;
using static System.FormattableString;

namespace Moshpit.Benchmarks.Recoveries;

/// <summary>How one client recovered in one scenario.</summary>
/// <param name="Time">From when the way worked again until a message arrived; null: none did in time.</param>
/// <param name="GaveUp">The client tries no more.</param>
/// <param name="Lost">Messages that the server took and the client did not hear.</param>
/// <param name="Doubled">Messages that the client heard more than once.</param>
internal sealed record Recovery(TimeSpan? Time, bool GaveUp, int Lost, int Doubled)
{
    private const int MessagesBefore = 10;

    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan RestartAfter = TimeSpan.FromSeconds(1);

    /// <summary>Messages that are still on their way arrive within this time.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Runs <paramref name="scenario"/>. A message is published every 50 ms, straight at the server.</summary>
    public static async Task<Recovery> MeasureAsync(IContender contender, Scenario scenario, RecoveryTimes times)
    {
        await contender.StartAsync();
        using var relay = new FaultyRelay(contender.ServerPort);
        var heard = new Heard();
        await contender.SubscribeAsync(relay.Port, heard.Add);
        using var stop = new CancellationTokenSource();
        Task<HashSet<int>> publishing = PublishAsync(contender, stop.Token);
        if (!await WhenAsync(() => heard.Count >= MessagesBefore, Patience))
            throw new BenchmarkException($"{contender.GetType().Name} hears nothing.");
        await FailAsync(contender, relay, scenario, times);
        long start = Stopwatch.GetTimestamp();
        bool isBack = await WhenAsync(() => heard.Last > start || contender.HasGivenUp, times.Bound) && !contender.HasGivenUp;
        TimeSpan? time = isBack ? Stopwatch.GetElapsedTime(start, heard.FirstAfter(start)) : null;
        if (isBack)
            await Task.Delay(Settling);
        await stop.CancelAsync();
        HashSet<int> published = await publishing;
        await WhenAsync(() => heard.HasAll(published), isBack ? Settling : TimeSpan.Zero);
        return new Recovery(time, contender.HasGivenUp, heard.CountMissing(published), heard.Doubled);
    }

    /// <summary>The medians of several rounds, as a cell of a table.</summary>
    public static string Describe(IReadOnlyList<Recovery> rounds, TimeSpan bound)
    {
        double[] times = [.. rounds.Where(round => round.Time is not null).Select(round => round.Time!.Value.TotalSeconds)];
        string time = times.Length * 2 > rounds.Count ? Invariant($"{Statistics.Median(times):0.00} s")
            : rounds.Any(round => round.GaveUp) ? "gave up" : Invariant($"not within {bound.TotalSeconds:0} s");
        double lost = Statistics.Median([.. rounds.Select(round => (double)round.Lost)]);
        double doubled = Statistics.Median([.. rounds.Select(round => (double)round.Doubled)]);
        return Invariant($"{time}, {lost:0} lost{(doubled > 0 ? Invariant($", {doubled:0} doubled") : "")}");
    }

    /// <summary>When it returns, the way works again.</summary>
    private static async Task FailAsync(IContender contender, FaultyRelay relay, Scenario scenario, RecoveryTimes times)
    {
        switch (scenario)
        {
            case Scenario.Killed:
                relay.Kill();
                break;
            case Scenario.Suspended:
                relay.Suspend();
                await Task.Delay(times.Suspended);
                relay.GoOn();
                break;
            case Scenario.HalfOpen:
                relay.GoHalfOpen();
                break;
            case Scenario.Restarted:
                relay.Refuse();
                await contender.KillAsync();
                await Task.Delay(RestartAfter);
                await contender.StartAsync();
                relay.ServerPort = contender.ServerPort;
                relay.Accept();
                break;
            case Scenario.Refused:
                relay.Refuse();
                await Task.Delay(times.Refused);
                relay.Accept();
                break;
        }
    }

    private static async Task<HashSet<int>> PublishAsync(IContender contender, CancellationToken stop)
    {
        HashSet<int> published = [];
        using var timer = new PeriodicTimer(Period);
        for (int number = 0; !stop.IsCancellationRequested; number++)
        {
            if (await contender.PublishAsync(number))
                published.Add(number);
            await timer.WaitForNextTickAsync(CancellationToken.None);
        }

        return published;
    }

    private static async Task<bool> WhenAsync(Func<bool> condition, TimeSpan bound)
    {
        for (long start = Stopwatch.GetTimestamp(); !condition();)
        {
            if (Stopwatch.GetElapsedTime(start) > bound)
                return false;
            await Task.Delay(5);
        }

        return true;
    }

    /// <summary>What a client has heard, and when.</summary>
    private sealed class Heard
    {
        private readonly Lock _gate = new();
        private readonly Dictionary<int, long> _times = [];
        private long _last;

        public int Doubled { get; private set; }

        public int Count
        {
            get
            {
                lock (_gate)
                    return _times.Count;
            }
        }

        public long Last => Volatile.Read(ref _last);

        public void Add(int number)
        {
            lock (_gate)
            {
                Volatile.Write(ref _last, Stopwatch.GetTimestamp());
                if (!_times.TryAdd(number, _last))
                    Doubled++;
            }
        }

        public long FirstAfter(long start)
        {
            lock (_gate)
                return _times.Values.Where(time => time > start).Min();
        }

        public bool HasAll(HashSet<int> numbers) => CountMissing(numbers) == 0;

        public int CountMissing(HashSet<int> numbers)
        {
            lock (_gate)
                return numbers.Count(number => !_times.ContainsKey(number));
        }
    }
}
