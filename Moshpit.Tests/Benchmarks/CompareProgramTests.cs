using Moshpit.Tests.Support;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The command <c>compare</c>, with as little work as it can do.</summary>
[Parallelizable]
[Platform("Linux")]
public sealed class CompareProgramTests
{
    private const string Figure = @"-?[0-9][0-9,.]*( μs| ms| B)?";
    private const string Targets = @"(none|[≤≥] [0-9,.]+( × plain| ms| B)?: (met|MISSED by .+))";

    [TestCase("session-broadcast", 3)]
    [TestCase("resume", 2)]
    public async Task It_measures_session_peers_beside_plain_ones(string part, int rows)
    {
        string[] lines = await RunAsync(part);
        Assert.That(lines[2..^3], Has.Length.EqualTo(rows));
        Assert.That(lines[2..^3], Has.All.Match($@"^\| [^|]+ \| {Figure} \| {Figure} \| [0-9.]+ \| {Targets} \|$"));
    }

    [Test]
    public async Task It_measures_the_memory_of_session_peers_and_of_histories()
    {
        string[] lines = await RunAsync("session-memory");
        Assert.That(lines[2..^3], Has.Length.EqualTo(3));
        Assert.That(lines[2], Does.Match($@"^\| 100 idle peers, RSS per peer \| {Figure} \| {Figure} \| -?[0-9.]+ \| ≤ 1,700 B: "));
        Assert.That(lines[3], Does.Match($@"beyond that of a plain one \| {Figure} \|  \|  \| ≤ 400 B: "));
        Assert.That(lines[4], Does.StartWith("| 20 channels of a peer and 16 kept messages of 1,000 B, "));
        Assert.That(lines[4], Does.Match($@" \| {Figure} \|  \|  \| ≤ 2,048 B: "));
    }

    [Test]
    public async Task It_measures_how_peers_come_back()
    {
        string[] lines = await RunAsync("reconnect");
        Assert.That(lines[2], Does.Match($@"^\| 100 session peers cut at once and back, .+ \| {Figure} \|  \|  \| ≤ 3,000 ms: "));
    }

    /// <summary>The lines of a table, an empty one, the note, and the empty end.</summary>
    private static async Task<string[]> RunAsync(string part)
    {
        ProgramRun run = await BenchmarkProgram.RunAsync("compare", "--trial", "--rounds", "1", "--only", part);
        Assert.That(run.Status, Is.Zero, run.Errors);
        string[] lines = run.Output.Split('\n');
        Assert.That(lines[..2], Is.EqualTo(new[] { "| what | sessions | plain | sessions/plain | target |", "|---|---:|---:|---:|---|" }));
        Assert.That((lines[^3], lines[^1]), Is.EqualTo(("", "")));
        Assert.That(lines[^2], Does.StartWith("Rounds: 1; "));
        return lines;
    }
}
