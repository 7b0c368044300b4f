using Moshpit.Tests.Support;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The command <c>client</c>, with less work than its default.</summary>
[Parallelizable]
[Platform("Linux")]
public sealed class ClientProgramTests
{
    [Test]
    public async Task It_prints_a_table_with_a_figure_in_each_row_and_ends_by_itself()
    {
        ProgramRun run = await BenchmarkProgram.RunAsync(
            "client", "--rounds", "2", "--messages", "70", "--warmup", "70", "--relayed", "5");
        Assert.That(run.Status, Is.Zero, run.Errors);
        string[] lines = run.Output.Split('\n');
        Assert.That(lines[..2], Is.EqualTo(new[] { "| what | median | target |", "|---|---:|---|" }));
        Assert.That(lines[2..8], Has.All.Match(@"^\| [^|]+ \| [1-9][0-9,.]*( ms| B)? \| (none|≥ 500: (met|MISSED by [0-9.]+ %)) \|$"));
        Assert.That(lines[8], Is.Empty);
        Assert.That(lines[9], Does.StartWith("Rounds: 2, of 5 messages over the relay and 70 of each peer on loopback;"));
    }

    [TestCase("--messages", "0")]
    [TestCase("--warmup", "100001")]
    [TestCase("--relayed", "1001")]
    public async Task It_refuses_in_one_line_an_amount_that_is_out_of_range(string option, string amount)
    {
        ProgramRun run = await BenchmarkProgram.RunAsync("client", option, amount);
        Assert.That((run.Status, run.Output), Is.EqualTo((2, "")));
        Assert.That(run.Errors, Does.Match($"^{option} must be a number from 1 to [0-9]+\\.\n$"));
    }
}
