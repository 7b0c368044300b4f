using System.Reflection;
using System.Text.RegularExpressions;
using Moshpit.Server;
using Moshpit.Tests.Support;

namespace Moshpit.Tests;

/// <summary>
/// The map of the server, <c>Moshpit.Server/README.md</c>, says what is there, and the folders know each other one way only.
/// </summary>
internal sealed partial class MapTests
{
    private const string Root = "";

    /// <summary>Each folder uses only those before it.</summary>
    private static readonly string[] Folders = ["Buffers", "Transport", "Limits", "Http", "Sse", "Channels", "Forms", "Api"];

    /// <summary>All folders may use it. It uses none.</summary>
    private const string Diagnostics = "Diagnostics";

    /// <summary>Though it stands before it, a folder does not use this one: what goes between them goes through Buffers.</summary>
    private static readonly (string From, string To) Apart = ("Channels", "Transport");

    /// <summary>What Api may use of the root, which puts the parts together.</summary>
    private static readonly string[] KnownOfRoot = ["MoshpitServerOptions", "Shutdown", "Phase"];

    private static readonly Assembly Server = typeof(MoshpitServer).Assembly;

    private static readonly string Map = File.ReadAllText(Path.Combine(Repository.Root, "Moshpit.Server", "README.md"));

    [Test]
    public void Each_folder_uses_only_those_before_it()
    {
        IReadOnlyCollection<(Type From, Type To)> references = TypeReferences.In(Server);
        Assert.That(references, Has.Count.GreaterThan(200), "references are found at all");
        string[] wrong = [.. references.Where(r => !IsAllowed(FolderOf(r.From), FolderOf(r.To), r.To))
            .Select(r => $"{r.From} uses {r.To}")];
        Assert.That(wrong, Is.Empty);
    }

    [Test]
    public void The_map_lists_the_folders_in_that_order()
    {
        string[] listed = [.. FolderRow().Matches(Map).Select(match => match.Groups[1].Value)];
        Assert.That(listed, Is.EqualTo(Folders.Append(Diagnostics)));
        Assert.That(listed,
            Is.EquivalentTo(Directory.GetDirectories(Path.Combine(Repository.Root, "Moshpit.Server")).Select(Path.GetFileName)
            .Except(["bin", "obj"])));
    }

    [Test]
    public void Each_step_that_the_map_names_is_there()
    {
        ILookup<string, Type> types = Server.GetTypes().ToLookup(type => type.Name.Split('`')[0]);
        Match[] steps = Step().Matches(Map).ToArray();
        Assert.That(steps, Has.Length.GreaterThan(40), "the map names steps");
        string[] missing = [.. steps.Where(step => !types[step.Groups[1].Value].Any(type => HasMember(type, step.Groups[2].Value)))
            .Select(step => step.Value)];
        Assert.That(missing, Is.Empty);
    }

    private static bool IsAllowed(string from, string to, Type used)
    {
        if (from == to || from == Root || (to == Diagnostics && from != Diagnostics))
            return true;
        if (to == Root)
            return from == "Api" && KnownOfRoot.Contains(used.Name);
        return (from, to) != Apart && Array.IndexOf(Folders, to) is >= 0 and int place && place < Array.IndexOf(Folders, from);
    }

    private static string FolderOf(Type type) => type.Namespace?.Split('.', 3).ElementAtOrDefault(2) ?? Root;

    private static bool HasMember(Type type, string name) => type.GetMembers(
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static).Any(member => member.Name == name);

    [GeneratedRegex(@"^\| `(\w+)/` \|", RegexOptions.Multiline)]
    private static partial Regex FolderRow();

    [GeneratedRegex(@"`([A-Z]\w+)\.([A-Z]\w+)`")]
    private static partial Regex Step();
}
