using System.Buffers;
using System.Globalization;
using System.Text;

using Moshpit.Server.Sse;

namespace Moshpit.Tests.Sse;

internal sealed class EventWriterTests
{
    private static readonly UInt128 Id = Hex("a1ad1a210063392d29027dbdd5fc9dd7");
    private static readonly UInt128 Cid = Hex("0ed0beffc77061f243037eee784c2b9f");
    private static readonly UInt128 Token = Hex("3b970f792805fd3081b058a5655a534d");

    [Test]
    public void A_connect_event_names_channel_peer_and_secret()
    {
        Assert.That(Written(output => EventWriter.WriteConnect(output, Id, Cid, Token)), Is.EqualTo(
            "event: connect\ndata: {\"id\":\"a1ad1a210063392d29027dbdd5fc9dd7\",\"cid\":\"0ed0beffc77061f243037eee784c2b9f\"," +
            "\"token\":\"3b970f792805fd3081b058a5655a534d\"}\n\n"));
    }

    [Test]
    public void A_join_event_names_channel_and_peer()
    {
        Assert.That(Written(output => EventWriter.WriteJoin(output, Id, Cid)), Is.EqualTo(
            "event: join\ndata: {\"id\":\"a1ad1a210063392d29027dbdd5fc9dd7\",\"cid\":\"0ed0beffc77061f243037eee784c2b9f\"}\n\n"));
    }

    [Test]
    public void A_leave_event_names_channel_and_peer()
    {
        Assert.That(Written(output => EventWriter.WriteLeave(output, Id, Cid)), Is.EqualTo(
            "event: leave\ndata: {\"id\":\"a1ad1a210063392d29027dbdd5fc9dd7\",\"cid\":\"0ed0beffc77061f243037eee784c2b9f\"}\n\n"));
    }

    [Test]
    public void A_signal_event_goes_around_its_data()
    {
        string written = Written(output =>
        {
            EventWriter.BeginSignal(output);
            output.Write("{\"boom\":\"boom\"}"u8);
            EventWriter.EndSignal(output);
        });

        Assert.That(written, Is.EqualTo("event: signal\ndata: {\"boom\":\"boom\"}\n\n"));
    }

    [Test]
    public void A_heartbeat_is_a_comment()
    {
        Assert.That(Encoding.UTF8.GetString(EventWriter.Heartbeat), Is.EqualTo(":\n\n"));
    }

    private static UInt128 Hex(string digits) => UInt128.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static string Written(Action<IBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
