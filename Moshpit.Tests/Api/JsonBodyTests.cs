using System.Text;
using Moshpit.Server.Api;
using Moshpit.Server.Buffers;
using Moshpit.Server.Forms;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Api;

internal sealed class JsonBodyTests
{
    private const string Hex = "3b970f792805fd3081b058a5655a534d";

    private static readonly HexId Id = Ids.Hex(Hex);

    [TestCase("5", "5")]
    [TestCase("-1.50E+3", "-1.50E+3")]
    [TestCase("12345678901234567890123", "12345678901234567890123")]
    [TestCase("null", "null")]
    [TestCase("false", "false")]
    [TestCase("0", "0")]
    [TestCase("\"\"", "\"\"")]
    [TestCase("[]", "[]")]
    [TestCase("{ }", "{}")]
    [TestCase("[ 1 ,\t2\r\n, \"a b\" ]", "[1,2,\"a b\"]")]
    [TestCase("{\"z\" : 1, \"a\" :\n{ \"b\" : [ ] } }", "{\"z\":1,\"a\":{\"b\":[]}}")]
    [TestCase("{\"a\":1,\"a\": 2}", "{\"a\":1,\"a\":2}")]
    [TestCase("\"\\u00e9\\/\\n \\\" \\\\\"", "\"\\u00e9\\/\\n \\\" \\\\\"")]
    [TestCase("\"\\ud800 \\udc00\\ud800\"", "\"\\ud800 \\udc00\\ud800\"")]
    [TestCase("\"é🤘\"", "\"é🤘\"")]
    public void Data_keeps_its_text_but_for_the_blanks_between_tokens(string sent, string delivered)
    {
        ParsedBody parsed = ParsedBody.Json($"{{\"data\":{sent} , \"token\":\"{Hex}\"}}");

        Assert.That(parsed.Error, Is.Null);
        Assert.That(parsed.Message.HasData, Is.True);
        Assert.That(parsed.Data, Is.EqualTo(delivered));
    }

    [TestCase(" ")]
    [TestCase("\t")]
    [TestCase("\r")]
    [TestCase("\n")]
    public void Each_blank_is_dropped_where_it_is_the_only_one(string blank) =>
        Assert.That(ParsedBody.Json($"{{\"data\":[1,{blank}2]}}").Data, Is.EqualTo("[1,2]"));

    [TestCase("\"a: b\"", @"""a:\u0020b""")]
    [TestCase("\": \"", @""":\u0020""")]
    [TestCase("\":: : \"", @"""::\u0020:\u0020""")]
    [TestCase("{\"k: \" : \"v:  w\"}", @"{""k:\u0020"":""v:\u0020 w""}")]
    [TestCase("\"\\\": \"", @"""\"":\u0020""")]
    [TestCase("\":\\u0020 :\"", @""":\u0020 :""")]
    public void A_colon_and_a_space_within_a_string_are_told_apart(string sent, string delivered)
    {
        Assert.That(ParsedBody.Json($"{{\"data\": {sent}}}").Data, Is.EqualTo(delivered));
    }

    [TestCase("\"a\u2028b\"", @"""a\u2028b""")]
    [TestCase("\"\u2029\"", @"""\u2029""")]
    [TestCase("\"\u0085\u0085: \u2028\"", @"""\u0085\u0085:\u0020\u2028""")]
    [TestCase("{\"k\u2028\":{\"\u0085\": [\"\u2029\"]}}", @"{""k\u2028"":{""\u0085"":[""\u2029""]}}")]
    [TestCase("\"\\\\\u2028\\\"\u0085\"", @"""\\\u2028\""\u0085""")]
    [TestCase("\"\\u2028\\u2029\\u0085\"", @"""\u2028\u2029\u0085""")]
    [TestCase("\"\u0084\u0086\u00a0\u00bb\u2027\u202a\u2014\u20ac\"", "\"\u0084\u0086\u00a0\u00bb\u2027\u202a\u2014\u20ac\"")]
    [TestCase("[\"\u2014\", \"\u00a0:\u00a0\"]", "[\"\u2014\",\"\u00a0:\u00a0\"]")]
    public void A_line_separator_within_a_string_is_escaped_and_its_neighbours_are_not(string sent, string delivered) =>
        Assert.That(ParsedBody.Json($"{{\"data\":{sent}}}").Data, Is.EqualTo(delivered));

