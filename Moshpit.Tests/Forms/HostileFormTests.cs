using System.Text;
using Moshpit.Server.Forms;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Forms;

/// <summary>Forms that want to cost more than they weigh.</summary>
internal sealed class HostileFormTests
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
                FormBody.Parse(bytes, output, out _);
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
}
