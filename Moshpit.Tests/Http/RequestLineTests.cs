using Moshpit.Server.Http;
using Moshpit.Tests.Support;
using HttpMethod = Moshpit.Server.Http.HttpMethod;

namespace Moshpit.Tests.Http;

internal sealed class RequestLineTests
{
    [Test]
    public void A_plain_request_is_read()
    {
        ParsedHead head = ParsedHead.Of("GET / HTTP/1.1\r\nHost: localhost\r\n\r\nbody");
        Assert.Multiple(() =>
        {
            Assert.That(head.Outcome, Is.EqualTo(ParseOutcome.Done));
            Assert.That(head.Method, Is.EqualTo(HttpMethod.Get));
            Assert.That(head.Path, Is.EqualTo("/"));
            Assert.That(head.IsHttp10, Is.False);
            Assert.That(head.Rest, Is.EqualTo("body"));
            Assert.That(head.HasStarted, Is.True);
        });
    }

    [Test]
    public void Every_beginning_of_a_request_needs_more()
    {
        const string Whole = "\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
        for (int length = 1; length < Whole.Length; length++)
        {
            ParsedHead head = ParsedHead.Of(Whole[..length]);
            Assert.That(head.Outcome, Is.EqualTo(ParseOutcome.NeedMore), Whole[..length]);
            Assert.That(head.HasStarted, Is.EqualTo(length > 4), "Empty lines ahead of it are no request yet.");
        }
    }

    [TestCase(1)]
    [TestCase(8)]
    public void Empty_lines_before_a_request_are_ignored(int count)
    {
        ParsedHead head = ParsedHead.Of($"{string.Concat(Enumerable.Repeat("\r\n", count))}GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n");
        Assert.That((head.Outcome, head.Path, head.Rest), Is.EqualTo((ParseOutcome.Done, "/", "\r\n")));
    }

