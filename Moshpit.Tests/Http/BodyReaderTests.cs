using System.Buffers;
using System.Text;
using Moshpit.Server.Http;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Http;

internal sealed class BodyReaderTests
{
    [TestCase(0)]
    [TestCase(1)]
    [TestCase(4096)]
    [TestCase(4097)]
    [TestCase(20_000)]
    public void A_chunked_body_up_to_the_limit_comes_back_whole(int length)
    {
        string body = string.Concat(Enumerable.Range(0, length).Select(n => (char)('a' + n % 26)));
        string chunks = string.Concat(body.Chunk(1500).Select(chunk => $"{chunk.Length:x}\r\n{new string(chunk)}\r\n"));
        Assert.That(Read($"{chunks}0\r\n\r\nrest", limit: 20_000), Is.EqualTo((ParseOutcome.Done, body, "rest", (Rejection?)null)));
    }

    [TestCase("4e21\r\n")]
    [TestCase("4e20\r\n")]
    public void A_chunked_body_past_the_limit_is_refused(string first)
    {
        string data = first == "4e20\r\n" ? new string('x', 20_000) + "\r\n1\r\n" : "";
        (ParseOutcome outcome, _, _, Rejection? rejection) = Read(first + data, limit: 20_000);
        Assert.That(outcome, Is.EqualTo(ParseOutcome.Rejected));
        Assert.That(rejection, Has.Property("Name").EqualTo("body-too-large"));
    }

    [Test]
    public void A_body_with_a_length_comes_back_whole() =>
        Assert.That(Read("hellorest", limit: 10, length: 5), Is.EqualTo((ParseOutcome.Done, "hello", "rest", (Rejection?)null)));

    [TestCase(10, null)]
    [TestCase(11, "body-too-large")]
    public void A_length_past_the_limit_is_refused_before_anything_is_read(int length, string? refusal)
    {
        var reader = new BodyReader(new RequestLimits(maxBody: 10));
        Assert.That(reader.Begin(new HttpRequest { Body = BodyKind.Length, ContentLength = length })?.Name, Is.EqualTo(refusal));
    }

    [Test]
    public void An_announced_size_alone_takes_no_memory_of_its_size()
    {
        const int Limit = 512 * 1024 * 1024;
        var request = new HttpRequest { Body = BodyKind.Chunked };
        var reader = new BodyReader(new RequestLimits(maxBody: Limit));
        long before = GC.GetAllocatedBytesForCurrentThread();
        reader.Begin(request);
        var input = new SequenceReader<byte>(new ReadOnlySequence<byte>("10000000\r\nabc"u8.ToArray()));
        Assert.That(reader.Read(ref input, out _, out _), Is.EqualTo(ParseOutcome.NeedMore));
        reader.Release();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(64 * 1024));
    }

    private static (ParseOutcome Outcome, string Body, string Left, Rejection? Rejection) Read(string text, int limit, int? length = null)
    {
        var request = new HttpRequest { Body = length is null ? BodyKind.Chunked : BodyKind.Length, ContentLength = length ?? 0 };
        var limits = new RequestLimits(maxBody: limit);
        return Splits.SameForAll<(ParseOutcome, string, string, Rejection?)>(Encoding.Latin1.GetBytes(text), () =>
        {
            var reader = new BodyReader(limits);
            Assert.That(reader.Begin(request), Is.Null);
            string body = "";
            Rejection? rejection = null;
            ParseOutcome Step(ref SequenceReader<byte> input)
            {
                ParseOutcome outcome = reader.Read(ref input, out ReadOnlyMemory<byte> bytes, out rejection);
                if (outcome == ParseOutcome.Done)
                    body = Encoding.Latin1.GetString(bytes.Span);
                if (outcome != ParseOutcome.NeedMore)
                    reader.Release();
                return outcome;
            }

            return (Step, (outcome, rest) =>
                (outcome, body, outcome == ParseOutcome.Done ? Encoding.Latin1.GetString(rest) : "", rejection));
        });
    }
}
