namespace Moshpit.Tests.Support;

/// <summary>
/// Programs of others that a test needs. If one is absent, the test is skipped with a sentence that says what to install. In CI, where the
/// environment variable <c>CI</c> is <c>true</c>, the test fails instead: a test that is always skipped holds nothing.
/// A test that needs what no package brings (IPv6, root, an address beyond loopback) calls <c>Assert.Ignore</c> itself, in CI too.
/// </summary>
internal static class Counterpart
{
    /// <summary>How long a program may take to say whether it has a module.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>The path of the first of <paramref name="programs"/> that is there.</summary>
    /// <param name="install">What to install, as the end of a sentence.</param>
    /// <param name="programs">Names to look up in PATH, or paths.</param>
    public static string Program(string install, params string[] programs) =>
        FindAll(programs).FirstOrDefault() ?? throw Absent(install);

    /// <summary>The path of a Python 3 that can import <paramref name="module"/>.</summary>
    /// <param name="module">The module's name; Debian's package is <c>python3-</c> and that name.</param>
    public static async Task<string> PythonWithAsync(string module)
    {
        // The first one in PATH may be the user's own, without the packages of the system's.
        foreach (string python in FindAll("python3", "/usr/bin/python3"))
        {
            if ((await ProgramRun.ToEndAsync(Patience, Path.GetTempPath(), python, "-c", "import " + module)).Status == 0)
                return python;
        }

        throw Absent($"python3 and its module {module} (python3-{module} in Debian)");
    }

    /// <summary>
    /// What ends the test if a program is absent: a failure if <paramref name="ci"/>, the environment variable, is <c>true</c>; otherwise a
    /// skip.
    /// </summary>
    public static ResultStateException Absence(string install, string? ci)
    {
        string sentence = $"A program that this test needs is absent; install {install}.";
        return ci == "true" ? new AssertionException(sentence) : new IgnoreException(sentence);
    }

    /// <summary>All of <paramref name="programs"/> that are there and may be executed, in that order.</summary>
    public static IEnumerable<string> FindAll(params string[] programs)
    {
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        string[] folders = path.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        return programs
            .SelectMany(program => Path.IsPathRooted(program) ? [program] : folders.Select(folder => Path.Combine(folder, program)))
            .SelectMany(file => OperatingSystem.IsWindows() ? [file, file + ".exe"] : new[] { file })
            .Where(IsExecutable);
    }

    private static ResultStateException Absent(string install) => Absence(install, Environment.GetEnvironmentVariable("CI"));

    private static bool IsExecutable(string path)
    {
        const UnixFileMode Execute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        return File.Exists(path) && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(path) & Execute) != 0);
    }
}
