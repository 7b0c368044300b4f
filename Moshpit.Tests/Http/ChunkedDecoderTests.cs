using System.Buffers;
using System.Text;
using Moshpit.Server.Http;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Http;

internal sealed class ChunkedDecoderTests
{
    private static readonly Rejection TooLarge = new RequestLimits().BodyTooLarge;

    private const int Room = 64;

    [TestCase("0\r\n\r\n", "")]
    [TestCase("5\r\nhello\r\n0\r\n\r\n", "hello")]
    [TestCase("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", "hello world")]
    [TestCase("A\r\n0123456789\r\n0\r\n\r\n", "0123456789")]
    [TestCase("00000000000000a\r\n0123456789\r\n0\r\n\r\n", "0123456789")]
    [TestCase("000000000000000b\r\n01234\r\n6789\r\n0\r\n\r\n", "01234\r\n6789")]
    [TestCase("2;a\r\nhe\r\n3;b=c;d=\"e;\\\"\r\nllo\r\n0;f=\"\"\r\n\r\n", null)]
    [TestCase("2;a\r\nhe\r\n3;b=c;d=\"e;\t\\\"\u00e9\"\r\nllo\r\n0;f=\"\"\r\n\r\n", "hello")]
    [TestCase("5\r\nhello\r\n0\r\nVary: *\r\nContent-Length: 50\r\nHost: evil\r\n\r\n", "hello")]
    public void Chunks_are_joined_and_extensions_and_trailers_are_dropped(string body, string? expected)
    {
        Decoded decoded = Decode(body + "next");
        if (expected is null)
            Assert.That(decoded.Refusal, Is.EqualTo("malformed-chunk-extension"), "The quoted-string is not closed.");
        else
            Assert.That((decoded.Outcome, decoded.Body, decoded.Rest), Is.EqualTo((ParseOutcome.Done, expected, "next")));
    }

    [Test]
    public void Every_beginning_of_a_body_needs_more()
    {
        const string Whole = "5;a=\"b\"\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n";
        for (int length = 1; length < Whole.Length; length++)
            Assert.That(Decode(Whole[..length]).Outcome, Is.EqualTo(ParseOutcome.NeedMore), Whole[..length]);
    }

    [TestCase("\r\n", "malformed-chunk-size")]
    [TestCase("z\r\n", "malformed-chunk-size")]
    [TestCase("5x\r\n", "malformed-chunk-size")]
    [TestCase("5 \r\n", "malformed-chunk-size")]
    [TestCase(" 5\r\n", "malformed-chunk-size")]
    [TestCase("\t5\r\n", "malformed-chunk-size")]
    [TestCase("5 ;a\r\n", "malformed-chunk-size")]
    [TestCase("+5\r\n", "malformed-chunk-size")]
    [TestCase("-5\r\n", "malformed-chunk-size")]
    [TestCase("0x5\r\n", "malformed-chunk-size")]
    [TestCase("5,5\r\n", "malformed-chunk-size")]
    [TestCase(";a\r\n", "malformed-chunk-size")]
    [TestCase("00000000000000005\r\n", "malformed-chunk-size")]
    [TestCase("10000000000000005\r\n", "malformed-chunk-size", Description = "5, were it to wrap around.")]
    [TestCase("5;\r\n", "malformed-chunk-extension")]
    [TestCase("5;;a\r\n", "malformed-chunk-extension")]
    [TestCase("5;=a\r\n", "malformed-chunk-extension")]
    [TestCase("5;a=\r\n", "malformed-chunk-extension")]
    [TestCase("5; a\r\n", "malformed-chunk-extension")]
    [TestCase("5;a =b\r\n", "malformed-chunk-extension")]
    [TestCase("5;a=\"b\r\n", "malformed-chunk-extension")]
    [TestCase("5;a=\"b\"c\r\n", "malformed-chunk-extension")]
    [TestCase("5;a=\"b\\\"\r\n", "malformed-chunk-extension")]
    [TestCase("5;a=\"\r\n", "malformed-chunk-extension")]
    [TestCase("5;a\u00e9\r\n", "malformed-chunk-extension")]
    [TestCase("5;\u0000a", "control-character")]
    [TestCase("5\n", "bare-line-feed")]
    [TestCase("5;\n", "bare-line-feed")]
    [TestCase("5;a=\"\n", "bare-line-feed")]
    [TestCase("5\r\r", "bare-carriage-return")]
    [TestCase("5;a=b\rX", "bare-carriage-return")]
    [TestCase("5\r\nhello\n", "chunk-not-ended")]
    [TestCase("5\r\nhelloX", "chunk-not-ended")]
    [TestCase("5\r\nhello\rX", "chunk-not-ended")]
    [TestCase("5\r\nhello\r\r", "chunk-not-ended")]
    [TestCase("5\r\nhelloo\r\n", "chunk-not-ended")]
    [TestCase("5\r\nhello\r\n\r\n", "malformed-chunk-size")]
    [TestCase("0\r\n\n", "bare-line-feed")]
    [TestCase("0\r\n\rX", "bare-carriage-return")]
    [TestCase("0\r\nXX\r\n", "missing-colon")]
    [TestCase("0\r\nX : y\r\n", "blank-before-colon")]
    [TestCase("0\r\n X: y\r\n", "line-folding")]
    [TestCase("0\r\nX: y\r\n z\r\n", "line-folding")]
    [TestCase("0\r\n: y\r\n", "malformed-field-name")]
    [TestCase("0\r\nX: \u0001\r\n", "control-character")]
    public void A_malformed_body_ends_the_connection_as_soon_as_it_is_seen(string body, string refusal)
    {
        Decoded decoded = Decode(body);
        Assert.That((decoded.Refusal, decoded.Rejection?.Status, decoded.Rejection?.Close), Is.EqualTo((refusal, 400, true)));
    }

