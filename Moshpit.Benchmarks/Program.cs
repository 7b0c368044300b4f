using System.CommandLine;
using BenchmarkDotNet.Running;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks;

internal static class Program
{
    private static int Main(string[] args)
    {
        var root = new RootCommand("moshpit benchmarks") { ServeCommand.Create() };
        if (args.Length > 0 && root.Subcommands.Any(command => command.Name == args[0]))
            return root.Parse(args).Invoke();
        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
        return 0;
    }
}
