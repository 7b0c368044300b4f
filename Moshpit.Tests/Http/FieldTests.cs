using Moshpit.Server.Http;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Http;

internal sealed class FieldTests
{
    [TestCase(" X: y", "line-folding")]
    [TestCase("\tX: y", "line-folding")]
    [TestCase("X: y\r\n z", "line-folding")]
    [TestCase("X: y\r\n ", "line-folding")]
    [TestCase("X", "missing-colon")]
    [TestCase("Transfer-\r\nEncoding: chunked", "missing-colon")]
    [TestCase("X : y", "blank-before-colon")]
    [TestCase("X\t: y", "blank-before-colon")]
    [TestCase(": y", "malformed-field-name")]
    [TestCase(":", "malformed-field-name")]
    [TestCase("X y: z", "malformed-field-name")]
    [TestCase("X(: z", "malformed-field-name")]
    [TestCase("X\u00eb: z", "malformed-field-name")]
    [TestCase("X: a\u0000b", "control-character")]
    [TestCase("X: a\u001bb", "control-character")]
    [TestCase("X: a\u007fb", "control-character")]
    public void A_malformed_field_line_ends_the_connection(string line, string refusal)
    {
        ParsedHead head = ParsedHead.OfFields(line + "\r\n");
        Assert.That((head.Refusal, head.Rejection?.Status, head.Rejection?.Close), Is.EqualTo((refusal, 400, true)));
    }

    [TestCase("!#$%&'*+-.^_`|~0aZ: 1")]
    [TestCase("X:")]
    [TestCase("X: \t ")]
    [TestCase("X: a\tb: \"c")]
    [TestCase("X: \u0085\u00a0\u00ff")]
    [TestCase("Content_Length: 99")]
    public void Any_token_is_a_name_and_any_text_a_value(string line) =>
        Assert.That(ParsedHead.OfFields(line + "\r\n").Outcome, Is.EqualTo(ParseOutcome.Done));

    [Test]
    public void Names_are_case_insensitive_and_blanks_around_values_are_dropped()
    {
        ParsedHead head = ParsedHead.Of("POST / HTTP/1.1\r\nhOST:\ta \r\ncontent-LENGTH: \t5\t \r\norigin:x\r\n\r\nhello");
        Assert.That((head.ContentLength, head.Origin, head.Rest), Is.EqualTo((5, "x", "hello")));
    }

    [TestCase("HTTP/1.1", "", "missing-host")]
    [TestCase("HTTP/1.1", "Host: a\r\nHost: a\r\n", "repeated-host")]
    [TestCase("HTTP/1.1", "Host: a b\r\n", "malformed-host")]
    [TestCase("HTTP/1.0", "Host: a b\r\n", "malformed-host")]
    [TestCase("HTTP/1.0", "Host: a\r\nHost: b\r\n", "repeated-host")]
    [TestCase("HTTP/1.0", "", null)]
    [TestCase("HTTP/1.1", "Host:\r\n", null)]
    public void Host_is_required_of_1_1_and_checked_in_both(string version, string fields, string? refusal) =>
        Assert.That(ParsedHead.Of($"GET / {version}\r\n{fields}\r\n").Refusal, Is.EqualTo(refusal));

    [TestCase("localhost:5000")]
    [TestCase("//tmp/x.sock", Description = "The original JavaScript client, over a Unix socket.")]
    [TestCase("/tmp/x.sock")]
    [TestCase("::1:5000")]
    [TestCase("[fe80::1%lo]:5000")]
    [TestCase("[::1")]
    [TestCase("u@a:b:c")]
    [TestCase("a-._~!$&'()*+,;=%zz")]
    public void Host_may_hold_what_can_stand_in_an_authority_or_a_path(string value) =>
        Assert.That(ParsedHead.Of($"GET / HTTP/1.1\r\nHost: {value}\r\n\r\n").Outcome, Is.EqualTo(ParseOutcome.Done));

    [TestCase("a b")]
    [TestCase("a\tb")]
    [TestCase("a?b")]
    [TestCase("a#b")]
    [TestCase("\"a\"")]
    [TestCase("a\\b")]
    [TestCase("<a>")]
    [TestCase("a^b")]
    [TestCase("a`b")]
    [TestCase("{a}")]
    [TestCase("a|b")]
    [TestCase("a\u00e9")]
    public void Host_may_hold_no_other_character(string value) =>
        Assert.That(ParsedHead.Of($"GET / HTTP/1.1\r\nHost: {value}\r\n\r\n").Refusal, Is.EqualTo("malformed-host"));

    [TestCase("HTTP/1.1", "", true)]
    [TestCase("HTTP/1.1", "Connection: close\r\n", false)]
    [TestCase("HTTP/1.1", "connection: CLOSE\r\n", false)]
    [TestCase("HTTP/1.1", "Connection: a,, keep-alive ,\tclose\r\n", false)]
    [TestCase("HTTP/1.1", "Connection: close\r\nConnection: keep-alive\r\n", false)]
    [TestCase("HTTP/1.1", "Connection: closed\r\n", true)]
    [TestCase("HTTP/1.0", "", false)]
    [TestCase("HTTP/1.0", "Connection: Keep-Alive\r\n", true)]
    [TestCase("HTTP/1.0", "Connection: keep-alive, close\r\n", false)]
    public void Close_wins_over_keep_alive_and_the_version_decides_between_none(string version, string fields, bool keepAlive) =>
        Assert.That(ParsedHead.OfFields(fields, version).KeepAlive, Is.EqualTo(keepAlive));

