using System.CommandLine;
using System.CommandLine.Parsing;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Moshpit.Benchmarks.Compare;
using Moshpit.Benchmarks.Load;
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
            LoadCommand.Create(), CompareCommand.Create(), ServeCommand.Create(),
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
            // Where a value can't be read the library speaks first, of .NET types; the option's own rule says it better.
            ParseError error = parsed.Errors.FirstOrDefault(e => e.SymbolResult is OptionResult && !e.Message.StartsWith("Cannot parse"))
                ?? parsed.Errors[0];
            Console.Error.WriteLine(error.Message);
            return Misused;
        }

        try
        {
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (LoadException e)
        {
            Console.Error.WriteLine(e.Message);
            return Failed;
        }
    }
}