    [Test]
    public void The_last_of_a_repeated_field_counts()
    {
        ParsedBody parsed = ParsedBody.Json(
            $"{{\"token\":5,\"data\":[1],\"cid\":\"x\",\"token\":\"{Hex}\",\"data\":2,\"cid\":null}}");

        Assert.That(parsed.Data, Is.EqualTo("2"));
        Assert.That(parsed.Message.TokenField, Is.EqualTo(IdField.Present));
        Assert.That(parsed.Message.Token.Value, Is.EqualTo(Id));
        Assert.That(parsed.Message.CidField, Is.EqualTo(IdField.Absent));
        Assert.That(ParsedBody.Json($"{{\"token\":\"{Hex}\",\"token\":5}}").Message.TokenField, Is.EqualTo(IdField.Malformed));
        Assert.That(ParsedBody.Json($"{{\"token\":\"{Hex}\",\"token\":5}}").Message.Token, Is.EqualTo(default(Token)));
    }

    [Test]
    public void Names_and_ids_are_compared_without_their_escapes()
    {
        ParsedBody parsed = ParsedBody.Json(
            $"{{\"tok\\u0065n\":\"\\u0033{Hex[1..]}\",\"\\u0064ata\":1,\"c\\u0069d\":\"{Hex[..31]}\\u0064\"}}");

        Assert.That(parsed.Message.Token.Value, Is.EqualTo(Id));
        Assert.That(parsed.Message.Cid.Value, Is.EqualTo(Id));
        Assert.That(parsed.Data, Is.EqualTo("1"));
    }

    [TestCase("\\ud800")]
    [TestCase("t\\ud800oken")]
    [TestCase("\\u0164ata")]
    [TestCase("dat\\n")]
    [TestCase("Data")]
    [TestCase("data\\u0000")]
    [TestCase("")]
    [TestCase("a much longer name than any of the fields has")]
    public void Other_names_are_ignored(string name)
    {
        ParsedBody parsed = ParsedBody.Json($"{{\"{name}\":1}}");

        Assert.That(parsed.Ok, Is.True);
        Assert.That(parsed.Message.HasData, Is.False);
    }

    [Test]
    public void Fields_count_at_the_top_level_of_an_object_only()
    {
        string fields = $"{{\"token\":\"{Hex}\",\"data\":1,\"cid\":\"{Hex}\"}}";
        foreach (string body in new[] { $"[{fields}]", $"{{\"x\":{fields}}}", $"[\"data\",{fields}]", "[]", "{}" })
        {
            ParsedBody parsed = ParsedBody.Json(body);
            Assert.That(parsed.Ok, Is.True, body);
            Assert.That(parsed.Message, Is.EqualTo(default(Message)), body);
            Assert.That(parsed.Data, Is.Empty, body);
        }
    }

    [TestCase("null")]
    [TestCase("5")]
    [TestCase("{}")]
    [TestCase("[\"3b970f792805fd3081b058a5655a534d\"]")]
    [TestCase("\"\"")]
    [TestCase("\"3b970f792805fd3081b058a5655a534\"")]
    [TestCase("\"3b970f792805fd3081b058a5655a534d0\"")]
    [TestCase("\"3B970F792805FD3081B058A5655A534D\"")]
    [TestCase("\"\\ud800\"")]
    public void A_token_that_names_no_peer_is_malformed(string token)
    {
        ParsedBody parsed = ParsedBody.Json($"{{\"token\":{token},\"data\":1}}");

        Assert.That(parsed.Message.TokenField, Is.EqualTo(IdField.Malformed));
        Assert.That(parsed.Data, Is.EqualTo("1"));
    }

