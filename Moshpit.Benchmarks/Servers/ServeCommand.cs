using System.CommandLine;

namespace Moshpit.Benchmarks.Servers;

/// <summary>
/// <c>serve KIND --port N</c>: a server under test in a process of its own, so that what it uses can be told from what the load uses. It
/// prints <c>listening on PORT</c>, answers the line <c>usage</c> with what it used, and ends with its input.
/// </summary>
internal static class ServeCommand
{
    public const string Name = "serve";
    public const string Listening = "listening on ";
    public const string UsageRequest = "usage";

    public static Command Create()
    {
        var kind = new Argument<ServerKind>("kind");
        var port = new Option<int>("--port") { DefaultValueFactory = _ => 0 };
        var command = new Command(Name, "A server under test, in a process of its own") { kind, port };
        command.Hidden = true;
        command.SetAction((parsed, _) => RunAsync(parsed.GetValue(kind), parsed.GetValue(port)));
        return command;
    }

    private static async Task<int> RunAsync(ServerKind kind, int port)
    {
        await using IServer server = kind switch
        {
            ServerKind.Kestrel => new KestrelServer(),
            ServerKind.Bare => new BareServer(),
            ServerKind.Moshpit => new MoshpitUnderTest(),
            _ => throw new BenchmarkException($"{kind} is a program of its own."),
        };
        Console.WriteLine(Listening + await server.StartAsync(port));
        while (Console.ReadLine() is { } line)
        {
            if (line == UsageRequest)
                Console.WriteLine(ServerUsage.OfThisProcess().ToLine());
        }

        return 0;
    }
}
