using System.Collections.Concurrent;
using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>Hostile and unusual requests over real sockets, each on a connection of its own.</summary>
[Parallelizable]
public sealed class HttpVectorsSocketTests
{
    /// <summary>Cases under way at a time; most of them wait.</summary>
    private const int Width = 32;

    [Test]
    public async Task Every_raw_request_of_the_vectors_is_answered_as_a_strict_server_may()
    {
        IReadOnlyList<JsonElement> vectors = Vectors.Read("http_cases.json");
        await using TestServer server = await TestServer.StartAsync();
        var failures = new ConcurrentBag<string>();
        await Parallel.ForEachAsync(vectors, new ParallelOptions { MaxDegreeOfParallelism = Width }, async (vector, _) =>
        {
            if (await new HttpCase(vector).FailureAsync(server) is { } failure)
                failures.Add(failure);
        });
        Assert.That(vectors, Has.Count.GreaterThan(100));
        Assert.That(failures, Is.Empty);

        // And the server is as well as before.
        using RawPeer owner = await server.CreateAsync();
        await owner.SendAsync(server, "1");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
    }
}
