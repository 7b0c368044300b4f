using System.Collections.Concurrent;
using System.Runtime.Loader;
using Moshpit.Tests.Support;

namespace Moshpit.Tests;

/// <summary>The examples of docs/EXAMPLES.md are run as they stand there, so that they can't rot.</summary>
[Parallelizable(ParallelScope.All)]
public sealed class ExampleTests
{
    private const string Examples = "docs/EXAMPLES.md";
    private const string Usual = "http://localhost:5000";

    [Test]
    public async Task Fifty_players_of_a_lobby_start_when_all_are_ready_and_play_on_when_the_host_leaves()
    {
        const int Count = 50;
        using var folder = new TempFolder();
        Type lobby = await BuildLobbyAsync(folder);
        await using TestServer server = await TestServer.StartAsync();
        dynamic[] players = new dynamic[Count];
        var running = new Task[Count];
        var moves = new ConcurrentQueue<string>();
        for (int i = 0; i < Count; i++)
        {
            players[i] = Activator.CreateInstance(lobby, $"http://127.0.0.1:{server.Port}", "game")!;
            players[i].Moved += (Action<string, string>)((_, move) => moves.Enqueue(move));
            running[i] = players[i].RunAsync();
            if (i == 0)
                await Eventually.AsyncTrue(() => players[0].Players.Count == 1);
        }

        await Eventually.AsyncTrue(() => players.All(player => player.Players.Count == Count));
        string host = players[0].Host;
        for (int i = 1; i < Count; i++)
            await players[i].BeReady();
        Assert.That(players.Count(player => player.HasStarted), Is.Zero, "one is not ready");
        await players[0].BeReady();
        await Eventually.AsyncTrue(() => players.All(player => player.HasStarted));

        await players[0].DisposeAsync();
        dynamic[] rest = players[1..];
        await Eventually.AsyncTrue(() => rest.All(player => player.Players.Count == Count - 1 && player.Host != host));
        Assert.That(rest.Select(player => (string)player.Host).Distinct().Count(), Is.EqualTo(1));
        await rest[^1].Move("{\"x\":1}");
        await Eventually.AsyncTrue(() => moves.Count == Count - 1);
        Assert.That(moves, Is.All.EqualTo("{\"x\":1}"));
        foreach (dynamic player in rest)
            await player.DisposeAsync();
        await Task.WhenAll(running);
        await server.WhenIdleAsync();
    }

    /// <summary>Not beside other tests: the program reads and writes this process's console.</summary>
    [Test]
    [NonParallelizable]
    public async Task Viewers_of_a_dashboard_see_the_last_line_although_they_came_before_or_after_it()
    {
        await using TestServer server = await TestServer.StartAsync();
        string url = $"http://127.0.0.1:{server.Port}";
        using var browser = new Browser(
            DocumentedCode.Block(Examples, "html", "<!doctype html>\n<title>Dashboard").Replace(Usual, url));
        const string Board = "document.getElementById('board').textContent";
        Assert.That(browser.Evaluate(Board), Is.EqualTo("There is no dashboard yet."));
        TextReader console = Console.In;
        using var lines = new Lines();
        Console.SetIn(lines);
        try
        {
            Task running = DocumentedCode.RunAsync(DocumentedCode.Block(Examples, "csharp", "using Moshpit.Client;\n\nvar pit"), url);
            lines.Add("first <b>line</b>");
            await Eventually.AsyncTrue(() => browser.Evaluate(Board) == "first <b>line</b>");
            string late = "document.getElementById('late').contentDocument.getElementById('board').textContent";
            browser.Evaluate("document.body.append(Object.assign(document.createElement('iframe'), { id: 'late', src: location.href }))");
            await Eventually.AsyncTrue(() => browser.Evaluate(late) == "first <b>line</b>");
            lines.Add("second line");
            await Eventually.AsyncTrue(() => browser.Evaluate(Board) == "second line" && browser.Evaluate(late) == "second line");
            lines.End();
            await running;
        }
        finally
        {
            lines.End();
            Console.SetIn(console);
        }
    }

    [Test]
    public async Task Two_pages_find_each_other_and_talk_by_WebRTC()
    {
        await using TestServer server = await TestServer.StartAsync();
        string page = DocumentedCode.Block(Examples, "html", "<!doctype html>\n<title>WebRTC")
            .Replace(Usual, $"http://127.0.0.1:{server.Port}");

        // A machine without a network has no other address, and no way to look up a name by multicast.
        using var browser = new Browser(
            page, "--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns");
        await Eventually.AsyncTrue(() => browser.Evaluate("me?.count") == "1");
        browser.Evaluate("document.body.append(Object.assign(document.createElement('iframe'), { id: 'other', src: location.href }))");
        const string Other = "document.getElementById('other').contentDocument";
        await Eventually.AsyncTrue(() => browser.Evaluate($"{Other}?.getElementById('chat')?.textContent") == "Connected.\n");
        await Eventually.AsyncTrue(() => browser.Evaluate("document.getElementById('chat').textContent") == "Connected.\n");
        await server.DisposeAsync();
        Say("document", "without the server");
        await Eventually.AsyncTrue(
            () => browser.Evaluate($"{Other}.getElementById('chat').textContent").Contains("without the server\n"));
        Say(Other, "indeed");
        await Eventually.AsyncTrue(() => browser.Evaluate("document.getElementById('chat').textContent").Contains("indeed\n"));

        void Say(string document, string text) => browser.Evaluate(
            $"(line => {{ line.value = '{text}'; line.dispatchEvent(new Event('change')); }})({document}.getElementById('line'))");
    }

    /// <summary>The lobby, built with the client's file in a project for netstandard2.1 and C# 9.</summary>
    private static async Task<Type> BuildLobbyAsync(TempFolder folder)
    {
        File.WriteAllText(folder["Lobby.cs"], DocumentedCode.Block(Examples, "csharp", "using System;"));
        ProgramRun build = await AdopterProject.BuildAsync(folder, TimeSpan.FromMinutes(2), $"""
            <TargetFramework>netstandard2.1</TargetFramework>
            <Nullable>enable</Nullable>
            <AssemblyName>lobby</AssemblyName>
            <OutputPath>{folder["out"]}</OutputPath>
            <AppendTargetFrameworkToOutputPath>false</AppendTargetFrameworkToOutputPath>
            """);
        Assert.That(build.Status, Is.Zero, build.Output + build.Errors);
        using var image = new MemoryStream(await File.ReadAllBytesAsync(Path.Combine(folder["out"], "lobby.dll")));
        return new AssemblyLoadContext("lobby", isCollectible: true).LoadFromStream(image).GetType("Lobby", throwOnError: true)!;
    }

    /// <summary>An input whose lines come while it is read.</summary>
    private sealed class Lines : TextReader
    {
        private readonly BlockingCollection<string> _lines = [];

        public void Add(string line) => _lines.Add(line);

        public void End() => _lines.CompleteAdding();

        public override string? ReadLine() => _lines.TryTake(out string? line, Timeout.Infinite) ? line : null;
    }
}