    [TestCase("HTTP/1.1", "Expect: 100-Continue\r\nContent-Length: 1\r\n", true)]
    [TestCase("HTTP/1.1", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", true)]
    [TestCase("HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n", false)]
    [TestCase("HTTP/1.1", "Expect: 100-continue\r\n", false)]
    [TestCase("HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n", false)]
    public void A_client_waits_for_100_only_with_a_body_and_in_1_1(string version, string fields, bool expects) =>
        Assert.That(ParsedHead.OfFields(fields, version).ExpectsContinue, Is.EqualTo(expects));

    [TestCase("x 100-continue")]
    [TestCase("100-continue, x")]
    [TestCase("200-ok")]
    public void Any_other_expectation_fails(string value)
    {
        ParsedHead head = ParsedHead.OfFields($"Expect: {value}\r\n");
        Assert.That((head.Rejection?.Status, head.Rejection?.Close), Is.EqualTo((417, true)));
    }

    [TestCase("application/json", ContentType.Json)]
    [TestCase("Application/JSON ; charset=\"a,b\"", ContentType.Json)]
    [TestCase("application/json-patch+json", ContentType.Json)]
    [TestCase("application/vnd.api+json", ContentType.Json)]
    [TestCase("application/csp-report", ContentType.Json)]
    [TestCase("application/ld+json", ContentType.Json)]
    [TestCase("application/x-www-form-urlencoded; charset=utf-8", ContentType.Form)]
    [TestCase("application/jsonx", ContentType.Other)]
    [TestCase("text/plain", ContentType.Other)]
    [TestCase("application/json, text/plain", ContentType.Other)]
    [TestCase("", ContentType.None)]
    public void A_content_type_is_its_type_without_parameters(string value, ContentType expected) =>
        Assert.That(ParsedHead.OfFields($"Content-Type: {value}\r\n").ContentType, Is.EqualTo(expected));

    [TestCase("Content-Type: application/json\r\nContent-Type: application/json\r\n", "repeated-content-type")]
    [TestCase("Content-Type:\r\nContent-Type: application/json\r\n", "repeated-content-type")]
    [TestCase("Origin: a\r\nOrigin: b\r\n", "repeated-origin")]
    public void Fields_that_have_one_value_may_not_be_repeated(string fields, string refusal) =>
        Assert.That(ParsedHead.OfFields(fields).Refusal, Is.EqualTo(refusal));

    [TestCase("Content-Encoding: gzip\r\n", true)]
    [TestCase("Content-Encoding: identity, br\r\n", true)]
    [TestCase("Content-Encoding: gzip\r\nContent-Encoding: identity\r\n", true)]
    [TestCase("Content-Encoding: Identity\r\n", false)]
    [TestCase("Content-Encoding:\r\n", false)]
    [TestCase("", false)]
    public void Any_content_encoding_but_identity_is_noticed(string fields, bool expected) =>
        Assert.That(ParsedHead.OfFields(fields).HasContentEncoding, Is.EqualTo(expected));

    [Test]
    public void Requested_headers_of_several_lines_are_joined()
    {
        string many = string.Join(", ", Enumerable.Range(0, 40).Select(i => $"x-{i}"));
        ParsedHead head = ParsedHead.OfFields(
            $"Access-Control-Request-Headers: content-type\r\nOrigin: http://a.example\r\naccess-control-request-headers: {many}\r\n");
        Assert.That((head.RequestedHeaders, head.Origin), Is.EqualTo(($"content-type, {many}", "http://a.example")));
    }

    [Test]
    public void A_reset_request_holds_nothing_of_the_one_before()
    {
        const string Full = "POST /0123456789abcdef0123456789abcdef HTTP/1.0\r\nOrigin: a\r\nAccess-Control-Request-Headers: b\r\n"
            + "Content-Type: text/plain\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n"
            + "Connection: keep-alive\r\nExpect: 100-continue\r\n"
            + "Accept: text/event-stream\r\nHost: a\r\n\r\n";
        RequestParser parser = new(new RequestLimits());
        HttpRequest request = new();
        Parse(Full);
        request.ExpectsContinue = true;
        parser.Reset();
        request.Reset();
        HttpRequest fresh = new();
        Assert.Multiple(() =>
        {
            foreach (System.Reflection.PropertyInfo property in typeof(HttpRequest).GetProperties().Where(p => !p.PropertyType.IsByRefLike))
                Assert.That(property.GetValue(request), Is.EqualTo(property.GetValue(fresh)), property.Name);
            Assert.That(request.Path.Length + request.Query.Length + Enum.GetValues<KeptField>().Sum(field => request[field].Length),
                Is.Zero);
            Assert.That((parser.HasStarted, parser.Rejection), Is.EqualTo((false, (Rejection?)null)));
        });
        Assert.That(Parse(Full), Is.EqualTo(ParseOutcome.Done), "Nothing was left that would make it a repetition.");

        ParseOutcome Parse(string raw)
        {
            System.Buffers.SequenceReader<byte> reader = new(new(System.Text.Encoding.Latin1.GetBytes(raw)));
            return parser.Parse(ref reader, request);
        }
    }
}
