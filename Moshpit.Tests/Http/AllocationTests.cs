using System.Buffers;
using Moshpit.Server.Api;
using Moshpit.Server.Http;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Http;

internal sealed class AllocationTests
{
    private static readonly RequestLimits Limits = new();

    private readonly RequestParser _parser = new(Limits);
    private readonly HttpRequest _request = new() { IdleSeconds = 75 };
    private readonly ArrayBufferWriter<byte> _output = new(4096);
    private readonly byte[] _body = new byte[64];

    [Test]
    public void A_post_and_its_answer_allocate_nothing()
    {
        ReadOnlySequence<byte> input = new([.. """
            POST /0123456789abcdef0123456789abcdef HTTP/1.1
            Host: localhost:5000
            User-Agent: Mozilla/5.0
            Accept: text/html, */*;q=0.8
            Origin: http://a.example
            Access-Control-Request-Headers: content-type
            Content-Type: application/x-www-form-urlencoded
            Transfer-Encoding: chunked
            Connection: keep-alive

            5;a=b
            hello
            0
            X: y


            """u8.ToArray().SelectMany(octet => octet == '\n' ? "\r\n"u8.ToArray() : [octet])]);
        Exchange(input);

        // The date is made anew once a second, which may fall into a run, but not into each of three.
        Assert.That(Enumerable.Range(0, 3).Min(_ => Measure()), Is.Zero);

        long Measure()
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 100; i++)
                Exchange(input);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    private void Exchange(ReadOnlySequence<byte> input)
    {
        _parser.Reset();
        _request.Reset();
        _output.ResetWrittenCount();
        SequenceReader<byte> reader = new(input);
        ChunkedDecoder decoder = default;
        int written = 0;
        bool done = _parser.Parse(ref reader, _request) == ParseOutcome.Done
            && decoder.Decode(ref reader, _body, ref written, Limits.BodyTooLarge, out _) == ParseOutcome.Done;
        if (!done || written != 5 || !reader.End)
            throw new InvalidOperationException("The request was not read.");
        TestResponses.Writer.WriteOk(_output, _request);
        TestResponses.Writer.WriteOptions(_output, _request);
        TestResponses.Writer.WriteStreamHead(_output, _request, 200);
        TestResponses.Writer.WriteRejection(_output, _request, ApiRejections.UnknownChannel, close: false);
    }
}
