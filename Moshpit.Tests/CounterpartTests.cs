using System.Runtime.Versioning;
using Moshpit.Tests.Support;

namespace Moshpit.Tests;

/// <summary>Tests that need programs of others are skipped without them on a user's machine, and never in CI.</summary>
[Parallelizable]
[Platform(Exclude = "Win")]
[UnsupportedOSPlatform("windows")]
public sealed class CounterpartTests
{
    [Test]
    public void A_name_is_looked_up_in_PATH() =>
        Assert.That(Counterpart.FindAll("no-such-program", "sh").First(), Does.EndWith("/sh").And.StartWith("/"));

    [Test]
    public void A_path_is_taken_as_it_is_if_the_file_may_be_executed()
    {
        using var folder = new TempFolder();
        string path = folder["program"];
        Assert.That(Counterpart.FindAll(path), Is.Empty);
        File.WriteAllText(path, "#!/bin/sh\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead);
        Assert.That(Counterpart.FindAll(path), Is.Empty);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        Assert.That(Counterpart.FindAll(path), Is.EqualTo(new[] { path }));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("false")]
    public void Outside_of_CI_a_test_whose_counterpart_is_absent_is_skipped_with_a_sentence(string? ci) => Assert.That(
        Counterpart.Absence("curl", ci),
        Is.TypeOf<IgnoreException>().With.Message.EqualTo("A program that this test needs is absent; install curl."));

    [Test]
    public void In_CI_a_test_whose_counterpart_is_absent_fails() => Assert.That(
        Counterpart.Absence("curl", "true"),
        Is.TypeOf<AssertionException>().With.Message.EqualTo("A program that this test needs is absent; install curl."));

    [Test]
    public async Task A_Python_is_one_that_has_the_module()
    {
        string python = await Counterpart.PythonWithAsync("json");
        ProgramRun run = await ProgramRun.ToEndAsync(
            RawConnection.Patience, Path.GetTempPath(), python, "-c", "import json; print(json.dumps([1]))");
        Assert.That(run, Is.EqualTo(new ProgramRun(0, "[1]\n", "")));
        Assert.That(
            async () => await Counterpart.PythonWithAsync("no_such_module"),
            Throws.InstanceOf<ResultStateException>().With.Message.Contains("no_such_module"));
    }
}
