using System.Reflection;
using System.Runtime.Loader;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Moshpit.Tests.Support;

namespace Moshpit.Tests;

/// <summary>The README's programs are compiled and run, so that they can't rot.</summary>
[NonParallelizable]
public sealed class ReadmeTests
{
    [Test]
    public async Task The_client_example_prints_what_it_says()
    {
        await using TestServer server = await TestServer.StartAsync();
        string output = await RunAsync(Example("using Moshpit.Client;"), $"http://127.0.0.1:{server.Port}");
        Assert.That(output.Trim(), Is.EqualTo("{\"ball\":\"pong\"}"));
        await server.WhenIdleAsync();
    }

    [Test]
    public async Task The_client_example_survives_that_its_connections_are_cut()
    {
        await using TestServer server = await TestServer.StartAsync();
        using var relay = new ResettingRelay(server.Port);
        relay.CutBefore("{\"ball\":\"ping\"}", "{\"ball\":\"pong\"}");
        string output = await RunAsync(Example("using Moshpit.Client;"), $"http://127.0.0.1:{relay.Port}");
        Assert.That(output.Trim(), Is.EqualTo("{\"ball\":\"pong\"}"));
        Assert.That(relay.Cuts, Is.EqualTo(2));
    }

    [Test]
    public async Task The_loop_over_what_happens_to_a_peer_is_told_of_all_of_it()
    {
        await using TestServer server = await TestServer.StartAsync();
        using var relay = new ResettingRelay(server.Port);
        relay.CutBefore("\"first\"");
        string output = await RunAsync(
            $$"""
            using Moshpit.Client;
            await using MoshpitPeer peer = new MoshpitClient(args[0]).Open();
            _ = peer.WriteText("first");
            {{Example("await foreach (MoshpitEvent e in peer)")}}
            void Show(string? from, string data) { Console.WriteLine(data); peer.Dispose(); }
            void Dim(string why) => Console.WriteLine("lost");
            void Brighten() => Console.WriteLine("back");
            void StartAnew(string cid) => Console.WriteLine("new");
            void Reload() => Console.WriteLine("gap");
            """,
            $"http://127.0.0.1:{relay.Port}");
        Assert.That(output.Split('\n', StringSplitOptions.RemoveEmptyEntries), Is.EqualTo(new[] { "new", "lost", "back", "\"first\"" }));
    }

    [Test]
    public async Task The_embedding_example_listens() =>
        Assert.That((await RunAsync(Example("using Moshpit.Server;"))).Trim(), Does.Match("^listening on [0-9]+$"));

    [Test]
    public void The_options_are_those_that_help_shows()
    {
        string readme = Folded(File.ReadAllText(RepositoryFile("README.md")));
        using var help = new StringWriter();
        new Server.CommandLine().Build(_ => Task.FromResult(0)).Parse("--help").Invoke(new() { Output = help });
        string[] options = [.. help.ToString().Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith('-'))];
        Assert.That(options, Has.Length.GreaterThan(5));
        foreach (string option in options)
            Assert.That(readme, Does.Contain(Folded(option.Replace("-?, ", ""))));
    }

    [Test]
    public void The_table_of_options_has_each_with_its_variable_its_property_and_its_default()
    {
        string[] rows = [.. File.ReadAllLines(RepositoryFile("README.md"))
            .Where(line => line.StartsWith("| `--") || line.StartsWith("|  |  |"))];
        var defaults = new Server.MoshpitServerOptions();
        IEnumerable<Server.Setting> unnamed = Server.MoshpitServerOptions.Settings.Where(setting => setting.Name is null);
        Assert.That(rows, Is.EqualTo(Server.CommandLine.Settings.Concat(unnamed).Select(setting =>
            $"| {Code(setting.Name)} | {Code(setting.Variable)} | {Code(setting.Property)} | {setting.Default(defaults) ?? "none"} |")));
        foreach (Server.Setting setting in Server.CommandLine.Settings.Where(setting => setting.Property is not null))
            Assert.That(typeof(Server.MoshpitServerOptions).GetProperty(setting.Property!), Is.Not.Null, setting.Property);
    }

    [Test]
    public void The_table_of_limits_names_properties_that_the_table_of_options_has_with_their_options_and_variables()
    {
        string security = File.ReadAllText(RepositoryFile("SECURITY.md"));
        Assert.That(security, Does.Contain("(README.md#options)"));
        string[] properties = [.. Regex.Matches(security, "^\\| [^|]+ \\| `(\\w+)` \\| [^|]+ \\|$", RegexOptions.Multiline)
            .Select(row => row.Groups[1].Value)];
        Assert.That(properties, Is.Unique);
        string[] rows = [.. File.ReadAllLines(RepositoryFile("README.md")).Where(line => line.StartsWith('|'))];
        int options = 0;
        foreach (string property in properties)
        {
            Server.Setting setting = Server.MoshpitServerOptions.Settings.Single(setting => setting.Property == property);
            Assert.That(rows, Has.One.StartsWith($"| {Code(setting.Name)} | {Code(setting.Variable)} | `{property}` | "));
            options += setting.Name is null ? 0 : 1;
        }

        Assert.That(options, Is.AtLeast(11));
    }

    /// <summary>A cell of a table that holds a name; empty if there is none.</summary>
    private static string Code(string? name) => name is null ? "" : $"`{name}`";

    /// <summary>The columns of a table, however wide they are.</summary>
    private static string Folded(string text) => Regex.Replace(text, " +", " ");

    private static string RepositoryFile(string name)
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "moshpit.sln")))
            folder = folder.Parent ?? throw new FileNotFoundException($"{name} is in no folder above the tests.");
        return Path.Combine(folder.FullName, name);
    }

    /// <summary>The README's C# block that begins with <paramref name="firstLine"/>.</summary>
    private static string Example(string firstLine)
    {
        string readme = File.ReadAllText(RepositoryFile("README.md"));
        int start = readme.IndexOf($"```csharp\n{firstLine}", StringComparison.Ordinal) + "```csharp\n".Length;
        return readme[start..readme.IndexOf("```", start, StringComparison.Ordinal)];
    }

    /// <summary>Compiles a program as <c>dotnet new console</c> would, runs it in this process, and returns what it printed.</summary>
    private static async Task<string> RunAsync(string source, params string[] args)
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

        MethodInfo main = new AssemblyLoadContext("example", isCollectible: true).LoadFromStream(Rewound(image)).EntryPoint!;
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

    private static MemoryStream Rewound(MemoryStream stream)
    {
        stream.Position = 0;
        return stream;
    }
}
