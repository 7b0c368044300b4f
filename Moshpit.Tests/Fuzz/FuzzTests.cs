using System.Globalization;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// Fuzzes everything that reads what strangers send, for a second each in a normal run. For longer, as before a release:
/// <code>MOSHPIT_FUZZ_SECONDS=1800 dotnet test -c Release --filter FullyQualifiedName~Fuzz</code>
/// The time is for all targets together when it is given; <c>--logger "console;verbosity=normal"</c> shows a line about each.
/// <c>MOSHPIT_FUZZ_SEED</c> repeats a run (up to where time ends it; without it each run is another one), <c>MOSHPIT_FUZZ_SAVE</c> names
/// a folder for the inputs that were found to lead somewhere new, so that they may be added to <c>Fuzz/Corpus</c>. A failing input is
/// made smaller and written to a file; the message says where, and with which seed.
/// </summary>
[NonParallelizable]
public sealed class FuzzTests
{
    private static IEnumerable<string> Targets => FuzzTarget.All().Select(target => target.Name);

    [TestCaseSource(nameof(Targets))]
    public void Every_input_of_the_corpus_is_read_as_it_must_be(string name)
    {
        FuzzTarget target = FuzzTarget.Find(name);
        using var arrays = new RentedArrays();
        string[] files = [.. FuzzCorpus.Files(target)];
        Assert.That(files, Is.Not.Empty);
        foreach (string file in files)
        {
            byte[] input = File.ReadAllBytes(file);
            Assert.DoesNotThrow(() => target.Check(input), file);
            Action counted = target.CountsArraysInCheck ? () => target.Check(input) : () => target.Probe(input);
            Assert.DoesNotThrow(() => arrays.RequireReturned(counted), file);
        }
    }

    [TestCaseSource(nameof(Targets))]
    public void No_input_that_chance_finds_breaks_an_invariant(string name)
    {
        FuzzTarget target = FuzzTarget.Find(name);
        int seed = Setting("MOSHPIT_FUZZ_SEED") ?? Environment.TickCount;
        TimeSpan time = TimeSpan.FromSeconds(Setting("MOSHPIT_FUZZ_SECONDS") / (double)FuzzTarget.All().Length ?? 1);
        string? folder = Environment.GetEnvironmentVariable("MOSHPIT_FUZZ_SAVE");
        Action<byte[]>? save = folder is null ? null : input => FuzzCorpus.Save(Path.Combine(folder, name), input);
        var run = new FuzzRun(target, seed);
        TestContext.Progress.WriteLine(run.Run(FuzzCorpus.Files(target).Select(File.ReadAllBytes), time, save));
    }

    private static int? Setting(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : null;
}
