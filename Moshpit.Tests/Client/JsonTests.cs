using System.Text.Json;
using CompactJson = Moshpit.Client.Json;

namespace Moshpit.Tests.Client;

public class JsonTests
{
    [TestCase("1")]
    [TestCase(" -0.5e+3 ")]
    [TestCase("10E-2")]
    [TestCase("true")]
    [TestCase("null")]
    [TestCase("\"\"")]
    [TestCase("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\u2028\"")]
    [TestCase("[]")]
    [TestCase("{ }")]
    [TestCase("[ 1 , [ ] , { \"a\" : { } } ]\r\n\t")]
    public void A_json_value_passes_as_it_is(string json)
    {
        using (JsonDocument.Parse(json))
        {
            Assert.That(CompactJson.TakeOutCid(json, out string? cid), Is.EqualTo(json));
            Assert.That(cid, Is.Null);
        }
    }

    [TestCase("")]
    [TestCase(" ")]
    [TestCase("hello")]
    [TestCase("1,\"token\":\"x\"")]
    [TestCase("1}")]
    [TestCase("1 2")]
    [TestCase("{}{}")]
    [TestCase("{\"a\":1}}")]
    [TestCase("{\"a\":1,}")]
    [TestCase("{\"a\"}")]
    [TestCase("{\"a\" 1}")]
    [TestCase("{a:1}")]
    [TestCase("{1:1}")]
    [TestCase("{,}")]
    [TestCase("[1,]")]
    [TestCase("[1 2]")]
    [TestCase("[1}")]
    [TestCase("[")]
    [TestCase("{\"a\":[1,2}")]
    [TestCase("\"")]
    [TestCase("\"\\\"")]
    [TestCase("\"\\")]
    [TestCase("\"\\x\"")]
    [TestCase("\"\\u12\"")]
    [TestCase("\"\\u12g4\"")]
    [TestCase("\"a\nb\"")]
    [TestCase("\"\u0000\"")]
    [TestCase("01")]
    [TestCase("-")]
    [TestCase("+1")]
    [TestCase("1.")]
    [TestCase(".5")]
    [TestCase("1e")]
    [TestCase("1e+")]
    [TestCase("0x1")]
    [TestCase("NaN")]
    [TestCase("tru")]
    [TestCase("True")]
    [TestCase("nulll")]
    [TestCase("1 // one")]
    [TestCase("\u00a01")]
    [TestCase("\uFEFF1")]
    public void Anything_else_is_an_argument_error(string json)
    {
        Assert.Catch<JsonException>(() => JsonDocument.Parse(json).Dispose(), "the case itself is wrong");
        Assert.That(() => CompactJson.TakeOutCid(json, out _), Throws.ArgumentException);
    }

    [Test]
    public void Half_a_surrogate_pair_is_an_argument_error()
    {
        Assert.That(() => CompactJson.TakeOutCid("\"\ud800\"", out _), Throws.ArgumentException);
    }

    [Test]
    public void Every_short_text_over_the_alphabet_of_json_is_judged_as_System_Text_Json_does()
    {
        const string alphabet = "{}[],:\"1-.e0 nul\\t";
        var wrong = new List<string>();
        for (int length = 1; length <= 3; length++)
        {
            int count = (int)Math.Pow(alphabet.Length, length);
            char[] text = new char[length];
            for (int n = 0; n < count; n++)
            {
                for (int i = 0, rest = n; i < length; i++, rest /= alphabet.Length)
                    text[i] = alphabet[rest % alphabet.Length];
                string json = new(text);
                if (Accepts(json) != IsJson(json))
                    wrong.Add(json);
            }
        }

        Assert.That(wrong, Is.Empty);

        static bool Accepts(string json)
        {
            try
            {
                CompactJson.TakeOutCid(json, out _);
                return true;
            }
            catch (ArgumentException)
            {
                return false;
            }
        }

        static bool IsJson(string json)
        {
            try
            {
                JsonDocument.Parse(json).Dispose();
                return true;
            }
            catch (JsonException)
            {
                return false;
            }
        }
    }