    [TestCase("41\r\n")]
    [TestCase("7fffffff\r\n")]
    [TestCase("80000000\r\n")]
    [TestCase("100000005\r\n")]
    [TestCase("7fffffffffffffff\r\n")]
    [TestCase("8000000000000005\r\n")]
    [TestCase("ffffffffffffffff\r\n")]
    [TestCase("40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n1\r\n")]
    public void More_than_there_is_room_for_is_refused_where_it_is_announced(string body)
    {
        Decoded decoded = Decode(body);
        Assert.That((decoded.Refusal, decoded.Rejection?.Status, decoded.Rejection?.Close), Is.EqualTo(("body-too-large", 413, true)));
    }

    [Test]
    public void As_much_as_there_is_room_for_is_taken()
    {
        string data = new('x', Room);
        Assert.That(Decode($"40\r\n{data}\r\n0\r\n\r\n").Body, Is.EqualTo(data));
    }

    [Test]
    public void Extensions_and_trailers_together_are_bounded()
    {
        string extension = ";" + new string('e', ChunkedDecoder.MaxOverhead / 2 - 1);
        string trailer = "X:" + new string('t', ChunkedDecoder.MaxOverhead / 2 - 4) + "\r\n";
        Assert.Multiple(() =>
        {
            Assert.That(Decode($"1{extension}\r\na\r\n0\r\n{trailer}\r\n").Outcome, Is.EqualTo(ParseOutcome.Done));
            Assert.That(Decode($"1{extension}\r\na\r\n0{extension}\r\n\r\n").Outcome, Is.EqualTo(ParseOutcome.Done));
            Assert.That(Decode($"1{extension}\r\na\r\n0;e\r\n{trailer}\r\n").Refusal, Is.EqualTo("chunk-overhead-too-large"));
            Assert.That(Decode($"1{extension}\r\na\r\n0{extension}e\r\n\r\n").Refusal, Is.EqualTo("chunk-overhead-too-large"));
            Assert.That(Decode($"1{extension}{extension}{new string('e', 17)}").Refusal, Is.EqualTo("chunk-overhead-too-large"));
            Assert.That(Decode($"0\r\n{trailer}{trailer[..^2]}t").Refusal, Is.EqualTo("chunk-overhead-too-large"));
        });
    }

    private static Decoded Decode(string body) => Splits.SameForAll<Decoded>(Encoding.Latin1.GetBytes(body), () =>
    {
        ChunkedDecoder decoder = default;
        byte[] destination = new byte[Room];
        int written = 0;
        Rejection? rejection = null;
        return (Step, (outcome, rest) => new Decoded(
            outcome, rejection, outcome == ParseOutcome.Done ? Encoding.Latin1.GetString(destination, 0, written) : "",
                Encoding.Latin1.GetString(rest)));

        ParseOutcome Step(ref SequenceReader<byte> reader) => decoder.Decode(ref reader, destination, ref written, TooLarge, out rejection);
    }) switch
    {
        // How much of an unfinished line is left over depends on nothing but the input, but says nothing either.
        { Outcome: ParseOutcome.NeedMore } unfinished => unfinished with { Rest = "" },
        var finished => finished,
    };

    private sealed record Decoded(ParseOutcome Outcome, Rejection? Rejection, string Body, string Rest)
    {
        public string? Refusal => Rejection?.Name;
    }
}
