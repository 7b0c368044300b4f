using System.Text;
using static Moshpit.Tests.Client.SessionScript;

namespace Moshpit.Tests.Client;

/// <summary>What events and receipts say.</summary>
public sealed class EventTests
{
    [TestCase("connect", MoshpitEventKind.Connect)]
    [TestCase("signal", MoshpitEventKind.Signal)]
    [TestCase("join", MoshpitEventKind.Join)]
    [TestCase("leave", MoshpitEventKind.Leave)]
    [TestCase("away", MoshpitEventKind.Away)]
    [TestCase("back", MoshpitEventKind.Back)]
    [TestCase("gap", MoshpitEventKind.Gap)]
    [TestCase("bye", MoshpitEventKind.Bye)]
    [TestCase("owner", MoshpitEventKind.Owner)]
    [TestCase("room", MoshpitEventKind.Room)]
    [TestCase("count", MoshpitEventKind.Count)]
    [TestCase("lost", MoshpitEventKind.Other)]
    [TestCase("Signal", MoshpitEventKind.Other)]
    [TestCase("message", MoshpitEventKind.Other)]
    public void The_kind_goes_by_the_name_and_only_the_client_tells_of_a_loss(string name, MoshpitEventKind kind)
    {
        MoshpitEvent parsed = Parse($"event: {name}\ndata: 1\n\n").Single();
        Assert.That((parsed.Name, parsed.Kind, parsed.Failure), Is.EqualTo((name, kind, (MoshpitException?)null)));
    }

    [TestCase("id: 12.34\nfrom: \"abc\"\n", "abc", 34)]
    [TestCase("id: 12.0\nfrom: \"a\\u0062\"\n", "ab", 0)]
    [TestCase("id: 12\nfrom: abc\n", null, null)]
    [TestCase("id: x.y\nfrom: \"abc\n", null, null)]
    [TestCase("from: 1\n", null, null)]
    [TestCase("from: {\"cid\":\"abc\"}\n", null, null)]
    [TestCase("from: \"abc\" \"def\"\n", null, null)]
    [TestCase("from: \"abc\"\nfrom: \"def\"\n", "def", null)]
    [TestCase("id: 12.\n", null, null)]
    [TestCase("id: 12.-3\n", null, null)]
    [TestCase("id: 12.3.4\n", null, null)]
    [TestCase("id: 12.4294967299\n", null, null)]
    [TestCase("id: 12.99999999999999999999\n", null, null)]
    [TestCase("from\n", null, null)]
    [TestCase("", null, null)]
    public void A_signal_names_its_sender_as_far_as_the_server_does(string fields, string? from, int? number)
    {
        MoshpitEvent signal = Parse($"event: signal\ndata: {{\"cid\":\"x\",\"n\":7,\"resumed\":true}}\n{fields}\n").Single();
        Assert.That((signal.From, signal.Number), Is.EqualTo((from, number)));
        Assert.That((signal.Cid, signal.IsResumed), Is.EqualTo(((string?)null, false)), "what the data say is the sender's word");
    }

    [Test]
    public void The_sender_of_one_signal_is_not_that_of_the_next() =>
        Assert.That(Parse(Signal(1) + "event: signal\ndata: 2\n\n").Select(e => e.From is null), Is.EqualTo(new[] { false, true }));

    [Test]
    public void What_the_server_tells_is_read()
    {
        MoshpitEvent[] events = Parse(
            "event: connect\ndata: {\"id\":\"i\",\"cid\":\"c\",\"token\":\"t\",\"resumed\":true,\"n\":3}\nid: 9.0\n\n"
            + "event: join\ndata: {\"id\":\"i\",\"cid\":\"d\",\"n\":4}\n\nevent: gap\ndata: {\"id\":\"i\",\"after\":9,\"missed\":5}\n\n"
            + "event: gap\ndata: {\"id\":\"i\",\"after\":null,\"missed\":null}\n\n");
        Assert.That(events.Select(e => e.Id), Is.All.EqualTo("i"));
        Assert.That(events.Select(e => e.Cid), Is.EqualTo(new[] { "c", "d", null, null }));
        Assert.That(events.Select(e => e.Token), Is.EqualTo(new[] { "t", null, null, null }));
        Assert.That(events.Select(e => e.Number), Is.EqualTo(new int?[] { 3, 4, null, null }));
        Assert.That(events.Select(e => e.IsResumed), Is.EqualTo(new[] { true, false, false, false }));
        Assert.That(events.Select(e => e.Missed), Is.EqualTo(new long?[] { null, null, 5, null }));
        Assert.That(events.Select(e => e.LastEventId), Is.All.EqualTo("9.0"));
    }

    [TestCase("0")]
    [TestCase("4294967299")]
    [TestCase("-1")]
    [TestCase("1.5")]
    [TestCase("\"3\"")]
    [TestCase("null")]
    public void A_number_of_a_peer_is_read_only_where_it_can_be_one(string n) =>
        Assert.That(Parse($"event: join\ndata: {{\"cid\":\"c\",\"n\":{n}}}\n\n").Single().Number, Is.EqualTo(n == "0" ? 0 : (int?)null));

    [TestCase("retry: 1500\n\n", 1500)]
    [TestCase("retry:0\n\n", 0)]
    [TestCase("retry: 1.5\n\n", null)]
    [TestCase("retry: -1\n\n", null)]
    [TestCase("retry\n\n", null)]
    [TestCase("retry: 99999999999\n\n", int.MaxValue)]
    public void A_stream_says_how_long_to_wait(string text, int? milliseconds)
    {
        var parser = new SseParser(1000);
        parser.Push(Encoding.UTF8.GetBytes(text), new List<MoshpitEvent>());
        Assert.That(parser.Retry, Is.EqualTo(milliseconds is { } time ? TimeSpan.FromMilliseconds(time) : (TimeSpan?)null));
    }

    [TestCase("""{"event":"12.3","to":5,"away":1}""", "12.3", 5, 1, false)]
    [TestCase("""{"to":0}""", null, 0, 0, false)]
    [TestCase("""{"duplicate":true}""", null, null, 0, true)]
    [TestCase("""{"event":"12.3","to":""", null, null, 0, false)]
    [TestCase("""{"event":12,"to":4294967299,"away":-1,"duplicate":"true"}""", null, null, 0, false)]
    [TestCase("""{"event":"12.3","to":{"c":"sent","d":"away","e":"gone","f":"a word of later","g":1}}""", "12.3", 2, 1, false)]
    [TestCase("""{"to":{}}""", null, 0, 0, false)]
    [TestCase("""{"to":[1]}""", null, null, 0, false)]
    [TestCase("""["event","12.3"]""", null, null, 0, false)]
    [TestCase("OK", null, null, 0, false)]
    [TestCase("", null, null, 0, false)]
    public void A_receipt_says_what_the_answer_says(string answer, string? id, int? to, int away, bool isDuplicate)
    {
        var receipt = new MoshpitReceipt(answer);
        Assert.That((receipt.Event, receipt.To, receipt.Away, receipt.IsDuplicate), Is.EqualTo((id, to, away, isDuplicate)));
    }

    private static MoshpitEvent[] Parse(string text)
    {
        List<MoshpitEvent> events = [];
        new SseParser(10_000).Push(Encoding.UTF8.GetBytes(text), events);
        return [.. events];
    }
}
