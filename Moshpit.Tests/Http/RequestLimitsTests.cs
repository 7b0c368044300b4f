using System.Buffers;
using System.Text;
using Moshpit.Server.Http;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Http;

internal sealed class RequestLimitsTests
{
    private static readonly RequestLimits Small = new(20, 30, 3);

    [Test]
    public void The_limits_are_those_that_are_documented()
    {
        RequestLimits limits = new();
        Assert.That((limits.MaxRequestLine, limits.MaxHeaderSection, limits.MaxHeaderFields), Is.EqualTo((8192, 16384, 100)));
    }

    [Test]
    public void A_request_line_may_be_as_long_as_its_limit() =>
        Assert.That(ParsedHead.Of($"GET /{new string('a', 6)} HTTP/1.1\r\nHost:\r\n\r\n", Small).Outcome, Is.EqualTo(ParseOutcome.Done));

    [TestCase("GET /aaaaaaa HTTP/1.1\r\nHost:\r\n\r\n")]
    [TestCase("GET /aaaaaaa HTTP/1.1", Description = "The limit is passed; its end is not waited for.")]
    [TestCase("GET /aaaaaaaaaaaaaaaa")]
    [TestCase("GET /aaaaaaaaaaaaaaaaa\n")]
    public void A_longer_target_is_refused_with_414_as_soon_as_it_is_seen(string raw)
    {
        ParsedHead head = ParsedHead.Of(raw, Small);
        Assert.That((head.Refusal, head.Rejection?.Status), Is.EqualTo(("target-too-long", 414)));
    }

    [TestCase("GGGGGGGGGGGGGGGGGGGGG")]
    [TestCase("GGGGGGGGGGGGGGGGGGGGG / HTTP/1.1\r\n")]
    public void A_line_that_is_all_method_is_malformed(string raw) =>
        Assert.That(ParsedHead.Of(raw, Small).Refusal, Is.EqualTo("malformed-request-line"));

    [Test]
    public void An_8_KiB_request_line_is_read_by_default()
    {
        string path = new('a', 8192 - "GET / HTTP/1.1".Length);
        Assert.That(ParsedHead.Of($"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n").Outcome, Is.EqualTo(ParseOutcome.Done));
        Assert.That(ParsedHead.Of($"GET /{path}a HTTP/1.1\r\nHost: a\r\n\r\n").Rejection?.Status, Is.EqualTo(414));
    }

    [TestCase("Host: 789\r\nX: 4567\r\nX: 56789", ParseOutcome.NeedMore)]
    [TestCase("Host: 789\r\nX: 4567\r\nX: 56789\r\n\r\n", ParseOutcome.Done)]
    [TestCase("Host: 789\r\nX: 4567\r\nX: 567890\r\n\r\n", ParseOutcome.Rejected)]
    [TestCase("Host: 789\r\nX: 4567\r\nX: 567890", ParseOutcome.Rejected)]
    public void The_header_section_is_bounded_as_a_whole(string fields, ParseOutcome expected)
    {
        ParsedHead head = ParsedHead.Of($"GET / HTTP/1.1\r\n{fields}", Small);
        Assert.That(head.Outcome, Is.EqualTo(expected));
        if (expected == ParseOutcome.Rejected)
            Assert.That((head.Refusal, head.Rejection?.Status, head.Rejection?.Close), Is.EqualTo(("header-section-too-large", 431, true)));
    }

    [Test]
    public void The_number_of_fields_is_bounded()
    {
        Assert.That(ParsedHead.Of("GET / HTTP/1.1\r\nHost:\r\na:\r\nb:\r\n\r\n", Small).Outcome, Is.EqualTo(ParseOutcome.Done));
        ParsedHead head = ParsedHead.Of("GET / HTTP/1.1\r\nHost:\r\na:\r\nb:\r\nc:\r\n", Small);
        Assert.That((head.Refusal, head.Rejection?.Status, head.Rejection?.Close), Is.EqualTo(("too-many-fields", 431, true)));
    }

    [Test]
    public void What_was_examined_of_a_dribbled_line_is_not_examined_again()
    {
        RequestParser parser = new(Small);
        HttpRequest request = new();
        Assert.That(Parse("GET "), Is.EqualTo(ParseOutcome.NeedMore));
        Assert.That(Parse("\0\0\0\0/"), Is.EqualTo(ParseOutcome.NeedMore), "Bytes can't change; only another look would find these.");
        Assert.That(Parse("GET /\0"), Is.EqualTo(ParseOutcome.Rejected));

        ParseOutcome Parse(string raw)
        {
            SequenceReader<byte> reader = new(new ReadOnlySequence<byte>(Encoding.Latin1.GetBytes(raw)));
            return parser.Parse(ref reader, request);
        }
    }
}
