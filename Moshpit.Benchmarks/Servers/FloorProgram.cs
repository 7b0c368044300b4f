using System.ComponentModel;
using System.Diagnostics;

namespace Moshpit.Benchmarks.Servers;

/// <summary>The server in C, compiled when it is first asked for, where there is a compiler.</summary>
internal static class FloorProgram
{
    /// <summary>How it is compiled, but for the compiler's name.</summary>
    public const string Optimization = "-O2";

    private const string Source = "floor.c";

    private static readonly string[] Compilers = ["cc", "gcc", "clang"];
    private static readonly Lazy<string?> Compiled = new(Compile);

    /// <summary>The program's file; null, after a word on the error stream, where there is no compiler.</summary>
    public static string? Path => Compiled.Value;

    private static string? Compile()
    {
        string folder = Directory.CreateTempSubdirectory("moshpit-floor-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        string source = System.IO.Path.Combine(folder, Source);
        using (Stream embedded = typeof(FloorProgram).Assembly.GetManifestResourceStream(Source)!)
        using (FileStream file = File.Create(source))
            embedded.CopyTo(file);

        string program = System.IO.Path.Combine(folder, "floor");
        foreach (string compiler in Compilers)
        {
            if (Run(compiler, [Optimization, "-o", program, source]))
                return program;
        }

        Console.Error.WriteLine($"The floor in C is left out: none of {string.Join(", ", Compilers)} could compile it.");
        return null;
    }

    private static bool Run(string compiler, string[] arguments)
    {
        try
        {
            using Process process = Process.Start(compiler, arguments);
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }
}
