using System.Buffers;
using System.Text;
using System.Text.RegularExpressions;
using Moshpit.Server.Api;
using Moshpit.Server.Http;
using Moshpit.Tests.Support;
using HttpMethod = Moshpit.Server.Http.HttpMethod;

namespace Moshpit.Tests.Http;

/// <summary>One golden text for each shape of response. A line end here is CRLF on the wire.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed partial class ResponseWriterTests
{
    private readonly HttpRequest _request = new() { KeepAlive = true };

    [Test]
    public void Continue_is_a_status_line_alone() =>
        Assert.That(Encoding.ASCII.GetString(ResponseWriter.Continue), Is.EqualTo("HTTP/1.1 100 Continue\r\n\r\n"));

    [Test]
    public void Ok_to_a_kept_connection() => AssertWritten(output => TestResponses.Writer.WriteOk(output, _request), """
        HTTP/1.1 200 OK
        Content-Type: text/plain; charset=utf-8
        Content-Length: 2
        Date: now
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
        Vary: Origin

        OK
        """);

    [Test]
    public void Ok_to_a_kept_http_1_0_connection_says_so()
    {
        _request.IsHttp10 = true;
        _request.Keep(KeptField.Origin, "http://a.example"u8);
        AssertWritten(output => TestResponses.Writer.WriteOk(output, _request), """
            HTTP/1.1 200 OK
            Content-Type: text/plain; charset=utf-8
            Content-Length: 2
            Date: now
            Access-Control-Allow-Origin: http://a.example
            Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
            Vary: Origin
            Connection: keep-alive

            OK
            """);
    }

    [TestCase(false)]
    [TestCase(true)]
    public void A_kept_connection_is_told_for_how_long_whatever_is_answered(bool isHttp10)
    {
        const string Said = "\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\n";
        _request.IdleSeconds = 75;
        _request.IsHttp10 = isHttp10;
        Assert.That(Written(output => TestResponses.Writer.WriteOk(output, _request)), Does.Contain(Said));
        Assert.That(Written(output => TestResponses.Writer.WriteOptions(output, _request)), Does.Contain(Said));
        string rejected = Written(
            output => TestResponses.Writer.WriteRejection(output, _request, ApiRejections.InvalidToken, close: false));
        Assert.That(rejected, Does.Contain(Said));
    }

    [Test]
    public void A_connection_that_closes_is_not_told_for_how_long_it_is_kept()
    {
        _request.IdleSeconds = 75;
        string rejected = Written(output => TestResponses.Writer.WriteRejection(output, _request, ApiRejections.InvalidToken, close: true));
        _request.KeepAlive = false;
        string[] all =
        [
            rejected,
            Written(output => TestResponses.Writer.WriteOk(output, _request)),
            Written(output => TestResponses.Writer.WriteOptions(output, _request)),
            Written(output => TestResponses.Writer.WriteRejection(output, _request, ApiRejections.InvalidToken, close: false)),
        ];
        Assert.That(all, Has.All.Contain("\r\nConnection: close\r\n").And.All.Not.Contain("keep-alive").IgnoreCase);
    }

    [Test]
    public void Ok_to_a_connection_that_closes_says_so()
    {
        _request.KeepAlive = false;
        AssertWritten(output => TestResponses.Writer.WriteOk(output, _request), """
            HTTP/1.1 200 OK
            Content-Type: text/plain; charset=utf-8
            Content-Length: 2
            Date: now
            Access-Control-Allow-Origin: *
            Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
            Vary: Origin
            Connection: close

            OK
            """);
    }

    [Test]
    public void A_rejection_carries_its_sentence() =>
        AssertWritten(output => TestResponses.Writer.WriteRejection(output, _request, new Rejection(404, "x", "Nö."), close: false), """
        HTTP/1.1 404 Not Found
        Content-Type: text/plain; charset=utf-8
        Content-Length: 5
        Date: now
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
        Vary: Origin

        Nö.

        """);

    [Test]
    public void A_method_that_is_not_allowed_is_told_which_are() =>
        AssertWritten(output => TestResponses.Writer.WriteRejection(output, _request, new Rejection(405, "x", "No."), close: true), """
        HTTP/1.1 405 Method Not Allowed
        Content-Type: text/plain; charset=utf-8
        Content-Length: 4
        Allow: GET, HEAD, POST, OPTIONS
        Date: now
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
        Vary: Origin
        Connection: close

        No.

        """);

    [TestCase(401, "Unauthorized", "WWW-Authenticate: Moshpit")]
    [TestCase(415, "Unsupported Media Type", "Accept-Encoding: identity")]
    public void What_would_be_accepted_is_said_in_a_field_too(int status, string reason, string field) =>
        AssertWritten(output => TestResponses.Writer.WriteRejection(output, _request, new Rejection(status, "x", "No."), close: false), $"""
        HTTP/1.1 {status} {reason}
        Content-Type: text/plain; charset=utf-8
        Content-Length: 4
        {field}
        Date: now
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
        Vary: Origin

        No.

        """);

    [TestCase(429, "Too Many Requests")]
    [TestCase(503, "Service Unavailable")]
    public void A_client_that_may_come_back_is_told_when(int status, string reason) =>
        AssertWritten(output => TestResponses.Writer.WriteRejection(output, _request, new Rejection(status, "x", "No."), close: false), $"""
        HTTP/1.1 {status} {reason}
        Content-Type: text/plain; charset=utf-8
        Content-Length: 4
        Retry-After: 5
        Access-Control-Expose-Headers: Retry-After
        Date: now
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
        Vary: Origin

        No.

        """);

    [Test]
    public void A_rejected_HEAD_has_no_body()
    {
        _request.Method = HttpMethod.Head;
        AssertWritten(output => TestResponses.Writer.WriteRejection(output, _request, new Rejection(404, "x", "No."), close: false), """
            HTTP/1.1 404 Not Found
            Content-Type: text/plain; charset=utf-8
            Content-Length: 4
            Date: now
            Access-Control-Allow-Origin: *
            Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
            Vary: Origin


            """);
    }

    [TestCase(true, false, true)]
    [TestCase(false, true, true)]
    [TestCase(false, false, false)]
    public void A_rejection_closes_when_it_or_the_request_or_the_caller_wants_it(bool close, bool rejectionCloses, bool keepAlive)
    {
        _request.KeepAlive = keepAlive;
        string written = Written(
            output => TestResponses.Writer.WriteRejection(output, _request, new Rejection(400, "x", "No.", rejectionCloses), close));
        Assert.That(written, Does.Contain("\r\nConnection: close\r\n"));
    }

    [TestCase(200, "OK", false)]
    [TestCase(201, "Created", true)]
    public void A_stream_is_chunked_unless_the_client_speaks_HTTP_1_0_and_ends_with_its_connection(int status, string reason, bool isHttp10)
    {
        _request.IsHttp10 = isHttp10;
        string coding = isHttp10 ? "" : "\nTransfer-Encoding: chunked";
        AssertWritten(output => TestResponses.Writer.WriteStreamHead(output, _request, status), $"""
            HTTP/1.1 {status} {reason}
            Content-Type: text/event-stream; charset=utf-8
            Cache-Control: no-cache, no-store, no-transform
            X-Accel-Buffering: no
            X-Content-Type-Options: nosniff{coding}
            Date: now
            Access-Control-Allow-Origin: *
            Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
            Vary: Origin
            Connection: close


            """);
    }

    [Test]
    public void A_preflight_is_granted_the_headers_it_asks_for()
    {
        _request.Keep(KeptField.Origin, "http://a.example"u8);
        _request.Keep(KeptField.AccessControlRequestHeaders, "content-type"u8);
        _request.Keep(KeptField.AccessControlRequestHeaders, "x-y"u8);
        AssertWritten(output => TestResponses.Writer.WriteOptions(output, _request), """
            HTTP/1.1 204 No Content
            Allow: GET, HEAD, POST, OPTIONS
            Access-Control-Max-Age: 86400
            Access-Control-Allow-Headers: content-type, x-y
            Date: now
            Access-Control-Allow-Origin: http://a.example
            Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
            Vary: Origin


            """);
    }

    [Test]
    public void Options_without_a_preflight_grant_no_headers() =>
        AssertWritten(output => TestResponses.Writer.WriteOptions(output, _request), """
        HTTP/1.1 204 No Content
        Allow: GET, HEAD, POST, OPTIONS
        Access-Control-Max-Age: 86400
        Date: now
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS
        Vary: Origin


        """);

    private static void AssertWritten(Action<IBufferWriter<byte>> write, string golden) =>
        Assert.That(Written(write), Is.EqualTo(golden.ReplaceLineEndings("\r\n").Replace("No.\r\n", "No.\n").Replace("Nö.\r\n", "Nö.\n")));

    private static string Written(Action<IBufferWriter<byte>> write)
    {
        ArrayBufferWriter<byte> output = new();
        write(output);
        string text = Encoding.UTF8.GetString(output.WrittenSpan);
        Assert.That(text, Does.Match(Date()), "Every response has a date.");
        return Date().Replace(text, "\r\nDate: now\r\n");
    }

    [GeneratedRegex("\r\nDate: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\r\n")]
    private static partial Regex Date();
}
