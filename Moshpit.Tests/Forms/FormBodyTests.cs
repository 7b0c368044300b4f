using System.Text;
using Moshpit.Server.Buffers;
using Moshpit.Server.Forms;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Forms;

internal sealed class FormBodyTests
{
    private const string Hex = "3b970f792805fd3081b058a5655a534d";

    private static readonly HexId Id = Ids.Hex(Hex);

    [TestCase("data=hello", "\"hello\"")]
    [TestCase("data=", "\"\"")]
    [TestCase("data", "\"\"")]
    [TestCase("data[a]", "{\"a\":\"\"}")]
    [TestCase("data[a][b]=c", "{\"a\":{\"b\":\"c\"}}")]
    [TestCase("data[a][b]=c&data[a][d]=e&data[f]=g", "{\"a\":{\"b\":\"c\",\"d\":\"e\"},\"f\":\"g\"}")]
    [TestCase("data[]=1", "[\"1\"]")]
    [TestCase("data[]=1&data[]=2&data[]=3", "[\"1\",\"2\",\"3\"]")]
    [TestCase("data[1]=b&data[0]=a", "[\"a\",\"b\"]")]
    [TestCase("data[0][a]=1&data[0][b]=2&data[1][a]=3", "[{\"a\":\"1\",\"b\":\"2\"},{\"a\":\"3\"}]")]
    [TestCase("[data][a]=1", "{\"a\":\"1\"}")]
    [TestCase("data=a=b", "\"a=b\"")]
    [TestCase("data[a=b]=c", "{\"a=b\":\"c\"}")]
    [TestCase("data[n]=007&data[t]=true", "{\"n\":\"007\",\"t\":\"true\"}")]
    public void Brackets_nest(string body, string delivered) => Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data=a&data=b", "[\"a\",\"b\"]")]
    [TestCase("data[k]=a&x=1&data[k]=&data[k]=c", "{\"k\":[\"a\",\"\",\"c\"]}")]
    [TestCase("data%5Bk]=a&data[k%5D=b", "{\"k\":[\"a\",\"b\"]}")]
    [TestCase("data[0]=a&data[0]=b", "[[\"a\",\"b\"]]")]
    [TestCase("data=a&data", "\"\"")]
    [TestCase("data&data=a", "[\"\",\"a\"]")]
    public void A_repeated_key_makes_an_array(string body, string delivered) =>
        Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data[20]=x", "[\"x\"]")]
    [TestCase("data[21]=x", "{\"21\":\"x\"}")]
    [TestCase("data[01]=x", "{\"01\":\"x\"}")]
    [TestCase("data[-1]=x", "{\"-1\":\"x\"}")]
    [TestCase("data[1e1]=x", "{\"1e1\":\"x\"}")]
    [TestCase("data[+1]=x", "{\" 1\":\"x\"}")]
    [TestCase("data[999999999]=x", "{\"999999999\":\"x\"}")]
    [TestCase("data[4294967296]=x", "{\"4294967296\":\"x\"}")]
    [TestCase("data[99999999999999999999]=x", "{\"99999999999999999999\":\"x\"}")]
    public void Only_small_whole_numbers_are_indices(string body, string delivered) =>
        Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data[5]=b&data[2]=a&data[20]=c", "[\"a\",\"b\",\"c\"]")]
    [TestCase("data[k][7]=x&data[k][3]=y", "{\"k\":[\"y\",\"x\"]}")]
    public void Sparse_arrays_close_up(string body, string delivered) => Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data[1][1]=x", "[[null,\"x\"]]")]
    [TestCase("data[0][3]=x&data[0][1]=y", "[[null,\"y\",null,\"x\"]]")]
    [TestCase("data[k][7][2]=x&data[k][3]=y", "{\"k\":[\"y\",[null,null,\"x\"]]}")]
    [TestCase("data[0][b][1]=x", "[{\"b\":[null,\"x\"]}]")]
    [TestCase("data[2][b][c][1][d]=x", "[{\"b\":{\"c\":[null,{\"d\":\"x\"}]}}]")]
    [TestCase("data[0][][2]=x", "[[null,null,\"x\"]]")]
    [TestCase("data[0][1]=x&data[0][1]=y", "[[null,[\"x\",\"y\"]]]")]
    [TestCase("data[0][a]=x&data[0][a][1]=y", "[{\"a\":[\"x\",null,\"y\"]}]")]
    [TestCase("data[0][2]=x&data[0]=y", "[[null,null,\"x\",\"y\"]]")]
    [TestCase("data[0][2]=x&data[0][a]=y", "[{\"2\":\"x\",\"a\":\"y\"}]")]
    public void Sparse_arrays_within_an_array_keep_their_holes(string body, string delivered) =>
        Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data[a][b][c][d][e]=x", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":\"x\"}}}}}")]
    [TestCase("data[a][b][c][d][e][f]=x", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"[f]\":\"x\"}}}}}}")]
    [TestCase("data[a][b][c][d][e][f][]=x", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"[f][]\":\"x\"}}}}}}")]
    [TestCase("data[0][0][0][0][0][0]=x", "[[[[[{\"[0]\":\"x\"}]]]]]")]
    public void The_sixth_bracket_and_the_rest_are_one_name(string body, string delivered) =>
        Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data[a]=1&data[]=2", "{\"a\":\"1\",\"0\":\"2\"}")]
    [TestCase("data[]=1&data[a]=2", "{\"0\":\"1\",\"a\":\"2\"}")]
    [TestCase("data[2]=1&data[a]=2&data[2][b]=3", "{\"2\":[\"1\",{\"b\":\"3\"}],\"a\":\"2\"}")]
    [TestCase("data=1&data[]=2", "[\"1\",\"2\"]")]
    [TestCase("data=1&data[3]=2&data[0]=3", "[\"1\",\"2\"]")]
    [TestCase("data[0]=2&data=1", "[\"2\",\"1\"]")]
    [TestCase("data=1&data[a]=2", "[\"1\",{\"a\":\"2\"}]")]
    [TestCase("data=&data[a]=2", "{\"a\":\"2\"}")]
    [TestCase("data[a]=2&data=", "{\"a\":\"2\"}")]
    [TestCase("data[a]=2&data=b", "{\"a\":\"2\",\"b\":true}")]
    [TestCase("data[a][x]=2&data=a&data[a][x]z=3", "{\"a\":[true,{\"x\":\"3\"}]}")]
    [TestCase("data[a][5]=2&data=a&data[a][0]y=3&data[a][5]z=4", "{\"a\":[true,\"3\",\"4\"]}")]
    [TestCase("data[]=1&data[0]=2", "[\"1\"]")]
    [TestCase("data[][]=1", "[\"1\"]")]
    [TestCase("data[][2]=1", "[\"1\"]")]
    [TestCase("data[][a]=1&data[][b]=2", "[{\"a\":\"1\",\"b\":\"2\"}]")]
    public void Mixed_keys_meet_as_they_always_did(string body, string delivered) =>
        Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data[a=1", "\"1\"")]
    [TestCase("data]=1", "\"1\"")]
    [TestCase("data[a]b[c]d=1", "{\"a\":{\"c\":\"1\"}}")]
    [TestCase("data[[a]]=1", "{\"a\":\"1\"}")]
    [TestCase("data[x[a]=1", "{\"a\":\"1\"}")]
    public void Stray_brackets_and_what_stands_between_brackets_are_dropped(string body, string delivered) =>
        Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data[a+b]=c+d", "{\"a b\":\"c d\"}")]
    [TestCase("data%5ba%5D=%c3%A9%20%26%3D%2B", "{\"a\":\"é &=+\"}")]
    [TestCase("data=%F0%9F%A4%98é", "\"🤘é\"")]
    [TestCase("data=a+%zz", "\"a+%zz\"")]
    [TestCase("data=a+%2", "\"a+%2\"")]
    [TestCase("data=%", "\"%\"")]
    [TestCase("data=%20%C3", "\"%20%C3\"")]
    [TestCase("data=%C3a%A9", "\"%C3a%A9\"")]
    [TestCase("data=%ED%A0%80", "\"%ED%A0%80\"")]
    [TestCase("data=%C0%80", "\"%C0%80\"")]
    [TestCase("data[%zz+]=%41", "{\"%zz+\":\"A\"}")]
    public void A_component_is_decoded_or_stays_as_it_was_sent(string body, string delivered) =>
        Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data=%22%5C", "\"\\\"\\\\\"")]
    [TestCase("data=%08%09%0A%0C%0D%00%1f%7F", "\"\\b\\t\\n\\f\\r\\u0000\\u001f\u007F\"")]
    [TestCase("data[%0A]=1", "{\"\\n\":\"1\"}")]
    [TestCase("data=a\r\n\r\ndata: x", "\"a\\r\\n\\r\\ndata:\\u0020x\"")]
    [TestCase("data[a:+b]=c:+d:e:", "{\"a:\\u0020b\":\"c:\\u0020d:e:\"}")]
    [TestCase("data=/<>'", "\"/<>'\"")]
    [TestCase("data=\u000b\u000c\u001c\u001d\u001e", "\"\\u000b\\f\\u001c\\u001d\\u001e\"")]
    [TestCase("data=a%E2%80%A8b\u2029%c2%85", "\"a\\u2028b\\u2029\\u0085\"")]
    [TestCase("data[%e2%80%a8\u0085]=\u2029:+", "{\"\\u2028\\u0085\":\"\\u2029:\\u0020\"}")]
    [TestCase("data=\u0084\u0086\u00a0\u2027\u202a\u2014", "\"\u0084\u0086\u00a0\u2027\u202a\u2014\"")]
    public void A_string_is_escaped_no_more_than_it_must(string body, string delivered) =>
        Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [TestCase("data[toString]=x", "{\"toString\":\"x\"}")]
    [TestCase("data[__proto__][x]=y&data[hasOwnProperty]=z", "{\"__proto__\":{\"x\":\"y\"},\"hasOwnProperty\":\"z\"}")]
    [TestCase("data[]=x&data[length]=9", "{\"0\":\"x\",\"length\":\"9\"}")]
    public void Names_with_a_meaning_in_JavaScript_are_plain_names(string body, string delivered) =>
        Assert.That(ParsedBody.FormData(body), Is.EqualTo(delivered));

    [Test]
    public void Bytes_that_are_not_UTF8_become_replacement_characters()
    {
        byte[] body = [.. "data="u8, 0xFF, (byte)'a', 0xE2, 0x82, (byte)'b', 0xC3, .. "%A9"u8];

        Assert.That(ParsedBody.Form(body).Data, Is.EqualTo("\"\uFFFDa\uFFFDb\uFFFD%A9\""));
    }

    [Test]
    public void The_thousand_and_first_parameter_is_ignored()
    {
        string empty = new('&', 998);
        Assert.That(ParsedBody.Form($"a{empty}&data=1").Data, Is.EqualTo("\"1\""));
        Assert.That(ParsedBody.Form($"a{empty}&&data=1").Message.HasData, Is.False);
    }

    [Test]
    public void An_empty_form_has_no_fields()
    {
        foreach (string body in new[] { "", "&", "=", "=data", "x=1", "[]=data", "&&&=&", "Data=1", "dat=1&a=2" })
        {
            ParsedBody parsed = ParsedBody.Form(body);
            Assert.That(parsed.Ok, Is.True, body);
            Assert.That(parsed.Message, Is.EqualTo(default(Message)), body);
            Assert.That(parsed.Data, Is.Empty, body);
        }
    }

    [TestCase("token=" + Hex, (int)IdField.Present)]
    [TestCase("tok%65n=%33b970f792805fd3081b058a5655a534d", (int)IdField.Present)]
    [TestCase("x=1", (int)IdField.Absent)]
    [TestCase("token=", (int)IdField.Malformed)]
    [TestCase("token=nope", (int)IdField.Malformed)]
    [TestCase("token[]=" + Hex, (int)IdField.Malformed)]
    [TestCase("token[a]=" + Hex, (int)IdField.Malformed)]
    [TestCase("token=" + Hex + "&token=" + Hex, (int)IdField.Malformed)]
    [TestCase("[x=token", (int)IdField.Malformed)]
    public void A_token_is_one_string(string body, int expected)
    {
        Message message = ParsedBody.Form(body).Message;
        Assert.That((int)message.TokenField, Is.EqualTo(expected));
        Assert.That(message.Token.Value, Is.EqualTo(message.TokenField == IdField.Present ? Id : default));
    }

    [TestCase("cid=" + Hex, Hex)]
    [TestCase("cid=", "all")]
    [TestCase("cid", "all")]
    [TestCase("x=1", "all")]
    [TestCase("cid=__proto__", "none")]
    [TestCase("cid[]=" + Hex, "[" + Hex + "]")]
    [TestCase("cid[7]=" + Hex, "[" + Hex + "]")]
    [TestCase("cid[]=", "[\"\"]")]
    [TestCase("cid[]=no%22pe", "[\"no\\\"pe\"]")]
    [TestCase("cid[]=" + Hex + "&cid[]=" + Hex, "[" + Hex + "]")]
    [TestCase("cid=" + Hex + "&cid=x&cid=x", "[" + Hex + ",\"x\"]")]
    [TestCase("cid[0][0]=" + Hex, "none")]
    [TestCase("cid[a]=" + Hex, "none")]
    [TestCase("cid[a]=", "none")]
    public void A_cid_is_a_string_or_an_array_of_strings_and_absent_where_it_is_an_empty_string(string body, string expected) =>
        Assert.That(ParsedBody.Form(body).For, Is.EqualTo(expected));

    [TestCase("echo=false", (int)FlagField.No)]
    [TestCase("echo=0", (int)FlagField.No)]
    [TestCase("echo=true", (int)FlagField.Yes)]
    [TestCase("echo=1", (int)FlagField.Yes)]
    [TestCase("echo=", (int)FlagField.Malformed)]
    [TestCase("echo=no", (int)FlagField.Malformed)]
    [TestCase("echo[]=0", (int)FlagField.Malformed)]
    [TestCase("x=1", (int)FlagField.Absent)]
    public void An_echo_is_true_or_false(string body, int expected) =>
        Assert.That((int)ParsedBody.Form(body).Message.Echo, Is.EqualTo(expected));

    [TestCase("data%5Bhello%5D=me&token=" + Hex)]
    [TestCase("data[a][b][c]=x&data[l][]=1&data[l][]=2&data[a][d]=e+f&cid=" + Hex + "&token=" + Hex)]
    public void Reading_allocates_nothing(string form)
    {
        byte[] body = Encoding.UTF8.GetBytes(form);
        byte[] many = Encoding.UTF8.GetBytes(form + string.Concat(Enumerable.Range(0, 100).Select(i => $"&data[n{i}]={i}")));
        byte[] longer = Encoding.UTF8.GetBytes(form + "&data[long]=" + new string('x', 9000));
        var output = new FixedWriter(16384);

        AllocationAssert.None(() => Read(body, output));
        AllocationAssert.None(() => Read(many, output));
        AllocationAssert.None(() => Read(longer, output));
    }

    private static void Read(byte[] body, FixedWriter output)
    {
        output.Clear();
        FormBody.Parse(body, output, out Message message);
        if (message.TokenField != IdField.Present || !message.HasData)
            throw new InvalidOperationException("The body is good.");
    }
}
