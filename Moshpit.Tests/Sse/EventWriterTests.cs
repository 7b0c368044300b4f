using System.Buffers;
using System.Text;
using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Sse;

internal sealed class EventWriterTests
{
    private static readonly ChannelId Id = Ids.Channel("a1ad1a210063392d29027dbdd5fc9dd7");
    private static readonly PeerId Cid = Ids.Peer("0ed0beffc77061f243037eee784c2b9f");
    private static readonly Token Token = Ids.Token("3b970f792805fd3081b058a5655a534d");

    [Test]
    public void A_connect_event_names_channel_peer_and_secret()
    {
        Assert.That(Written(output => EventWriter.WriteConnect(output, Id, Cid, Token)), Is.EqualTo(
            "94\r\nevent: connect\ndata: {\"id\":\"a1ad1a210063392d29027dbdd5fc9dd7\",\"cid\":\"0ed0beffc77061f243037eee784c2b9f\"," +
            "\"token\":\"3b970f792805fd3081b058a5655a534d\"}\n\n\r\n"));
    }

    [Test]
    public void A_connect_event_for_HTTP_1_0_stands_in_no_chunk()
    {
        Assert.That(Written(output => EventWriter.WriteConnect(output, Id, Cid, Token, chunked: false)), Is.EqualTo(
            "event: connect\ndata: {\"id\":\"a1ad1a210063392d29027dbdd5fc9dd7\",\"cid\":\"0ed0beffc77061f243037eee784c2b9f\"," +
            "\"token\":\"3b970f792805fd3081b058a5655a534d\"}\n\n"));
    }

    [Test]
    public void A_join_event_names_channel_and_peer()
    {
        Assert.That(Written(output => EventWriter.WriteJoin(output, Id, Cid)), Is.EqualTo(
            "66\r\nevent: join\ndata: {\"id\":\"a1ad1a210063392d29027dbdd5fc9dd7\",\"cid\":\"0ed0beffc77061f243037eee784c2b9f\"}\n\n\r\n"));
    }

    [Test]
    public void A_leave_event_names_channel_and_peer()
    {
        Assert.That(Written(output => EventWriter.WriteLeave(output, Id, Cid)), Is.EqualTo(
            "67\r\nevent: leave\ndata: {\"id\":\"a1ad1a210063392d29027dbdd5fc9dd7\","
            + "\"cid\":\"0ed0beffc77061f243037eee784c2b9f\"}\n\n\r\n"));
    }

    [Test]
    public void A_signal_event_goes_around_its_data()
    {
        Assert.That(Signal("{\"boom\":\"boom\"}"), Is.EqualTo("25\r\nevent: signal\ndata: {\"boom\":\"boom\"}\n\n\r\n"));
    }

    /// <summary>The framing of a signal is 22 bytes, so these are the last size of some digits and the first of one more.</summary>
    [TestCase(0xff - 22, "ff")]
    [TestCase(0x100 - 22, "100")]
    [TestCase(0xfff - 22, "fff")]
    [TestCase(0x1000 - 22, "1000")]
    [TestCase(0x12345 - 22, "12345")]
    public void The_chunk_of_a_signal_says_its_size_in_as_few_digits_as_it_takes(int length, string size)
    {
        string data = new('7', length);
        Assert.That(Signal(data), Is.EqualTo($"{size}\r\nevent: signal\ndata: {data}\n\n\r\n"));
    }

    [TestCase("7", "event: signal\ndata: 7\n\n")]
    [TestCase("\"\\r\\n\"", "event: signal\ndata: \"\\r\\n\"\n\n")]
    public void An_event_is_found_again_in_its_chunk(string data, string expected)
    {
        string chunk = Signal(data);
        Assert.That(chunk[ChunkFraming.EventIn(Encoding.UTF8.GetBytes(chunk))], Is.EqualTo(expected));
        Assert.That(Encoding.UTF8.GetString(EventWriter.Heartbeat[ChunkFraming.EventIn(EventWriter.Heartbeat)]), Is.EqualTo(":\n\n"));
    }

    [Test]
    public void A_heartbeat_is_a_comment()
    {
        Assert.That(Encoding.UTF8.GetString(EventWriter.Heartbeat), Is.EqualTo("3\r\n:\n\n\r\n"));
    }


    private static string Signal(string data)
    {
        var frames = new FramePool();
        SharedFrame frame = frames.Rent(16);
        EventWriter.BeginSignal(frame);
        frame.Append(Encoding.UTF8.GetBytes(data));
        EventWriter.EndSignal(frame);
        string written = Encoding.UTF8.GetString(frame.Span);
        frame.Release();
        Assert.That(frames.Outstanding, Is.Zero);
        return written;
    }

    private static string Written(Action<IBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
