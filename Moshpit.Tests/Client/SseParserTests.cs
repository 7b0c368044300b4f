using System.Text;
using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Client;

public class SseParserTests
{
    [Test]
    public void Every_vector_gives_the_same_events_whole_split_anywhere_and_byte_by_byte()
    {
        IReadOnlyList<JsonElement> vectors = Vectors.Read("sse_cases.json");
        using (Assert.EnterMultipleScope())
        {
            foreach (JsonElement vector in vectors)
            {
                string name = vector.GetProperty("name").GetString()!;
                byte[] stream = vector.GetProperty("stream").GetBytesFromBase64();
                string[] expected = [.. vector.GetProperty("events").EnumerateArray().Select(e =>
                    $"{e.GetProperty("event").GetString()}|{e.GetProperty("data").GetString()}|{e.GetProperty("id").GetString()}")];

                Check([stream], "whole");
                Check(stream.Select(b => new[] { b }), "byte by byte");
                for (int i = 0; i <= stream.Length; i++)
                    Check([stream[..i], stream[i..]], $"split at {i}");
                if (vector.TryGetProperty("chunks", out JsonElement chunks))
                    Check(chunks.EnumerateArray().Select(c => c.GetBytesFromBase64()), "in its chunks");

                void Check(IEnumerable<byte[]> parts, string how)
                {
                    var parser = new SseParser(1 << 20);
                    var events = new List<MoshpitEvent>();
                    foreach (byte[] part in parts)
                        parser.Push(part, events);
                    Assert.That(events.Select(e => $"{e.Name}|{e.Data}|{e.LastEventId}"), Is.EqualTo(expected), $"{name}, {how}");
                    Assert.That(parser.LastEventId, Is.EqualTo(vector.GetProperty("lastEventId").GetString()), $"{name}, {how}");
                }
            }
        }
    }

    [TestCase("data: a\n\n", "message|a|")]
    [TestCase("\uFEFFdata: a\r\rdata: b\r\n\r\n", "message|a|", "message|b|")]
    [TestCase("event: x\ndata: a\ndata:  b\nid: 7\n\n: comment\ndata\n\n", "x|a\n b|7", "message||7")]
    [TestCase("event: x\n\ndata: a\n\n", "message|a|")]
    [TestCase("data: a\n")]
    public void A_stream_gives_these_events(string stream, params string[] expected)
    {
        Assert.That(Parse(stream).Select(e => $"{e.Name}|{e.Data}|{e.LastEventId}"), Is.EqualTo(expected));
    }

    [Test]
    public void An_event_may_be_as_large_as_the_limit_and_no_larger()
    {
        var events = new List<MoshpitEvent>();
        new SseParser(20).Push("data: 0123456789abcd\n\n"u8, events);
        Assert.That(events, Has.Count.EqualTo(1));
        Assert.Throws<MoshpitException>(() => new SseParser(20).Push("data: 0123456789abcde\n\n"u8, events));
        Assert.Throws<MoshpitException>(() => new SseParser(20).Push("data: 012345\ndata: 01234567\n\n"u8, events));
    }

    [Test]
    public void The_name_of_an_event_counts_too()
    {
        var events = new List<MoshpitEvent>();
        Assert.Throws<MoshpitException>(() => new SseParser(20).Push("event: 0123456789\ndata: 01234\n\n"u8, events));
        var parser = new SseParser(20);
        parser.Push("event: 0123456789\ndata: 0123\n\nevent: 0123456789\ndata: 0123\n\n"u8, events);
        Assert.That(events, Has.Count.EqualTo(2));
    }

    [Test]
    public void The_limit_is_for_one_event_and_heartbeats_do_not_add_up()
    {
        var parser = new SseParser(20);
        var events = new List<MoshpitEvent>();
        for (int i = 0; i < 100; i++)
        {
            parser.Push(": heartbeat\n"u8, events);
            parser.Push("data: 0123456789\n\n"u8, events);
        }

        Assert.That(events, Has.Count.EqualTo(100));
    }

    [Test]
    public void Events_before_one_that_is_too_large_are_given_out()
    {
        var events = new List<MoshpitEvent>();
        byte[] bytes = Encoding.UTF8.GetBytes("data: 1\n\ndata: " + new string('x', 20));
        Assert.Throws<MoshpitException>(() => new SseParser(20).Push(bytes, events));
        Assert.That(events.Single().Data, Is.EqualTo("1"));
    }

    [Test]
    public void Only_the_events_of_the_server_have_id_cid_and_token()
    {
        List<MoshpitEvent> events = Parse("event: connect\ndata: {\"id\":\"i\",\"cid\":\"c\",\"token\":\"t\"}\n\n" +
            "event: leave\ndata: {\"id\":\"i\",\"cid\":\"d\"}\n\n" +
            "event: signal\ndata: {\"id\":\"i\",\"cid\":\"c\",\"token\":\"t\"}\n\nevent: join\ndata: [\n\n");
        Assert.That(events.Select(e => $"{e.Id},{e.Cid},{e.Token}"), Is.EqualTo(["i,c,t", "i,d,", ",,", ",,"]));
    }

    [Test]
    public void Data_can_be_read_as_a_type()
    {
        MoshpitEvent signal = Parse("event: signal\ndata: {\"boom\":[1,2]}\n\n").Single();
        Assert.That(signal.Read<Dictionary<string, int[]>>()!["boom"], Is.EqualTo([1, 2]));
        Assert.That(signal.Read(SourceGenerated.Default.DictionaryStringInt32Array)!["boom"], Is.EqualTo([1, 2]));
    }

    private static List<MoshpitEvent> Parse(string stream)
    {
        var events = new List<MoshpitEvent>();
        new SseParser(1 << 20).Push(Encoding.UTF8.GetBytes(stream), events);
        return events;
    }
}

[System.Text.Json.Serialization.JsonSerializable(typeof(Dictionary<string, int[]>))]
internal sealed partial class SourceGenerated : System.Text.Json.Serialization.JsonSerializerContext;