    [TestCase("null", "all")]
    [TestCase("\"\"", "all")]
    [TestCase("0", "none")]
    [TestCase("false", "none")]
    [TestCase("[]", "[]")]
    [TestCase("[\"\"]", "[\"\"]")]
    [TestCase("[null]", "none")]
    [TestCase("[\"" + Hex + "\",7]", "none")]
    [TestCase("[\"a\",\"\\ud800\",\"a\",\"a b\"]", "[\"a\",\"\\ud800\",\"a b\"]")]
    [TestCase("[\"" + Hex + "\",\"" + Hex + "\"]", "[" + Hex + "]")]
    [TestCase("[[\"" + Hex + "\"]]", "none")]
    [TestCase("[ \"" + Hex + "\" ]", "[" + Hex + "]")]
    [TestCase("[\"\\u0033b970f792805fd3081b058a5655a534d\"]", "[" + Hex + "]")]
    [TestCase("\"__proto__\"", "none")]
    [TestCase("\"" + Hex + "\"", Hex)]
    [TestCase("[\"" + Hex + "\"],\"cid\":null", "all")]
    [TestCase("[\"x\"],\"cid\":\"" + Hex + "\"", Hex)]
    [TestCase("[\"x\"],\"cid\":7", "none")]
    public void A_cid_is_a_string_or_an_array_of_strings_and_absent_where_it_is_empty_or_null(string cid, string expected) =>
        Assert.That(ParsedBody.Json($"{{\"cid\":{cid}}}").For, Is.EqualTo(expected));

    [TestCase("false", (int)FlagField.No)]
    [TestCase("true", (int)FlagField.Yes)]
    [TestCase("0", (int)FlagField.Malformed)]
    [TestCase("null", (int)FlagField.Malformed)]
    [TestCase("\"false\"", (int)FlagField.Malformed)]
    [TestCase("[false]", (int)FlagField.Malformed)]
    public void An_echo_is_true_or_false(string echo, int expected) =>
        Assert.That((int)ParsedBody.Json($"{{\"echo\":{echo}}}").Message.Echo, Is.EqualTo(expected));

