using System.Text.Json;

using Moshpit.Server.Forms;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Api;

/// <summary>What the original program answered to, as far as a body alone decides it.</summary>
internal sealed class WireCasesTests
{
    private const string Token = "3b970f792805fd3081b058a5655a534d";
    private const string Cid = "a31b6b15326ca2907b3b492df1e6385a";

    [Test]
    public void Every_recorded_body_has_its_recorded_outcome()
    {
        IReadOnlyList<JsonElement> cases = Vectors.Read("wire.json");
        using (Assert.EnterMultipleScope())
        {
            foreach (JsonElement wire in cases)
                Check(wire);
        }
    }

    private static void Check(JsonElement wire)
    {
        string name = wire.GetProperty("name").GetString()!;
        bool isForm = wire.GetProperty("contentType").GetString()!.Contains("urlencoded", StringComparison.Ordinal);
        string body = wire.GetProperty("body").GetString()!;
        body = isForm
            ? body.Replace("token=T", $"token={Token}", StringComparison.Ordinal)
                .Replace("cid[]=C", $"cid[]={Cid}", StringComparison.Ordinal)
            : body.Replace("\"T\"", $"\"{Token}\"", StringComparison.Ordinal).Replace("\"C\"", $"\"{Cid}\"", StringComparison.Ordinal);
        JsonElement expected = wire.TryGetProperty("moshpit", out JsonElement ours) ? ours : wire;

        ParsedBody parsed = isForm ? ParsedBody.Form(body) : ParsedBody.Json(body);

        Assert.That(Status(parsed), Is.EqualTo(expected.GetProperty("status").GetInt32()), name);
        if (expected.TryGetProperty("data", out JsonElement data))
        {
            using JsonDocument want = JsonDocument.Parse(data.GetString()!);
            using JsonDocument got = JsonDocument.Parse(parsed.Data);
            Assert.That(JsonElement.DeepEquals(got.RootElement, want.RootElement), Is.True, $"{name}: {parsed.Data}");
        }
    }

    private static int Status(ParsedBody parsed)
    {
        if (!parsed.Ok)
            return 400;
        if (parsed.Message.TokenField != IdField.Present || parsed.Message.Token != Ids.Token(Token))
            return 401;
        if (!parsed.Message.HasData)
            return 400;
        bool unknown = parsed.Message.CidField != IdField.Absent && parsed.Message.OnlyCid != Ids.Peer(Cid);
        return unknown ? 404 : 200;
    }
}
