using Moshpit.Tests.Support;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The command <c>recover</c>, with short faults.</summary>
[Parallelizable]
[Platform("Linux")]
public sealed class RecoverProgramTests
{
    [Test]
    public async Task It_prints_a_table_with_what_became_of_each_client_in_each_scenario()
    {
        Counterpart.Program("nats-server", "nats-server", "/usr/sbin/nats-server");
        ProgramRun run = await BenchmarkProgram.RunAsync("recover", "--rounds", "1", "--trial");
        Assert.That(run.Status, Is.Zero, run.Errors);
        string[] lines = run.Output.Split('\n');
        Assert.That(lines[0], Does.Match(@"^\| \| moshpit \| SignalR [0-9.]+ \| NATS\.Net [0-9.]+ \|$"));
        const string Cell = @" \| ([0-9.]+ s|not within 4 s|gave up), [0-9]+ lost(, [0-9]+ doubled)?";
        Assert.That(lines[2..7], Has.All.Match($@"^\| [^|]+({Cell}){{3}} \|$"), run.Output);
        Assert.That(lines[2], Does.Match(@"^\| all connections reset \| [0-9.]+ s, 0 lost \|"), "moshpit loses nothing");
        Assert.That(lines[3], Does.Match(@"^\| nothing passes for 0\.5 s \| [0-9.]+ s, 0 lost \|"));
    }

    [Test]
    public async Task It_refuses_in_one_line_what_can_not_be()
    {
        ProgramRun run = await BenchmarkProgram.RunAsync("recover", "--rounds", "0");
        Assert.That((run.Status, run.Output), Is.EqualTo((2, "")));
        Assert.That(run.Errors, Does.StartWith("--rounds must be a number from 1 to 100.").And.Match("^[^\n]+\n$"));
    }
}
