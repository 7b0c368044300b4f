using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Moshpit.Tests.Client;

/// <summary>The file as users get it: copied into a project with other settings than ours.</summary>
public class CompileTests
{
    // What the SDK's implicit usings are, and one for those of Windows Forms, which bring a Timer too. They came with C# 10, so the C# 9
    // cases go without.
    private const string ImplicitUsings = """
        global using global::System;
        global using global::System.Collections.Generic;
        global using global::System.IO;
        global using global::System.Linq;
        global using global::System.Net.Http;
        global using global::System.Threading;
        global using global::System.Threading.Tasks;
        global using global::System.Timers;
        """;

    // What the docs tell users to write must mean one thing whatever the target.
    private const string Calls = """
        namespace User
        {
            internal static class Program
            {
                internal static async System.Threading.Tasks.Task Main()
                {
                    await using var peer = new Moshpit.Client.MoshpitClient("http://localhost").Open();
                    await peer.Write("1");
                    await peer.Write("1", null);
                    await peer.Write("1", "cid");
                    await peer.Write("1", null, default);
                    await peer.Write("1", cancellationToken: default);
        #if NET8_0_OR_GREATER
                    await peer.WriteAsJson(1);
                    await peer.WriteAsJson("text", "cid");
                    await peer.WriteAsJson(new { a = 1 }, (string)null!);
        #endif
                    await foreach (Moshpit.Client.MoshpitEvent e in peer)
                        System.Console.WriteLine(e.Name + e.Data + e.Cid);
                }
            }
        }
        """;

    private static readonly MetadataReference[] Framework = [.. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
        .Where(p => Path.GetDirectoryName(p) == Path.GetDirectoryName(typeof(object).Assembly.Location))
        .Select(p => MetadataReference.CreateFromFile(p))];

    [Test]
    public void The_file_compiles_without_a_warning(
        [Values(LanguageVersion.CSharp9, LanguageVersion.Latest)] LanguageVersion version,
        [Values(NullableContextOptions.Disable, NullableContextOptions.Enable)] NullableContextOptions nullable,
        [Values("", "NET8_0_OR_GREATER")] string symbol)
    {
        CSharpParseOptions parse = new CSharpParseOptions(version, DocumentationMode.Diagnose)
            .WithPreprocessorSymbols(symbol.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        List<SyntaxTree> trees = [CSharpSyntaxTree.ParseText(File.ReadAllText(FindFile()), parse, "MoshpitClient.cs")];
        trees.Add(CSharpSyntaxTree.ParseText(Calls, parse, "Calls.cs"));
        if (version != LanguageVersion.CSharp9)
            trees.Add(CSharpSyntaxTree.ParseText(ImplicitUsings, parse, "Usings.cs"));
        var options = new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, warningLevel: 9999, nullableContextOptions: nullable);
        CSharpCompilation compilation = CSharpCompilation.Create("copy", trees, Framework, options);

        Assert.That(compilation.GetDiagnostics().Where(d => d.Severity >= DiagnosticSeverity.Warning).Select(d => d.ToString()), Is.Empty);
    }

    [Test]
    public void The_file_names_nothing_that_is_not_in_it_or_in_the_framework()
    {
        string[] allowed = ["System", "Microsoft"];
        IEnumerable<string> usings = File.ReadLines(FindFile()).Where(l => l.StartsWith("using ", StringComparison.Ordinal)).Select(l => l[6..].TrimEnd(';'));
        Assert.That(usings.Where(u => !allowed.Contains(u.Split('.')[0])), Is.Empty);
    }

    private static string FindFile()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string candidate = Path.Combine(folder.FullName, "Moshpit.Client", "MoshpitClient.cs");
            if (File.Exists(candidate))
                return candidate;
        }

        throw new FileNotFoundException("The tests run from their folder in the repository, beside Moshpit.Client.");
    }
}
