using System.Text.RegularExpressions;
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
        string output = await DocumentedCode.RunAsync(Example("using Moshpit.Client;"), $"http://127.0.0.1:{server.Port}");
        Assert.That(output.Trim(), Is.EqualTo("{\"ball\":\"pong\"}"));
        await server.WhenIdleAsync();
    }

    [Test]
    public async Task The_client_example_survives_that_its_connections_are_cut()
    {
        await using TestServer server = await TestServer.StartAsync();
        using var relay = new ResettingRelay(server.Port);
        relay.CutBefore("{\"ball\":\"ping\"}", "{\"ball\":\"pong\"}");
        string output = await DocumentedCode.RunAsync(Example("using Moshpit.Client;"), $"http://127.0.0.1:{relay.Port}");
        Assert.That(output.Trim(), Is.EqualTo("{\"ball\":\"pong\"}"));
        Assert.That(relay.Cuts, Is.EqualTo(2));
    }

    [Test]
    public async Task The_loop_over_what_happens_to_a_peer_is_told_of_all_of_it()
    {
        await using TestServer server = await TestServer.StartAsync();
        using var relay = new ResettingRelay(server.Port);
        relay.CutBefore("\"first\"");
        string output = await DocumentedCode.RunAsync(
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
        Assert.That((await DocumentedCode.RunAsync(Example("using Moshpit.Server;"))).Trim(), Does.Match("^listening on [0-9]+$"));

    [Test]
    public void The_options_are_those_that_help_shows()
    {
        string readme = Folded(File.ReadAllText(Path.Combine(Repository.Root, "README.md")));
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
        string[] rows = [.. File.ReadAllLines(Path.Combine(Repository.Root, "README.md"))
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
        string security = File.ReadAllText(Path.Combine(Repository.Root, "SECURITY.md"));
        Assert.That(security, Does.Contain("(README.md#options)"));
        string[] properties = [.. Regex.Matches(security, "^\\| [^|]+ \\| `(\\w+)` \\| [^|]+ \\|$", RegexOptions.Multiline)
            .Select(row => row.Groups[1].Value)];
        Assert.That(properties, Is.Unique);
        string[] rows = [.. File.ReadAllLines(Path.Combine(Repository.Root, "README.md")).Where(line => line.StartsWith('|'))];
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

    /// <summary>The README's C# block that begins with <paramref name="firstLine"/>.</summary>
    private static string Example(string firstLine) => DocumentedCode.Block("README.md", "csharp", firstLine);
}
