using System.CommandLine;
using System.CommandLine.Parsing;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Moshpit.Benchmarks.Clients;
using Moshpit.Benchmarks.Compare;
using Moshpit.Benchmarks.Load;
using Moshpit.Benchmarks.Reconnects;
using Moshpit.Benchmarks.Recoveries;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks;

/// <summary>The commands; whatever is none of them is BenchmarkDotNet's.</summary>
internal static class Program
{
    private const int Failed = 1;
    private const int Misused = 2;

    private static int Main(string[] args)
    {
        var root = new RootCommand(
            "Measures moshpit. Besides the commands: --filter PATTERN runs the BenchmarkDotNet benchmarks that match.")
        {
            LoadCommand.Create(), CompareCommand.Create(), ClientCommand.Create(), ReconnectCommand.Create(), RecoverCommand.Create(),
            ServeCommand.Create(),
        };
        bool isCommand = args.Length > 0 && root.Subcommands.Any(command => command.Name == args[0]);
        bool asksForHelp = args.Length == 0 || (args.Length == 1 && args[0] is "--help" or "-h" or "-?");
        if (isCommand || asksForHelp)
            return Invoke(root.Parse(asksForHelp ? ["--help"] : args));
        IEnumerable<Summary> summaries = BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
        return summaries.Any(summary => summary.HasCriticalValidationErrors || summary.Reports.Any(report => !report.Success)) ? Failed : 0;
    }

    private static int Invoke(ParseResult parsed)
    {
        if (parsed.Errors.Count > 0)
        {
            Console.Error.WriteLine(Describe(parsed.Errors[0]));
            return Misused;
        }

        try
        {
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (BenchmarkException e)
        {
            Console.Error.WriteLine(e.Message);
            return Failed;
        }
    }

    /// <summary>Where a value can't be read the library speaks of .NET types; the user thinks of an option.</summary>
    private static string Describe(ParseError error) =>
        error.SymbolResult is OptionResult { Tokens: [{ Value: var text }] } option
        && error.Message.StartsWith("Cannot parse", StringComparison.Ordinal)
            ? $"{option.Option.Name} can't be '{text}'."
            : error.Message;
}
