using System.Diagnostics;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>Clients of others, as they are: what they hear, and when.</summary>
[Parallelizable]
public sealed class StockClientTests
{
    /// <summary>urllib3, below requests, reads 512 bytes before it hands anything on, unless what comes is a chunk.</summary>
    private const string Lines = "import requests, sys\n" +
        "for line in requests.get(sys.argv[1], stream=True).iter_lines():\n" +
        "    print(line.decode(), flush=True)\n" +
        "print('(end)')";

    [Test]
    public async Task Requests_of_Python_hears_each_event_when_it_comes_and_the_end()
    {
        string python = await Counterpart.PythonWithAsync("requests");
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        var start = new ProcessStartInfo(
            python, ["-c", Lines, $"http://127.0.0.1:{server.Port}/{owner.Id}"]) { RedirectStandardOutput = true };
        using Process process = Process.Start(start)!;
        try
        {
            Assert.That(await ReadEventAsync(process), Does.StartWith("event: connect\ndata: {"));
            await owner.ReadEventAsync();
            for (int n = 0; n < 3; n++)
            {
                // The next message is sent only when this one was heard: nothing else can have pushed it on.
                await owner.SendAsync(server, $"{n}");
                Assert.That(await ReadEventAsync(process), Is.EqualTo($"event: signal\ndata: {n}\n"));
            }

            owner.Stream.SendEnd();
            Assert.That(await ReadLineAsync(process), Is.EqualTo("(end)"));
        }
        finally
        {
            process.Kill();
        }
    }

    private static async Task<string> ReadEventAsync(Process process)
    {
        string text = "";
        while (await ReadLineAsync(process) is { Length: > 0 } line)
            text += line + "\n";
        return text;
    }

    private static async Task<string?> ReadLineAsync(Process process) =>
        await process.StandardOutput.ReadLineAsync().WaitAsync(RawConnection.Patience);
}
