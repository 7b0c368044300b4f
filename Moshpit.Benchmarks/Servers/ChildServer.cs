using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace Moshpit.Benchmarks.Servers;

/// <summary>
/// A server under test in a child process: this executable once more, a published moshpit, or the floor in C. Ends it when disposed.
/// </summary>
internal sealed class ChildServer : IDisposable
{
    private const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";
    private const int MillisecondsToEnd = 10_000;

    private static readonly TimeSpan QuietSample = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan QuietCpu = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan LongestUnrest = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly bool _answers;

    private ChildServer(ProcessStartInfo start, bool answers)
    {
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        _answers = answers;
        long started = Stopwatch.GetTimestamp();
        _process = StartProcess(start);
        EndPoint = new IPEndPoint(IPAddress.Loopback, ReadPort());
        TimeToListening = Stopwatch.GetElapsedTime(started);
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>From before the process was made to its word that it listens.</summary>
    public TimeSpan TimeToListening { get; }

    public int ProcessId => _process.Id;

    /// <summary>Starts a server of this executable, or the one in C.</summary>
    public static ChildServer Start(ServerKind kind)
    {
        if (kind == ServerKind.Floor)
        {
            string program = FloorProgram.Path ?? throw new BenchmarkException("The floor in C needs a compiler.");
            return new ChildServer(new ProcessStartInfo(program), answers: true);
        }

        string self = Environment.ProcessPath!;
        var start = new ProcessStartInfo(self);
        if (Path.GetFileNameWithoutExtension(self) == "dotnet")
            start.ArgumentList.Add(typeof(Program).Assembly.Location);
        start.ArgumentList.Add(ServeCommand.Name);
        start.ArgumentList.Add(kind.ToString());

        // Each with the collector that its project files choose: ASP.NET Core's the server's, moshpit's the workstation's, not concurrent.
        start.Environment["DOTNET_gcServer"] = kind == ServerKind.Kestrel ? "1" : "0";
        start.Environment["DOTNET_gcConcurrent"] = kind == ServerKind.Kestrel ? "1" : "0";

        // Moshpit's own program sets this before its first socket. The runtime reads it once, so that here it must be there from the start.
        if (kind == ServerKind.Moshpit)
            start.Environment.TryAdd(InlineCompletions, "1");
        return new ChildServer(start, answers: true);
    }

    /// <summary>Starts <paramref name="binary"/>, a published moshpit, or, where it is null, the one of this executable.</summary>
    public static ChildServer StartMoshpit(FileInfo? binary) =>
        binary is null ? Start(ServerKind.Moshpit) : StartBinary(binary.FullName);

    /// <summary>Starts a published moshpit, which does not tell what it allocated.</summary>
    public static ChildServer StartBinary(string path) => new(new ProcessStartInfo(path, ["--port", "0"]), answers: false);

    /// <summary>What it used since its start.</summary>
    public ServerUsage ReadUsage()
    {
        if (!_answers)
            return new(ProcessFiles.Cpu(ProcessId), null);
        _process.StandardInput.WriteLine(ServeCommand.UsageRequest);
        return ServerUsage.FromLine(ReadLine());
    }

    public long ReadResidentBytes() => ProcessFiles.ResidentBytes(ProcessId);

    /// <summary>Waits until it has finished what it was doing, as seen by the time that it uses.</summary>
    public void WaitUntilQuiet()
    {
        long began = Stopwatch.GetTimestamp();
        TimeSpan last = ReadUsage().Cpu;
        while (Stopwatch.GetElapsedTime(began) < LongestUnrest)
        {
            Thread.Sleep(QuietSample);
            TimeSpan now = ReadUsage().Cpu;
            if (now - last < QuietCpu)
                return;
            last = now;
        }
    }

    public void Dispose()
    {
        if (_answers)
            _process.StandardInput.Close();
        else
            _process.Kill();
        if (!_process.WaitForExit(MillisecondsToEnd))
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private static Process StartProcess(ProcessStartInfo start)
    {
        try
        {
            return Cores.StartServer(start);
        }
        catch (Win32Exception e)
        {
            throw new BenchmarkException(e.Message);
        }
    }

    private int ReadPort()
    {
        string line = ReadLine();
        string digits = line.StartsWith(ServeCommand.Listening, StringComparison.Ordinal) ? line[ServeCommand.Listening.Length..] : "";
        if (int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int port))
            return port;
        _process.Kill();
        throw new BenchmarkException($"The server process said '{line}' where '{ServeCommand.Listening}PORT' was expected.");
    }

    private string ReadLine() =>
        _process.StandardOutput.ReadLine() ?? throw new BenchmarkException("The server process ended before its time.");
}