    [Test]
    public void Nesting_is_bounded()
    {
        string deepest = new string('[', 63) + new string(']', 63);
        Assert.That(CompactJson.TakeOutCid(deepest, out _), Is.EqualTo(deepest));
        Assert.That(() => CompactJson.TakeOutCid("[" + deepest + "]", out _), Throws.ArgumentException);
        Assert.That(() => CompactJson.TakeOutCid(new string('[', 1_000_000), out _), Throws.ArgumentException);
    }

    [TestCase("{\"_cid\":\"x\"}", "{}", "x")]
    [TestCase(" { \"_cid\" : \"x\" , \"a\" : [1, 2] , \"b\":{} } ", "{\"a\" : [1, 2],\"b\":{}}", "x")]
    [TestCase("{\"a\":1,\"_cid\":\"x\"}", "{\"a\":1}", "x")]
    [TestCase("{\"\\u005fcid\":\"\\u0078\\n\"}", "{}", "x\n")]
    [TestCase("{\"_cid\":\"x\",\"_cid\":\"y\"}", "{}", "y")]
    [TestCase("{\"_cid\":\"x\",\"_cid\":null}", "{}", null)]
    [TestCase("{\"_cid\":null,\"a\":1}", "{\"a\":1}", null)]
    [TestCase("{\"_cid\":\"\",\"a\":1}", "{\"a\":1}", null)]
    [TestCase("{\"a\":{\"_cid\":\"x\"}}", "{\"a\":{\"_cid\":\"x\"}}", null)]
    [TestCase("[{\"_cid\":\"x\"}]", "[{\"_cid\":\"x\"}]", null)]
    [TestCase("\"_cid\"", "\"_cid\"", null)]
    public void A_cid_at_the_top_of_an_object_is_taken_out(string json, string rest, string? addressee)
    {
        Assert.That(CompactJson.TakeOutCid(json, out string? cid), Is.EqualTo(rest));
        Assert.That(cid, Is.EqualTo(addressee));
    }

    [TestCase("{\"_cid\":1}")]
    [TestCase("{\"_cid\":{}}")]
    [TestCase("{\"_cid\":false}")]
    public void A_cid_that_is_no_string_is_an_argument_error(string json)
    {
        Assert.That(() => CompactJson.TakeOutCid(json, out _), Throws.ArgumentException);
    }

    [Test]
    public void Quoting_is_undone_by_parsing()
    {
        string text = string.Concat(Enumerable.Range(0, 0x180).Select(c => (char)c));
        Assert.That(JsonSerializer.Deserialize<string>(CompactJson.Quote(text)), Is.EqualTo(text));
        Assert.That(CompactJson.AsString(CompactJson.Quote(text)), Is.EqualTo(text));
    }

    [TestCase("{\"a\":\"x\",\"b\": [1, 2] ,\"a\":null}", "null", "[1, 2]")]
    [TestCase("{\"c\":{\"a\":1}}", null, null)]
    [TestCase("[\"a\",\"b\"]", null, null)]
    [TestCase("{\"a\":1", null, null)]
    [TestCase("", null, null)]
    public void Members_are_found_as_they_are_written_and_the_last_of_a_name_counts(string json, string? a, string? b) =>
        Assert.That(CompactJson.Members(json, "a", "b"), Is.EqualTo(new[] { a, b }));

    [TestCase("\"\"", "", null)]
    [TestCase("\"a\\n\"", "a\n", null)]
    [TestCase("\"a", null, null)]
    [TestCase("\"a\"b", null, null)]
    [TestCase("0", null, 0L)]
    [TestCase("999999999999999999", null, 999999999999999999L)]
    [TestCase("1000000000000000000", null, null)]
    [TestCase("-1", null, null)]
    [TestCase("1.5", null, null)]
    [TestCase("", null, null)]
    [TestCase(null, null, null)]
    public void A_value_is_read_as_a_string_or_as_a_number_if_it_is_one(string? value, string? text, long? number)
    {
        Assert.That(CompactJson.AsString(value), Is.EqualTo(text));
        Assert.That(CompactJson.AsNumber(value), Is.EqualTo(number));
    }
}
