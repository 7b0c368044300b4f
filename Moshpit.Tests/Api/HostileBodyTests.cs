using System.Text;
using System.Text.Json;

using Moshpit.Server.Api;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Api;

/// <summary>Bodies that want to cost more than they weigh.</summary>
internal sealed class HostileBodyTests
{
    private const int Megabyte = 1 << 20;

    private static IEnumerable<TestCaseData> Forms()
    {
        yield return Case("a megabyte of ampersands", new string('&', Megabyte), null);
        yield return Case("a megabyte of opening brackets", "data" + new string('[', Megabyte) + "=x", "\"x\"");
        yield return Case("a megabyte of closing brackets", "data" + new string(']', Megabyte) + "=x", "\"x\"");
        yield return Case("a megabyte of equals signs", "data" + new string('=', Megabyte), $"\"{new string('=', Megabyte - 1)}\"");
        yield return Case("a megabyte of percent signs", "data=" + new string('%', Megabyte), $"\"{new string('%', Megabyte)}\"");
        yield return Case(
            "a megabyte of levels",
            "data" + Repeat("[a]", Megabyte / 3) + "=x",
            $"{{\"a\":{{\"a\":{{\"a\":{{\"a\":{{\"a\":{{\"{Repeat("[a]", Megabyte / 3 - 5)}\":\"x\"}}}}}}}}}}}}");
        yield return Case("a huge index", "data[999999999]=x", "{\"999999999\":\"x\"}");
        yield return Case(
            "huge indices in depth",
            "data[999999999][999999998][20][20]=x",
            $"{{\"999999999\":{{\"999999998\":[[{Repeat("null,", 20)}\"x\"]]}}}}");
        yield return Case("a hundred thousand fields", Repeat(100_000, i => $"k{i}=v&"), null);
        yield return Case(
            "a hundred thousand members",
            Repeat(100_000, i => $"data[k{i}]=v&"),
            $"{{{Repeat(1000, i => $"\"k{i}\":\"v\",").TrimEnd(',')}}}");
        string prefix = new('p', 1000);
        yield return Case(
            "a thousand long names with one beginning",
            Repeat(1000, i => $"data[{prefix}{i:d4}]=v&"),
            $"{{{Repeat(1000, i => $"\"{prefix}{i:d4}\":\"v\",").TrimEnd(',')}}}");
        yield return Case(
            "a thousand times the same key",
            Repeat(1000, _ => $"data[{prefix}]=v&"),
            $"{{\"{prefix}\":[{Repeat("\"v\",", 1000).TrimEnd(',')}]}}");
        yield return Case(
            "an array filled from behind",
            Repeat(21, i => $"data[{20 - i}]={20 - i}&"),
            $"[{Repeat(21, i => $"\"{i}\",").TrimEnd(',')}]");
        yield return Case(
            "a thousand arrays of holes",
            Repeat(1000, i => $"data[0][{i / 420}][{i / 20 % 21}][{i % 20}][20]=&"),
            $"[[{string.Join(',', Enumerable.Range(0, 3).Select(a => $"[{HolesOf(a)}]"))}]]");
        string escaped = Repeat("\\u2028", Megabyte / 3);
        yield return Case("a megabyte of line separators", "data=" + new string('\u2028', Megabyte / 3), $"\"{escaped}\"");
        yield return Case("a megabyte of line feeds", "data=" + new string('\n', Megabyte), $"\"{Repeat("\\n", Megabyte)}\"");
    }

    [TestCaseSource(nameof(Forms))]
    public void A_form_has_its_outcome_at_bounded_cost(string body, string? delivered)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        var output = new FixedWriter(4 * Megabyte);

        // The shared pool may drop what it holds under memory pressure, so a few arrays are allowed for; not one a call.
        long allocated = AllocationAssert.Measure(
            () =>
            {
                output.Clear();
                FormBody.TryParse(bytes, output, out _, out _);
            },
            calls: 8);

        Assert.That(Encoding.UTF8.GetString(output.WrittenSpan) == (delivered ?? ""), Is.True, "the outcome");
        Assert.That(allocated, Is.LessThan(4 * Megabyte));
    }

    [Test]
    public void A_megabyte_of_broken_UTF8_is_replaced()
    {
        byte[] body = [.. "data="u8, .. Enumerable.Repeat((byte)0xFF, Megabyte)];

        Assert.That(ParsedBody.Form(body).Data == $"\"{new string('\uFFFD', Megabyte)}\"", Is.True);
    }

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

    private static TestCaseData Case(string name, string body, string? delivered) =>
        new TestCaseData(body, delivered).SetArgDisplayNames(name);

    /// <summary>The arrays of "a thousand arrays of holes" that begin with <paramref name="first"/>.</summary>
    private static string HolesOf(int first) => string.Join(',', Enumerable.Range(first * 420, Math.Min(420, 1000 - first * 420))
        .GroupBy(i => i / 20 % 21)
        .Select(group => $"[{string.Join(',', group.Select(_ => $"[{Repeat("null,", 20)}\"\"]"))}]"));

    private static string Repeat(string text, int times) => Repeat(times, _ => text);

    private static string Repeat(int times, Func<int, string> text)
    {
        var builder = new StringBuilder();
        for (int i = 0; i < times; i++)
            builder.Append(text(i));
        return builder.ToString();
    }

    [Test]
    public void Names_that_a_weak_hash_would_take_for_alike_do_not_crowd_a_bucket()
    {
        const int Names = 1000, Length = 6;
        byte[] text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(0, Names).Select(n => $"a{n:D4}z")));
        Span<int> buckets = stackalloc int[2 * 1024];
        var nodes = new FormNodes(text, buckets, new FormNode[2 * Names]);
        nodes.Add(FormNodeKind.Object);
        for (int n = 0; n < Names; n++)
            nodes.AddChild(0, FormName.Of(text, new Slice(n * Length, Length)));
        int longest = 0;
        foreach (int bucket in buckets)
        {
            int length = 0;
            for (int node = bucket; node >= 0; node = nodes[node].NextInBucket)
                length++;
            longest = Math.Max(longest, length);
        }

        // By chance alone seven or eight share one at most, once in a million runs; a hash of length and ends puts all of them together.
        Assert.That(longest, Is.InRange(1, 16));
        nodes.Dispose();
    }
}
