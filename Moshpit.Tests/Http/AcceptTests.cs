using Moshpit.Tests.Support;

namespace Moshpit.Tests.Http;

internal sealed class AcceptTests
{
    [TestCase("")]
    [TestCase("Accept:\r\n")]
    [TestCase("Accept: ,\r\n")]
    [TestCase("Accept: */*\r\n")]
    [TestCase("Accept: text/*\r\n")]
    [TestCase("Accept: TEXT/*;q=0.001\r\n")]
    [TestCase("Accept: image/png, */*;q=0.8\r\n")]
    [TestCase("Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\n", Description = "Java's own.")]
    [TestCase("Accept: image/png\r\nAccept: */*\r\n")]
    [TestCase("Accept: x/y;a=\"\\\",text/event-stream;q=0\", */*\r\n")]
    [TestCase("Accept: text/event-stream;level=1;q=0, */*\r\n",
        Description = "Another form of the type is refused than the one that is sent.")]
    public void Nothing_at_all_or_a_wildcard_admits_an_event_stream(string fields)
    {
        ParsedHead head = ParsedHead.OfFields(fields);
        Assert.That((head.AcceptsEventStream, head.NamesEventStream), Is.EqualTo((true, false)));
    }

    [TestCase("text/event-stream")]
    [TestCase("Text/Event-Stream")]
    [TestCase("text/event-stream;q=1.000")]
    [TestCase("text/event-stream ; Q=0.001")]
    [TestCase("text/event-stream;q=0.0001")]
    [TestCase("text/event-stream;q=1.001")]
    [TestCase("text/event-stream;q=1.0000")]
    [TestCase("text/event-stream;q=2")]
    [TestCase("text/event-stream;q=.5")]
    [TestCase("text/event-stream;")]
    [TestCase("text/event-stream;;q=1;")]
    [TestCase("text/html, text/event-stream")]
    [TestCase(",,text/event-stream,")]
    [TestCase("text/event-stream, */*;q=0")]
    [TestCase("*/*;q=0, text/event-stream;q=0.1")]
    [TestCase("text/event-stream;q=0, text/event-stream")]
    [TestCase("text/event-stream;charset=UTF-8")]
    [TestCase("text/event-stream;q=1;charset=\"utf-8\"")]
    [TestCase("text/event-stream;q=0, text/event-stream;charset=utf-8")]
    [TestCase("x/y;a=\"b,\\\"c\", text/event-stream")]
    [TestCase("!, text/event-stream")]
    public void An_event_stream_may_be_named(string value)
    {
        ParsedHead head = ParsedHead.OfFields($"Accept: {value}\r\n");
        Assert.That((head.AcceptsEventStream, head.NamesEventStream), Is.EqualTo((true, true)));
    }

    [TestCase("text/html")]
    [TestCase("text")]
    [TestCase("*")]
    [TestCase("*/event-stream")]
    [TestCase("text/event-streams")]
    [TestCase("text /event-stream")]
    [TestCase("text/event-stream text/event-stream")]
    [TestCase("text/event-stream;q=0")]
    [TestCase("text/event-stream;q=0.000")]
    [TestCase("text/event-stream;q=0.")]
    [TestCase("text/event-stream;q=0, */*")]
    [TestCase("*/*, text/event-stream;q=0")]
    [TestCase("text/*;q=0, */*")]
    [TestCase("text/event-stream;q=-1")]
    [TestCase("text/event-stream;q=.")]
    [TestCase("text/event-stream;q=1.0.0")]
    [TestCase("text/event-stream;q=.0")]
    [TestCase("text/event-stream;q=0x5")]
    [TestCase("text/event-stream;q=0.5a")]
    [TestCase("text/event-stream;q=\"1\"")]
    [TestCase("text/event-stream;q=")]
    [TestCase("text/event-stream;q")]
    [TestCase("text/event-stream;q =1")]
    [TestCase("text/event-stream;q=1;q=1")]
    [TestCase("text/event-stream;level=1")]
    [TestCase("text/event-stream;charset=latin1")]
    [TestCase("text/event-stream;charset=utf-8;level=1")]
    [TestCase("text/event-stream, text/event-stream;charset=utf-8;q=0")]
    [TestCase("x/y;a=\", text/event-stream")]
    [TestCase("x/y;a=\"\\\", text/event-stream")]
    public void Everything_else_does_not_admit_one(string value)
    {
        ParsedHead head = ParsedHead.OfFields($"Accept: {value}\r\n");
        Assert.That((head.Refusal, head.AcceptsEventStream, head.NamesEventStream), Is.EqualTo(((string?)null, false, false)));
    }
}
