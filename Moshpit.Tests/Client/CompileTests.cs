using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Client;

/// <summary>The file as users get it: copied into a project with other settings than ours.</summary>
[Parallelizable]
public class CompileTests
{
    // Makes the types of the file internal.
    private const string Internal = "MOSHPIT_CLIENT_INTERNAL";

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
                    await peer.WriteText("text");
                    await peer.WriteText("text", "cid");
                    await peer.WriteText("text", cancellationToken: default);
        #if NET8_0_OR_GREATER
                    await peer.WriteAsJson(1);
                    await peer.WriteAsJson("text", "cid");
                    await peer.WriteAsJson(new { a = 1 }, (string)null!);
                    await peer.WriteAsJson(1, System.Text.Json.JsonSerializerOptions.Default);
                    await peer.WriteAsJson(new { a = 1 }, System.Text.Json.JsonSerializerOptions.Default, "cid");
        #endif
                    if (await peer.ReadAsync() is { } first)
                        System.Console.WriteLine(first.Id);
                    await foreach (Moshpit.Client.MoshpitEvent e in peer)
                        System.Console.WriteLine(e.Name + e.Data + e.Cid);
                }
            }
        }
        """;

    private static readonly string ClientFile = Path.Combine(Repository.Root, "Moshpit.Client", "MoshpitClient.cs");

    private static readonly MetadataReference[] Framework = [.. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
        .Split(Path.PathSeparator)
        .Where(p => Path.GetDirectoryName(p) == Path.GetDirectoryName(typeof(object).Assembly.Location))
        .Select(p => MetadataReference.CreateFromFile(p))];

    [Test]
    public void The_file_compiles_without_a_warning(
        [Values(LanguageVersion.CSharp9, LanguageVersion.Latest)] LanguageVersion version,
        [Values(NullableContextOptions.Disable, NullableContextOptions.Enable)] NullableContextOptions nullable,
        [Values("", "NET8_0_OR_GREATER")] string target,
        [Values("", Internal)] string visibility)
    {
        CSharpParseOptions parse = Parse(version, target, visibility);
        string[] others = version == LanguageVersion.CSharp9 ? [Calls] : [Calls, ImplicitUsings];
        Assert.That(Warnings(Compile("copy", parse, nullable, others, [])), Is.Empty);
    }

    [TestCase("", new[]
    {
        "MoshpitClient", "MoshpitClientOptions", "MoshpitEvent", "MoshpitEventKind", "MoshpitException", "MoshpitPeer",
        "MoshpitPeerOptions", "MoshpitPeerState", "MoshpitPublish", "MoshpitReceipt", "MoshpitRecipients", "MoshpitRoom", "MoshpitRoster",
        "MoshpitRosterEntry",
    })]
    [TestCase(Internal, new string[0])]
    public void The_file_exports_its_surface_or_with_the_symbol_for_it_nothing(string visibility, string[] exported)
    {
        CSharpParseOptions parse = Parse(LanguageVersion.CSharp9, "NET8_0_OR_GREATER", visibility);
        CSharpCompilation copy = Compile("copy", parse, NullableContextOptions.Enable, [], []);
        IEnumerable<ISymbol> types = copy.GetSymbolsWithName(_ => true, SymbolFilter.Type).Where(type => type.ContainingType is null);
        Assert.That(types.Select(type => type.Name), Is.SupersetOf(new[] { "MoshpitClient", "SseParser" }));
        Assert.That(
            types.Where(type => type.DeclaredAccessibility == Accessibility.Public).Select(type => type.Name).Distinct(),
            Is.EquivalentTo(exported));
    }

    /// <summary>CS0436: a type of the assembly conflicts with one that it imports.</summary>
    [TestCase("", new[] { "CS0436" })]
    [TestCase(Internal, new string[0])]
    public void Two_assemblies_that_hold_the_file_collide_unless_its_types_are_internal(string visibility, string[] warnings)
    {
        CSharpParseOptions parse = Parse(LanguageVersion.CSharp9, "NET8_0_OR_GREATER", visibility);
        using var image = new MemoryStream();
        Assert.That(Compile("library", parse, NullableContextOptions.Enable, [], []).Emit(image).Success, "the library does not compile");
        MetadataReference library = MetadataReference.CreateFromImage(image.ToArray());
        CSharpCompilation program = Compile("program", parse, NullableContextOptions.Enable, [Calls], [library]);
        var imported = (IAssemblySymbol)program.GetAssemblyOrModuleSymbol(library)!;
        Assert.That(imported.GetTypeByMetadataName("Moshpit.Client.MoshpitClient"), Is.Not.Null);
        Assert.That(Warnings(program).Select(warning => warning.Id).Distinct(), Is.EqualTo(warnings));
    }

    [Test]
    public void The_file_names_nothing_that_is_not_in_it_or_in_the_framework()
    {
        string[] allowed = ["System", "Microsoft"];
        IEnumerable<string> usings = File.ReadLines(ClientFile)
            .Where(l => l.StartsWith("using ", StringComparison.Ordinal))
            .Select(l => l[6..].TrimEnd(';'));
        Assert.That(usings.Where(u => !allowed.Contains(u.Split('.')[0])), Is.Empty);
    }

    private static CSharpParseOptions Parse(LanguageVersion version, params string[] symbols) =>
        new CSharpParseOptions(version, DocumentationMode.Diagnose).WithPreprocessorSymbols(symbols.Where(symbol => symbol.Length > 0));

    private static CSharpCompilation Compile(
        string name, CSharpParseOptions parse, NullableContextOptions nullable, string[] others, MetadataReference[] references)
    {
        SyntaxTree client = CSharpSyntaxTree.ParseText(File.ReadAllText(ClientFile), parse, "MoshpitClient.cs");
        SyntaxTree[] trees = [client, .. others.Select(text => CSharpSyntaxTree.ParseText(text, parse))];
        var options = new CSharpCompilationOptions(
            OutputKind.DynamicallyLinkedLibrary, warningLevel: 9999, nullableContextOptions: nullable);
        return CSharpCompilation.Create(name, trees, [.. Framework, .. references], options);
    }

    private static IEnumerable<Diagnostic> Warnings(CSharpCompilation compilation) =>
        compilation.GetDiagnostics().Where(diagnostic => diagnostic.Severity >= DiagnosticSeverity.Warning);
}