    [Test]
    public void A_ninth_empty_line_is_a_malformed_request_line()
    {
        ParsedHead head = ParsedHead.Of($"{string.Concat(Enumerable.Repeat("\r\n", 9))}GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.That((head.Refusal, head.Rejection?.Close), Is.EqualTo(("malformed-request-line", true)));
    }

    [TestCase("GET", HttpMethod.Get)]
    [TestCase("HEAD", HttpMethod.Head)]
    [TestCase("POST", HttpMethod.Post)]
    [TestCase("OPTIONS", HttpMethod.Options)]
    [TestCase("PUT", HttpMethod.Other)]
    [TestCase("get", HttpMethod.Other)]
    [TestCase("!#$%&'*+-.^_`|~09", HttpMethod.Other)]
    public void Every_token_is_a_method_and_case_counts(string method, HttpMethod expected)
    {
        ParsedHead head = ParsedHead.Of($"{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.That((head.Outcome, head.Method), Is.EqualTo((ParseOutcome.Done, expected)));
    }

    [TestCase("GET\" / HTTP/1.1", "malformed-method")]
    [TestCase("G\tET / HTTP/1.1", "malformed-method")]
    [TestCase("G\u00c9T / HTTP/1.1", "malformed-method")]
    [TestCase("/ HTTP/1.1", "malformed-method")]
    [TestCase(" GET / HTTP/1.1", "malformed-request-line")]
    [TestCase("GET", "malformed-request-line")]
    [TestCase("GET ", "malformed-request-line")]
    [TestCase("GET /", "malformed-request-line")]
    [TestCase("GET  / HTTP/1.1", "malformed-request-line")]
    [TestCase("GET HTTP/1.1", "malformed-request-line")]
    [TestCase("GET\t/\tHTTP/1.1", "malformed-request-line")]
    [TestCase("GET / ", "malformed-version")]
    [TestCase("GET /  HTTP/1.1", "malformed-request-line")]
    [TestCase("GET / HTTP/1.1 ", "malformed-request-line")]
    [TestCase("GET /a b HTTP/1.1", "malformed-request-line")]
    [TestCase("GET / http/1.1", "malformed-version")]
    [TestCase("GET / HTTP/1", "malformed-version")]
    [TestCase("GET / HTTP/1.10", "malformed-version")]
    [TestCase("GET / HTTP/1,1", "malformed-version")]
    [TestCase("GET / HTTP/1.x", "malformed-version")]
    [TestCase("GET / HTTP/x.1", "malformed-version")]
    [TestCase("GET / HTTP/+1.1", "malformed-version")]
    [TestCase("GET / ICE/1.0", "malformed-version")]
    [TestCase("GET / HTTP/0.9", "unsupported-version")]
    [TestCase("GET / HTTP/2.0", "unsupported-version")]
    [TestCase("PRI * HTTP/2.0", "unsupported-version")]
    [TestCase("GET /\0 HTTP/1.1", "control-character")]
    [TestCase("GET /\u007f HTTP/1.1", "control-character")]
    public void A_bad_request_line_ends_the_connection(string line, string refusal)
    {
        ParsedHead head = ParsedHead.Of($"\r\n{line}\r\nHost: a\r\n\r\n");
        Assert.That(head.Refusal, Is.EqualTo(refusal));
        Assert.That(head.Rejection!.Status, Is.EqualTo(refusal == "unsupported-version" ? 505 : 400));
        Assert.That(head.Rejection.Close, Is.True);
    }

    [TestCase("HTTP/1.0", true)]
    [TestCase("HTTP/1.1", false)]
    [TestCase("HTTP/1.2", false)]
    [TestCase("HTTP/1.9", false)]
    public void A_higher_minor_version_is_spoken_to_as_1_1(string version, bool isHttp10) =>
        Assert.That(ParsedHead.OfFields("", version).IsHttp10, Is.EqualTo(isHttp10));

    [TestCase("\nGET / HTTP/1.1\r\n", "bare-line-feed")]
    [TestCase("GET / HTTP/1.1\n", "bare-line-feed")]
    [TestCase("GET / HTTP/1.1\r\nHost: a\n", "bare-line-feed")]
    [TestCase("GET / HTTP/1.1\r\nHost: a\r\n\n", "bare-line-feed")]
    [TestCase("GET / HTTP/1.1\r\nHost:\n", "bare-line-feed")]
    [TestCase("\rG", "bare-carriage-return")]
    [TestCase("\r\r", "bare-carriage-return")]
    [TestCase("GET /\rx", "bare-carriage-return")]
    [TestCase("GET / HTTP/1.1\r\r", "bare-carriage-return")]
    [TestCase("GET / HTTP/1.1\r\nHost: a\rb", "bare-carriage-return")]
    [TestCase("GET / HTTP/1.1\r\nHost: a\r\n\rb", "bare-carriage-return")]
    [TestCase("GET / HTTP/1.1\r\nHost\u0001", "control-character")]
    [TestCase("\u0016\u0003\u0001", "control-character", Description = "TLS")]
    public void A_bare_line_feed_or_carriage_return_or_control_is_refused_as_soon_as_it_is_seen(string raw, string refusal)
    {
        ParsedHead head = ParsedHead.Of(raw);
        Assert.That((head.Refusal, head.Rejection?.Status, head.Rejection?.Close), Is.EqualTo((refusal, 400, true)));
    }

    [TestCase("/", "/", "")]
    [TestCase("/?", "/", "")]
    [TestCase("/?a=b/c?d", "/", "a=b/c?d")]
    [TestCase("http://localhost/", "/", "")]
    [TestCase("http://localhost", "/", "")]
    [TestCase("HTTPS://localhost:1?a/b", "/", "a/b")]
    [TestCase("http://[::1]:8080/", "/", "")]
    [TestCase("/a1", "/a1", "")]
    [TestCase("//a1", "//a1", "")]
    [TestCase("/a1?b", "/a1", "b")]
    [TestCase("http://localhost///a1?b", "///a1", "b")]
    [TestCase("//", "//", "")]
    [TestCase("/a1/", "/a1/", "")]
    [TestCase("/A1", "/A1", "")]
    [TestCase("/%61", "/%61", "")]
    [TestCase("/./a", "/./a", "")]
    [TestCase("/a/../b", "/a/../b", "")]
    [TestCase("/*", "/*", "")]
    public void A_target_is_what_it_literally_says(string target, string path, string query)
    {
        ParsedHead head = ParsedHead.Of($"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.That((head.Outcome, head.Path, head.Query), Is.EqualTo((ParseOutcome.Done, path, query)));
    }

    [TestCase("GET", "a")]
    [TestCase("GET", "*")]
    [TestCase("OPTIONS", "**")]
    [TestCase("GET", "?a")]
    [TestCase("GET", "../a")]
    [TestCase("GET", "%2F")]
    [TestCase("GET", "a.example:80")]
    [TestCase("GET", "http:///")]
    [TestCase("GET", "http://:80/a")]
    [TestCase("GET", "http://?a")]
    [TestCase("GET", "http://u@localhost/")]
    [TestCase("GET", "http://u:p@localhost/")]
    [TestCase("GET", "http://localhost:x/")]
    [TestCase("GET", "http:/localhost/")]
    [TestCase("GET", "ftp://localhost/")]
    [TestCase("GET", "/#a")]
    [TestCase("GET", "/\u00a0")]
    [TestCase("GET", "/\ta")]
    [TestCase("CONNECT", "/")]
    [TestCase("CONNECT", "http://a/")]
    [TestCase("CONNECT", "a.example")]
    [TestCase("CONNECT", "a.example:")]
    [TestCase("CONNECT", "[::1]")]
    [TestCase("CONNECT", ":443")]
    public void A_target_in_no_form_that_its_method_allows_is_refused(string method, string target) =>
        Assert.That(ParsedHead.Of($"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n").Refusal, Is.EqualTo("malformed-target"));

    [TestCase("a.example:443")]
    [TestCase("[::1]:443")]
    public void Connect_is_well_formed_with_a_host_and_port_only(string target)
    {
        ParsedHead head = ParsedHead.Of($"CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.That((head.Outcome, head.Method, head.Path), Is.EqualTo((ParseOutcome.Done, HttpMethod.Other, "")));
    }

    [Test]
    public void Options_may_ask_for_the_whole_server() =>
        Assert.That(ParsedHead.Of("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").Path, Is.EqualTo("*"));
}
