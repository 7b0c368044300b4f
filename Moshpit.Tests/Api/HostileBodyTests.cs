using System.Text;
using System.Text.Json;

using Moshpit.Server.Api;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Api;

/// <summary>Bodies, most of them JSON, that want to cost more than they weigh.</summary>
internal sealed class HostileBodyTests
{
    private const int Megabyte = 1 << 20;

    [TestCase("[")]
    [TestCase("{\"a\":")]
    [TestCase("{\"data\":")]
    public void A_megabyte_of_JSON_levels_is_refused_at_the_sixty_fifth(string level)
    {
        byte[] body = Encoding.UTF8.GetBytes(Repeat(level, Megabyte / level.Length));
        var output = new FixedWriter(16);
        string? error = null;

        long allocated = AllocationAssert.Measure(() => JsonBody.TryParse(body, output, out _, out error), calls: 1);

        Assert.That(error, Does.Contain("64"));
        Assert.That(allocated, Is.LessThan(64 * 1024));
    }

    [Test]
    public void A_megabyte_of_colons_and_spaces_in_JSON_is_repaired_in_one_go()
    {
        string pairs = Repeat(": ", Megabyte / 2);

        Assert.That(ParsedBody.Json($"{{\"data\":\"{pairs}\"}}").Data == $"\"{Repeat(@":\u0020", Megabyte / 2)}\"", Is.True);
    }

    [Test]
    public void Whatever_is_done_to_a_body_its_data_is_JSON_on_one_line()
    {
        var random = new Random(20250101);
        string[] seeds =
        [
            "{\"token\":\"3b970f792805fd3081b058a5655a534d\", " +
                "\"data\" : {\"a: b\" : [1, \"x\\u0020: \\\" y\", null], \"c\":\"é\u2028🤘\u2029\\ud800\u0085\"}}",
            "data[a][b]=c: d&data[]=1&data[0][x]=%0D%0A&data[k]=%C3%A9+%22&" +
                "data[a]=é%E2%80%A8\u2029%C2%85&token=3b970f792805fd3081b058a5655a534d",
        ];
        byte[] favourites = [.. "\r\n: \"\\%[]{}=&+,\t\0"u8, 0x80, 0xC3, 0xFF];
        int withData = 0;
        for (int i = 0; i < 40_000; i++)
        {
            byte[] body = Encoding.UTF8.GetBytes(seeds[i % 2]);
            for (int changes = random.Next(5); changes >= 0; changes--)
                body = Mutate(body, random, favourites);
            ParsedBody parsed = i % 2 == 0 ? ParsedBody.Json(body) : ParsedBody.Form(body);
            if (!parsed.Message.HasData)
            {
                Assert.That(parsed.Data, Is.Empty);
                continue;
            }

            withData++;
            using JsonDocument valid = JsonDocument.Parse(parsed.Data);
            bool breaksLine = parsed.Data.Any(character => character is < ' ' or '\u0085' or '\u2028' or '\u2029');
            if (breaksLine || parsed.Data.Contains(": ", StringComparison.Ordinal))
                Assert.Fail($"{Convert.ToHexString(body)} gave {parsed.Data}");
        }

        Assert.That(withData, Is.GreaterThan(20_000), "enough bodies survive to say something");
    }

    private static byte[] Mutate(byte[] body, Random random, byte[] favourites)
    {
        int at = random.Next(body.Length);
        int end = Math.Min(body.Length, at + random.Next(8));
        return random.Next(4) switch
        {
            0 => [.. body[..at], favourites[random.Next(favourites.Length)], .. body[at..]],
            1 => [.. body[..at], favourites[random.Next(favourites.Length)], .. body[(at + 1)..]],
            2 => [.. body[..end], .. body[at..]],
            _ => body.Length > 40 ? [.. body[..at], .. body[end..]] : body,
        };
    }

    private static string Repeat(string text, int times) => new StringBuilder().Insert(0, text, times).ToString();
}
