using System.Reflection;
using System.Runtime.Loader;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Moshpit.Tests.Support;

/// <summary>The code that the documents show, as it stands there.</summary>
internal static class DocumentedCode
{
    /// <summary>The block of <paramref name="file"/> that is written in <paramref name="language"/> and begins so.</summary>
    public static string Block(string file, string language, string beginning)
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, file));
        string fence = $"```{language}\n";
        int start = text.IndexOf(fence + beginning, StringComparison.Ordinal);
        Assert.That(start, Is.Not.Negative, $"{file} has no such block: {beginning}");
        return text[(start + fence.Length)..text.IndexOf("```", start + fence.Length, StringComparison.Ordinal)];
    }

    /// <summary>Compiles a program as <c>dotnet new console</c> would, runs it in this process, and returns what it printed.</summary>
    public static async Task<string> RunAsync(string source, params string[] args)
    {
        const string ImplicitUsings = """
            global using System; global using System.Collections.Generic; global using System.IO; global using System.Linq;
            global using System.Net.Http; global using System.Threading; global using System.Threading.Tasks;
            """;
        string[] assemblies = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        CSharpCompilation program = CSharpCompilation.Create(
            "Example",
            [CSharpSyntaxTree.ParseText(source), CSharpSyntaxTree.ParseText(ImplicitUsings)],
            assemblies.Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        using var image = new MemoryStream();
        Assert.That(program.Emit(image).Diagnostics.Where(d => d.Severity >= DiagnosticSeverity.Warning), Is.Empty);
        image.Position = 0;
        MethodInfo main = new AssemblyLoadContext("example", isCollectible: true).LoadFromStream(image).EntryPoint!;
        TextWriter console = Console.Out;
        using var output = new StringWriter();
        Console.SetOut(output);
        try
        {
            // The entry point waits for its task, on a thread of its own here.
            await Task.Run(() => main.Invoke(null, [args])).WaitAsync(RawConnection.Patience);
        }
        finally
        {
            Console.SetOut(console);
        }

        return output.ToString();
    }
}
