using Moshpit.Tests.Support;

namespace Moshpit.Tests;

/// <summary>
/// A program that references the server's project is published and run. Publishing takes minutes, so a normal run leaves this out:
/// <code>dotnet test -c Release --filter TestCategory=Publish</code>
/// </summary>
[Explicit("Publishing takes minutes; run it with --filter TestCategory=Publish.")]
[Category("Publish")]
[NonParallelizable]
public sealed class EmbeddingTests
{
    /// <summary>Longer than the compiler of native code takes on a slow machine that has to download it first.</summary>
    private static readonly TimeSpan PublishPatience = TimeSpan.FromMinutes(10);

    private const string Program = """
        using System.Text;
        using System.Text.Json;
        using Moshpit.Server;

        await using var server = new MoshpitServer(new MoshpitServerOptions { Port = 0, Host = "127.0.0.1" });
        await server.StartAsync();
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{server.Port}") };
        using var stream = new StreamReader(await http.GetStreamAsync("/"));
        JsonElement connect = JsonDocument.Parse(await NextDataAsync()).RootElement;
        string form = $"token={connect.GetProperty("token")}&data[hello]=world";
        using HttpResponseMessage answer = await http.PostAsync(
            $"/{connect.GetProperty("id")}", new StringContent(form, Encoding.UTF8, "application/x-www-form-urlencoded"));
        Console.WriteLine(await answer.Content.ReadAsStringAsync());
        Console.WriteLine(await NextDataAsync());

        async Task<string> NextDataAsync()
        {
            while (await stream.ReadLineAsync() is { } line)
            {
                if (line.StartsWith("data: "))
                    return line["data: ".Length..];
            }

            throw new EndOfStreamException();
        }
        """;

    private TempFolder _folder = null!;

    private static string Dotnet => Counterpart.Program("the .NET SDK", "dotnet");

    /// <summary>The server is built in a copy: beside the tests, it would write to the folders that a running test uses.</summary>
    [OneTimeSetUp]
    public void CopyServer()
    {
        _folder = new TempFolder();
        string project = Path.Combine(Repository.Root, "Moshpit.Server");
        IEnumerable<string> sources = Directory.EnumerateFiles(project, "*", SearchOption.AllDirectories)
            .Where(path => Path.GetRelativePath(project, path).Split(Path.DirectorySeparatorChar)[0] is not ("bin" or "obj"));
        string[] settings = ["Directory.Build.props", "Directory.Packages.props", ".editorconfig", "global.json"];
        foreach (string source in sources.Concat(settings.Select(name => Path.Combine(Repository.Root, name))))
        {
            string copy = Path.Combine(_folder["moshpit"], Path.GetRelativePath(Repository.Root, source));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(source, copy);
        }

        // The SDK that builds the server publishes the programs too. Their settings are their own.
        File.Copy(Path.Combine(Repository.Root, "global.json"), _folder["global.json"]);
        File.WriteAllText(_folder["Directory.Build.props"], "<Project />");
    }

    [OneTimeTearDown]
    public void DeleteCopy() => _folder.Dispose();

    [Test]
    public async Task A_program_with_a_server_in_it_works_when_published_framework_dependent()
    {
        await PublishAsync("dependent", "");
        await RunAsync(Dotnet, _folder["dependent/out/embedder.dll"]);
    }

    [Test]
    public async Task A_program_with_a_server_in_it_works_when_published_self_contained()
    {
        await PublishAsync(
            "contained", "<UseCurrentRuntimeIdentifier>true</UseCurrentRuntimeIdentifier><SelfContained>true</SelfContained>");
        await RunAsync(_folder["contained/out/embedder"]);
    }

    [Test]
    public async Task A_program_with_a_server_in_it_works_when_published_as_a_native_binary()
    {
        string linker = Path.GetFileName(Counterpart.Program("clang or gcc", "clang", "gcc"));
        await PublishAsync("native", $"<PublishAot>true</PublishAot><CppCompilerAndLinker>{linker}</CppCompilerAndLinker>");
        Assert.That(Directory.GetFiles(_folder["native/out"], "*.dll"), Is.Empty, "it is not native");
        await RunAsync(_folder["native/out/embedder"]);
    }

    private async Task PublishAsync(string name, string properties)
    {
        Directory.CreateDirectory(_folder[name]);
        File.WriteAllText(_folder[$"{name}/Program.cs"], Program);
        File.WriteAllText(_folder[$"{name}/embedder.csproj"], $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <Nullable>enable</Nullable>
                {properties}
              </PropertyGroup>
              <ItemGroup>
                <ProjectReference Include="../moshpit/Moshpit.Server/Moshpit.Server.csproj" />
              </ItemGroup>
            </Project>
            """);

        // Servers of the compiler and of MSBuild would outlive the test and keep its outputs open.
        ProgramRun publish = await ProgramRun.ToEndAsync(
            PublishPatience, _folder[name], Dotnet,
            "publish", "-c", "Release", "-o", "out", "-nodeReuse:false", "-p:UseSharedCompilation=false");
        Assert.That(publish.Status, Is.Zero, publish.Output + publish.Errors);
        Assert.That(publish.Output, Does.Not.Contain("warning"));
    }

    private async Task RunAsync(string program, params string[] arguments)
    {
        ProgramRun run = await ProgramRun.ToEndAsync(RawConnection.Patience, _folder[""], program, arguments);
        Assert.That(run.Status, Is.Zero, run.Errors);
        Assert.That(run.Output.Split(Environment.NewLine), Is.EqualTo(new[] { "OK", """{"hello":"world"}""", "" }));
    }
}