    [Test]
    public void An_array_of_more_than_100_cids_is_one_of_too_many()
    {
        string Cids(int count) => $"{{\"cid\":[{string.Join(',', Enumerable.Repeat($"\"{Hex}\"", count))}]}}";
        Assert.That(ParsedBody.Json(Cids(100)).Message.Several!.AreTooMany, Is.False);
        Assert.That(ParsedBody.Json(Cids(101)).Message.Several!.AreTooMany, Is.True);
    }

    [TestCase("")]
    [TestCase("   ")]
    [TestCase("5")]
    [TestCase("\"x\"")]
    [TestCase("null")]
    [TestCase("\uFEFF{}")]
    [TestCase("{} {}")]
    [TestCase("{},")]
    [TestCase("{\"data\":1,}")]
    [TestCase("{\"data\":[1,]}")]
    [TestCase("{\"data\":1/**/}")]
    [TestCase("{\"data\":1}//")]
    [TestCase("{'data':1}")]
    [TestCase("{data:1}")]
    [TestCase("{\"data\":01}")]
    [TestCase("{\"data\":+1}")]
    [TestCase("{\"data\":NaN}")]
    [TestCase("{\"data\":\"a\nb\"}")]
    [TestCase("{\"data\":\"\\x\"}")]
    [TestCase("{\"data\":\"\\u12\"}")]
    [TestCase("{\"data\":1")]
    [TestCase("{\"cid\":[\"3b970f792805fd3081b058a5655a534d\"")]
    [TestCase("{\"cid\":[\"3b970f792805fd3081b058a5655a534d\",]}")]
    [TestCase("{\"data\"")]
    [TestCase("[1")]
    [TestCase("{\"data\":1}\f")]
    public void What_is_not_JSON_is_refused_and_nothing_is_written(string body)
    {
        ParsedBody parsed = ParsedBody.Json(body);

        Assert.That(parsed.Ok, Is.False);
        Assert.That(parsed.Error, Does.EndWith("."));
        Assert.That(parsed.Error, Does.Not.Contain("\n"));
        Assert.That(parsed.Message, Is.EqualTo(default(Message)));
        Assert.That(parsed.Data, Is.Empty);
    }

    [Test]
    public void The_error_says_where_it_is_wrong_and_what_would_be_right()
    {
        Assert.That(ParsedBody.Json("{\n \"data\": 1,}").Error,
            Does.StartWith("The body is not valid JSON at line 2, byte 12; send one complete object"));
        Assert.That(ParsedBody.Json("5").Error, Does.Contain("must be a JSON object"));
        Assert.That(ParsedBody.Json([.. "{\"a\":\""u8, 0xFF, .. "\"}"u8]).Error, Does.Contain("UTF-8").And.Contain("byte 7"));
    }

    [TestCase("n\u0000")]
    [TestCase("{\"a\":t\r\nSet-Cookie: a=b")]
    [TestCase("{\"a\n\":1}")]
    [TestCase("{\"\\\u001b[2J\":1}")]
    [TestCase("{\"data\":t<script>")]
    public void The_error_is_one_line_of_text_that_quotes_nothing(string body)
    {
        Assert.That(ParsedBody.Json(body).Error,
            Is.Not.Null.And.None.Matches<char>(char.IsControl).And.Not.Contain("Cookie").And.Not.Contain("script"));
    }

    [TestCase(new byte[] { 0xFF })]
    [TestCase(new byte[] { 0xC3 })]
    [TestCase(new byte[] { 0xC0, 0x8A })]
    [TestCase(new byte[] { 0xED, 0xA0, 0x80 })]
    [TestCase(new byte[] { 0xF4, 0x90, 0x80, 0x80 })]
    public void Broken_UTF8_within_a_string_is_refused(byte[] broken)
    {
        Assert.That(ParsedBody.Json([.. "{\"data\":\""u8, .. broken, .. "\"}"u8]).Ok, Is.False);
        Assert.That(ParsedBody.Json([.. "{\""u8, .. broken, .. "\":1}"u8]).Ok, Is.False);
    }

    [Test]
    public void Sixty_four_levels_are_read_and_sixty_five_are_not()
    {
        string Nested(int levels) => $"{{\"data\":{new string('[', levels - 1)}{new string(']', levels - 1)}}}";

        Assert.That(ParsedBody.Json(Nested(64)).Ok, Is.True);
        Assert.That(ParsedBody.Json(Nested(65)).Ok, Is.False);
        Assert.That(ParsedBody.Json(Nested(65)).Error, Does.Contain("64"));
        Assert.That(ParsedBody.Json(new string('[', 64) + new string(']', 64)).Ok, Is.True);
        Assert.That(ParsedBody.Json(new string('[', 65) + new string(']', 65)).Ok, Is.False);
    }

    [Test]
    public void Reading_allocates_nothing()
    {
        var output = new FixedWriter(4096);
        byte[][] bodies =
        [
            Encoding.UTF8.GetBytes($"{{\"token\":\"{Hex}\",\"data\":{{\"boom\":\"boom\"}}}}"),
            Encoding.UTF8.GetBytes($"{{ \"tok\\u0065n\": \"{Hex}\", \"cid\": \"{Hex}\" , " +
                $"\"data\": [ \"a: b\u2028\", {{ \"x\" : 1 }} ] }}"),
        ];

        AllocationAssert.None(() =>
        {
            foreach (byte[] body in bodies)
            {
                output.Clear();
                if (!JsonBody.TryParse(body, output, out Message message, out _) || message.TokenField != IdField.Present)
                    throw new InvalidOperationException("The body is good.");
            }
        });
        Assert.That(Encoding.UTF8.GetString(output.WrittenSpan), Is.EqualTo(@"[""a:\u0020b\u2028"",{""x"":1}]"));
    }
}
