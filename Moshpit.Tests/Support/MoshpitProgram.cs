using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Moshpit.Tests.Support;

/// <summary>The server's program as a child process, which does not outlive the test.</summary>
internal sealed class MoshpitProgram : IDisposable
{
    public const int SigHup = 1;
    public const int SigInt = 2;
    public const int SigPipe = 13;
    public const int SigTerm = 15;

    private readonly Process _process;
    private readonly StringBuilder _errorsSoFar = new();
    private Task<string> _errors = Task.FromResult("");

    private MoshpitProgram(Process process) => _process = process;

    public int Id => _process.Id;

    /// <summary>What it has written to standard error until now.</summary>
    public string ErrorsSoFar
    {
        get
        {
            lock (_errorsSoFar)
                return _errorsSoFar.ToString();
        }
    }

    public static MoshpitProgram Start(params string[] arguments) => Start("", "", arguments, readsErrors: true);

    /// <summary>Starts it with no more than so many descriptors, files and sockets.</summary>
    public static MoshpitProgram StartWithDescriptors(int most, params string[] arguments) =>
        Start($"ulimit -n {most};", "", arguments, readsErrors: true);

    /// <summary>Starts it from a shell, after <paramref name="before"/> and with <paramref name="redirections"/>.</summary>
    public static MoshpitProgram StartInShell(string before, string redirections, params string[] arguments) =>
        Start(before, redirections, arguments, readsErrors: true);

    /// <summary>Starts it with a standard error that is not read before <see cref="ReadErrors"/>.</summary>
    public static MoshpitProgram StartUnread(params string[] arguments) => Start("", "", arguments, readsErrors: false);

    private static MoshpitProgram Start(string before, string redirections, string[] arguments, bool readsErrors)
    {
        // The runtime that runs the tests lies in shared/Microsoft.NETCore.App/VERSION/ beside the command that starts it.
        string dotnet = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
        string[] command = [dotnet, Path.Combine(AppContext.BaseDirectory, "moshpit.dll"), .. arguments];
        if (before.Length + redirections.Length > 0)
            command = ["/bin/sh", "-c", $"{before} exec \"$@\" {redirections}", "sh", .. command];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };

        // Diagnostics would leave a socket in the temporary folder, and could not be opened after permissions are dropped.
        start.Environment["DOTNET_EnableDiagnostics"] = "0";

        // With its default, the server would warn on a machine that allows fewer descriptors, and standard error is compared.
        start.Environment["MOSHPIT_MAX_CONNECTIONS"] = "1000";
        var program = new MoshpitProgram(Process.Start(start)!);
        if (readsErrors)
            program.ReadErrors();
        return program;
    }

    /// <summary>Reads standard error from now on.</summary>
    public void ReadErrors() => _errors = ReadErrorsAsync();

    /// <summary>Waits until it listens, and says on which port.</summary>
    public async Task<int> ListeningAsync()
    {
        string line = await ReadLineAsync();
        Assert.That(line, Does.Match("^listening on [0-9]+$"));
        return int.Parse(line["listening on ".Length..], CultureInfo.InvariantCulture);
    }

    /// <summary>The next line of standard output.</summary>
    public async Task<string> ReadLineAsync() =>
        await _process.StandardOutput.ReadLineAsync().WaitAsync(RawConnection.Patience)
            ?? throw new AssertionException($"It ended: {await _errors}");

    public void Signal(int signal) => Assert.That(SendSignal(_process.Id, signal), Is.Zero);

    /// <summary>It ignores this signal (proc(5), SigIgn), as it inherited that from what started it.</summary>
    public bool Ignores(int signal)
    {
        const string Mask = "SigIgn:";
        string line = File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith(Mask, StringComparison.Ordinal));
        return (Convert.ToUInt64(line[Mask.Length..].Trim(), 16) >> (signal - 1) & 1) != 0;
    }

    /// <summary>Waits for its end.</summary>
    public async Task<(int Status, string Output, string Errors)> EndAsync()
    {
        string output = await _process.StandardOutput.ReadToEndAsync().WaitAsync(RawConnection.Patience);
        string errors = await _errors.WaitAsync(RawConnection.Patience);
        await _process.WaitForExitAsync().WaitAsync(RawConnection.Patience);
        return (_process.ExitCode, output, errors);
    }

    /// <summary>Waits for its end, and reads nothing.</summary>
    public async Task<int> ExitAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(RawConnection.Patience);
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private async Task<string> ReadErrorsAsync()
    {
        while (await _process.StandardError.ReadLineAsync() is { } line)
        {
            lock (_errorsSoFar)
                _errorsSoFar.Append(line).Append('\n');
        }

        return ErrorsSoFar;
    }

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int SendSignal(int process, int signal);
}
