using System.Runtime.InteropServices;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The program of the benchmarks, which was built with the tests.</summary>
internal static class BenchmarkProgram
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>Runs the program to its end.</summary>
    public static Task<ProgramRun> RunAsync(params string[] arguments)
    {
        // The runtime that runs the tests lies in shared/Microsoft.NETCore.App/VERSION/ beside the command that starts it.
        string dotnet = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
        string output = Path.GetRelativePath(Path.Combine(Repository.Root, "Moshpit.Tests"), AppContext.BaseDirectory);
        string program = Path.Combine(Repository.Root, "Moshpit.Benchmarks", output, "Moshpit.Benchmarks.dll");
        return ProgramRun.ToEndAsync(Patience, Path.GetTempPath(), dotnet, [program, .. arguments]);
    }
}
