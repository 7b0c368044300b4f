using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Moshpit.Server;
using Moshpit.Server.Limits;

const int Failed = 1;
const int Misused = 2;

// Before anything else is opened.
StandardStreams.Secure();

// The end of a terminal's session is not the end of a server.
using PosixSignalRegistration? hangUp = OperatingSystem.IsWindows()
    ? null
    : PosixSignalRegistration.Create(PosixSignal.SIGHUP, static context => context.Cancel = true);

// Read once by the runtime's socket engine, before the first socket: what a request needs is done on the thread that heard of it. Nothing
// that runs there waits, and drains of large channels run on the pool.
SetUnlessSet("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");

// Likewise: socket threads for half of the cores, and the other half for drains. A single one (up to three cores) serves connections in
// the order in which their requests come; with several, two joins of one client that follow each other at once may change places.
SetUnlessSet("DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT", Math.Max(1, Environment.ProcessorCount / 2).ToString(CultureInfo.InvariantCulture));

// A file's name after "@" is no file of options here.
ParseResult parsed = new CommandLine().Build(RunAsync).Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
if (parsed.Errors.Count > 0)
    return Fail(Misused, $"{parsed.Errors[0].Message} {CommandLine.Hint}");

try
{
    // The signals are handled here; the library would end the process after a timeout of its own.
    return await parsed.InvokeAsync(
        new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
}
catch (ArgumentException e)
{
    return Fail(Misused, e.Message);
}
catch (Exception e) when (e is IOException or SocketException or InvalidOperationException or UnauthorizedAccessException
    or NotSupportedException or OutOfMemoryException)
{
    return Fail(Failed, e.Message.EndsWith('.') ? e.Message : e.Message + ".");
}
catch (Exception e)
{
    return Fail(Failed, $"An error of ours: {e}");
}

static void SetUnlessSet(string variable, string value)
{
    if (Environment.GetEnvironmentVariable(variable) is null)
        Environment.SetEnvironmentVariable(variable, value);
}

static async Task<int> RunAsync(CommandLine.Arguments arguments)
{
    foreach (string warning in arguments.Warnings)
        StandardStreams.Complain(warning);
    ILoggerFactory loggers = CreateLoggers(arguments);
    try
    {
        arguments.Options.LoggerFactory = loggers;
        return await ServeAsync(arguments);
    }
    finally
    {
        // The server has passed on what it could. What is on its way to standard error should be there at once, unless that is not read.
        await Task.WhenAny(Task.Run(loggers.Dispose), Task.Delay(TimeSpan.FromMilliseconds(250)));
    }
}

static ILoggerFactory CreateLoggers(CommandLine.Arguments arguments)
{
    // The server has a queue of its own, which drops and counts. This one, which blocks when it is full, is kept short.
    const int Queued = 64;
    const string Timestamps = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";
    return LoggerFactory.Create(logging => _ = (arguments.Json
            ? logging.AddJsonConsole(console => (console.UseUtcTimestamp, console.TimestampFormat) = (true, Timestamps))
            : logging.AddSimpleConsole(console =>
                (console.SingleLine, console.UseUtcTimestamp, console.TimestampFormat) = (true, true, Timestamps + " ")))
        .SetMinimumLevel(arguments.LogLevel)
        .AddConsole(console => (console.LogToStandardErrorThreshold, console.MaxQueueLength) = (LogLevel.Trace, Queued)));
}

static async Task<int> ServeAsync(CommandLine.Arguments arguments)
{
    using var stop = new CancellationTokenSource();
    using var cut = new CancellationTokenSource();
    void OnSignal(PosixSignalContext context)
    {
        // The first signal ends the server gently, a second one at once; neither on this thread, which the system waits for.
        context.Cancel = true;
        _ = (stop.IsCancellationRequested ? cut : stop).CancelAsync();
    }

    using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
    using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
    try
    {
        DescriptorLimit.Raise();
        Privileges.Identity? identity = Privileges.Find(arguments.User, arguments.Group);
        await using var server = new MoshpitServer(arguments.Options);
        await server.BindAsync(stop.Token);
        if (identity is not null)
            Privileges.Drop(identity);
        server.Accept();
        using HeapTrimmer trimmer = HeapTrimmer.Start(server.Parts);
        StandardStreams.Print(server.EndPoints
            .Select(endPoint => endPoint is IPEndPoint ip ? $"{ip.Port}" : $"{endPoint}")
            .Distinct()
            .Select(where => $"listening on {where}"));
        await Task.Delay(Timeout.Infinite, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await server.StopAsync(cut.Token);
        return 0;
    }
    catch (OperationCanceledException) when (stop.IsCancellationRequested)
    {
        return 0;
    }
}

static int Fail(int status, string sentence)
{
    StandardStreams.Complain(sentence);
    return status;
}
