using Moshpit.Server.Http;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Http;

internal sealed class BodyFramingTests
{
    [Test]
    public void Without_length_or_coding_there_is_no_body() =>
        Assert.That(ParsedHead.OfFields("").Body, Is.EqualTo(BodyKind.None));

    [TestCase("0", 0)]
    [TestCase("10240", 10240)]
    [TestCase("010", 10, Description = "Decimal, not octal.")]
    [TestCase("4294967301", 4294967301)]
    [TestCase("9223372036854775807", long.MaxValue)]
    [TestCase("9223372036854775808", long.MaxValue)]
    [TestCase("18446744073709551621", long.MaxValue, Description = "5 more than 2 to the 64th.")]
    [TestCase("92233720368547758070", long.MaxValue)]
    [TestCase("99999999999999999999999999999999999999999", long.MaxValue)]
    public void A_length_is_decimal_and_never_wraps_around(string value, long expected)
    {
        ParsedHead head = ParsedHead.OfFields($"Content-Length: {value}\r\n");
        Assert.That((head.Body, head.ContentLength), Is.EqualTo((BodyKind.Length, expected)));
    }

    [TestCase("")]
    [TestCase("+5")]
    [TestCase("-1")]
    [TestCase("-0")]
    [TestCase("0x5")]
    [TestCase("5 5")]
    [TestCase("1_0")]
    [TestCase("5, 5")]
    [TestCase("5,")]
    [TestCase("5.0")]
    [TestCase("1e1")]
    [TestCase("\"5\"")]
    [TestCase("\u00d9\u00a5")]
    public void A_malformed_length_ends_the_connection(string value) =>
        AssertRefused($"Content-Length: {value}\r\n", "malformed-content-length");

    [TestCase("Content-Length: 5\r\nContent-Length: 5\r\n", "repeated-content-length")]
    [TestCase("Content-Length: 5\r\ncontent-length: 50\r\n", "repeated-content-length")]
    [TestCase("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "length-with-transfer-encoding")]
    [TestCase("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "length-with-transfer-encoding")]
    [TestCase("Transfer-Encoding: chunked\r\nX: y\r\nContent-Length: +5\r\n", "length-with-transfer-encoding")]
    [TestCase("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "repeated-transfer-encoding")]
    [TestCase("Transfer-Encoding:\r\n", "malformed-transfer-encoding")]
    [TestCase("Transfer-Encoding: ,chunked\r\n", "malformed-transfer-encoding")]
    [TestCase("Transfer-Encoding: chunked,\r\n", "malformed-transfer-encoding")]
    [TestCase("Transfer-Encoding: chunked;\r\n", "malformed-transfer-encoding")]
    [TestCase("Transfer-Encoding: chunked;a=b\r\n", "malformed-transfer-encoding")]
    [TestCase("Transfer-Encoding: \"chunked\"\r\n", "malformed-transfer-encoding")]
    [TestCase("Transfer-Encoding: chu nked\r\n", "malformed-transfer-encoding")]
    [TestCase("Transfer-Encoding: \u0085chunked\r\n", "malformed-transfer-encoding")]
    [TestCase("Transfer-Encoding: chunked\u000b\r\n", "control-character")]
    public void A_body_whose_end_others_might_see_elsewhere_ends_the_connection(string fields, string refusal) =>
        AssertRefused(fields, refusal);

    [TestCase("Transfer-Encoding: chunked\r\n")]
    [TestCase("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n")]
    public void Http_1_0_has_no_transfer_coding(string fields) =>
        Assert.That(ParsedHead.OfFields(fields, "HTTP/1.0").Refusal, Is.EqualTo("transfer-encoding-in-http-1-0"));

    [TestCase("gzip")]
    [TestCase("identity")]
    [TestCase("xchunked")]
    [TestCase("chunked, gzip")]
    [TestCase("gzip ,\tchunked")]
    [TestCase("chunked, chunked")]
    public void Another_coding_is_not_implemented(string value)
    {
        ParsedHead head = ParsedHead.OfFields($"Transfer-Encoding: {value}\r\n");
        Assert.That((head.Rejection?.Status, head.Rejection?.Close), Is.EqualTo((501, true)));
    }

    [TestCase("chunked")]
    [TestCase(" \tChunKED\t ")]
    public void Chunked_alone_is_understood(string value) =>
        Assert.That(ParsedHead.OfFields($"Transfer-Encoding:{value}\r\n").Body, Is.EqualTo(BodyKind.Chunked));

    [TestCase("Transfer_Encoding")]
    [TestCase("Transfer-Encodingx")]
    [TestCase("TE")]
    [TestCase("Content-Encoding")]
    public void A_field_of_a_similar_name_frames_nothing(string name)
    {
        ParsedHead head = ParsedHead.OfFields($"{name}: chunked\r\nContent-Length: 3\r\n");
        Assert.That((head.Body, head.ContentLength), Is.EqualTo((BodyKind.Length, 3)));
    }

    private static void AssertRefused(string fields, string refusal)
    {
        ParsedHead head = ParsedHead.OfFields(fields);
        Assert.That((head.Refusal, head.Rejection?.Status, head.Rejection?.Close), Is.EqualTo((refusal, 400, true)));
    }
}
