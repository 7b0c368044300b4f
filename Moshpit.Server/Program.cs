using System.CommandLine;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Moshpit.Server;

// Read once by the runtime's socket engine, before the first socket: what a request needs is done on the thread that heard of it. Nothing
// that runs there waits, and the passes over large channels run on the pool.
const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";
if (Environment.GetEnvironmentVariable(InlineCompletions) is null)
    Environment.SetEnvironmentVariable(InlineCompletions, "1");

ParseResult parsed = new CommandLine().Build(RunAsync).Parse(args);
if (parsed.Errors.Count > 0)
    return Fail(2, $"{parsed.Errors[0].Message} Try moshpit --help.");

// The signals are handled here; the library would end the process after a timeout of its own.
return await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });

static async Task<int> RunAsync(CommandLine.Arguments arguments)
{
    using ILoggerFactory loggers = LoggerFactory.Create(logging => _ = (arguments.Json
            ? logging.AddJsonConsole(console => console.UseUtcTimestamp = true)
            : logging.AddSimpleConsole(console => console.SingleLine = true))
        .SetMinimumLevel(arguments.LogLevel)
        .AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace));
    arguments.Options.LoggerFactory = loggers;

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
        Privileges.Identity? identity = Privileges.Find(arguments.User, arguments.Group);
        await using var server = new MoshpitServer(arguments.Options);
        await server.BindAsync(stop.Token);
        if (identity is not null)
            Privileges.Drop(identity);
        server.Accept();
        foreach (EndPoint endPoint in server.EndPoints)
            Console.WriteLine($"listening on {(endPoint is IPEndPoint ip ? ip.Port : endPoint)}");
        await Task.Delay(Timeout.Infinite, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await server.StopAsync(cut.Token);
        return 0;
    }
    catch (Exception e) when (e is IOException or ArgumentException or InvalidOperationException)
    {
        return Fail(1, e.Message);
    }
    catch (OperationCanceledException) when (stop.IsCancellationRequested)
    {
        return 0;
    }
}

static int Fail(int status, string sentence)
{
    Console.Error.WriteLine($"moshpit: {sentence}");
    return status;
}
