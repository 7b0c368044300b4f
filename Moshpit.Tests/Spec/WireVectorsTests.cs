using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>What the original program answered to bodies of all kinds, and delivered.</summary>
public sealed class WireVectorsTests
{
    [Test]
    public async Task Every_body_has_the_status_and_the_delivery_that_the_protocol_gives_it()
    {
        IReadOnlyList<JsonElement> vectors = Vectors.Read("wire.json");
        await using TestServer server = await TestServer.StartAsync();
        var failures = new List<string>();
        foreach (JsonElement vector in vectors)
        {
            using RawPeer owner = await server.CreateAsync();
            if (await FailureAsync(server, owner, vector) is { } failure)
                failures.Add($"{vector.GetProperty("name")}: {failure}");
        }

        Assert.That(vectors, Is.Not.Empty);
        Assert.That(failures, Is.Empty);
    }

    private static async Task<string?> FailureAsync(TestServer server, RawPeer owner, JsonElement vector)
    {
        // Ours on purpose, where the protocol departs from the original.
        JsonElement expected = vector.TryGetProperty("moshpit", out JsonElement ours) ? ours : vector;
        string? type = vector.GetProperty("contentType").GetString();
        string body = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(Fill(vector.GetProperty("body").GetString()!, owner)));
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength("/" + owner.Id, body, type is null ? "" : $"Content-Type: {type}\r\n"));
        RawResponse response = await connection.ReadResponseAsync();
        if (response.Status != expected.GetProperty("status").GetInt32())
            return $"{response.Status} instead of {expected.GetProperty("status")}: {response.Body}";

        // Nothing else was delivered before the mark.
        await owner.SendAsync(server, "\"mark\"");
        if (expected.TryGetProperty("data", out JsonElement data))
        {
            string delivered = Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(await owner.ReadSignalAsync()));
            if (!JsonElement.DeepEquals(JsonDocument.Parse(delivered).RootElement, JsonDocument.Parse(data.GetString()!).RootElement))
                return $"delivered {delivered} instead of {data}";
        }

        string mark = await owner.ReadSignalAsync();
        return mark == "\"mark\"" ? null : $"delivered {mark}, which was not asked for";
    }

    /// <summary>As a whole value, T stands for a valid token and C for the owner's cid.</summary>
    private static string Fill(string body, RawPeer owner)
    {
        body = Regex.Replace(body, "(?<=\")T(?=\")|(?<==)T(?=&|$)", owner.Token);
        return Regex.Replace(body, "(?<=\")C(?=\")|(?<==)C(?=&|$)", owner.Cid);
    }
}
