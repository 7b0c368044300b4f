using Moshpit.Tests.Support;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The command <c>reconnect</c>, with fewer peers than its default.</summary>
[Parallelizable]
[Platform("Linux")]
public sealed class ReconnectProgramTests
{
    [Test]
    public async Task It_prints_a_table_with_a_figure_in_each_row_and_ends_by_itself()
    {
        ProgramRun run = await BenchmarkProgram.RunAsync(
            "reconnect", "--rounds", "2", "--peers", "1100", "--channels", "7", "--missed", "60");
        Assert.That(run.Status, Is.Zero, run.Errors);
        string[] lines = run.Output.Split('\n');
        Assert.That(lines[..2], Is.EqualTo(new[] { "| what | median | target |", "|---|---:|---|" }));
        Assert.That(lines[2..7], Has.All.Match(@"^\| [^|]+ \| [0-9][0-9,.]* (ms|μs) \| (none|≤ [0-9,]+ ms: (met|MISSED by .+)) \|$"));
        Assert.That(lines[2], Does.StartWith("| 1,100 session peers cut at once and back, until all are whole | "));
        Assert.That(lines[2], Does.Contain("≤ 3,000 ms"));
        Assert.That(lines[4], Does.Contain("longest wait | ").And.Contain("≤ 50 ms"));
        Assert.That(lines[7], Is.Empty);
        Assert.That(lines[8], Does.StartWith("Rounds: 2. Channels: 7. Each peer missed 60 messages of 64 bytes"));
    }

    [TestCase("--rounds must be a number from 1 to 9.", "--rounds", "10")]
    [TestCase("--channels must not be more than --peers", "--peers", "3", "--channels", "4")]
    public async Task It_refuses_in_one_line_what_can_not_be(string said, params string[] options)
    {
        ProgramRun run = await BenchmarkProgram.RunAsync(["reconnect", .. options]);
        Assert.That((run.Status, run.Output), Is.EqualTo((2, "")));
        Assert.That(run.Errors, Does.StartWith(said).And.Match("^[^\n]+\n$"));
    }
}
