using System.Buffers;
using System.Text.Json;
using Moshpit.Server.Http;
using Moshpit.Tests.Support;
using HttpMethod = Moshpit.Server.Http.HttpMethod;

namespace Moshpit.Tests.Http;

/// <summary>The raw requests of the vectors, as far as the grammar of head and body decides about them.</summary>
[Parallelizable]
internal sealed class HttpVectorsTests
{
    private const int MaxBody = 10 * 1024;

    [Test]
    public void What_is_to_be_refused_is_refused_and_what_is_to_be_accepted_is_not()
    {
        IReadOnlyList<JsonElement> vectors = Vectors.Read("http_cases.json");
        int refused = 0, accepted = 0;
        Assert.Multiple(() =>
        {
            foreach (JsonElement vector in vectors)
            {
                string name = vector.GetProperty("name").GetString()!;
                string expect = vector.GetProperty("expect").GetString()!;
                bool strict = vector.TryGetProperty("strict", out JsonElement reading) && reading.GetString() == "reject";
                bool closes = vector.TryGetProperty("close", out JsonElement close) && close.ValueKind == JsonValueKind.True;
                int[] statuses = [.. vector.GetProperty("statuses").EnumerateArray().Select(status => status.GetInt32())];
                (ParseOutcome outcome, Rejection? rejection, bool isRouted) = Read(vector.GetProperty("raw").GetBytesFromBase64());
                if (expect == "accept")
                {
                    accepted++;
                    Assert.That((outcome, rejection), Is.EqualTo((ParseOutcome.Done, (Rejection?)null)), name);
                }
                else if (strict || (expect == "reject" && closes))
                {
                    refused++;
                    Assert.That(rejection?.Close, Is.True, name);
                    Assert.That(rejection?.Status,
                        Is.AnyOf([.. statuses.Select(status => (object)status), .. strict ? [400] : Array.Empty<object>()]), name);
                }
                else if (expect == "reject")
                {
                    refused++;
                    Assert.That(rejection is null ? !isRouted : statuses.Contains(rejection.Status), Is.True, name);
                }
            }
        });
        Assert.That(refused, Is.GreaterThan(100));
        Assert.That(accepted, Is.GreaterThan(20));
    }

    /// <summary>Reads one request with its body; routed is what could reach a resource: a method of ours on the root.</summary>
    private static (ParseOutcome Outcome, Rejection? Rejection, bool IsRouted) Read(byte[] raw)
    {
        Rejection? rejection = null;
        bool isRouted = false;
        ParseOutcome outcome = Splits.SameForAll(raw, () =>
        {
            var limits = new RequestLimits(maxBody: MaxBody);
            RequestParser parser = new(limits);
            HttpRequest request = new();
            ChunkedDecoder decoder = default;
            byte[] body = new byte[MaxBody];
            int written = 0;
            bool hasHead = false;
            return ((Splits.Step)Step, (Func<ParseOutcome, byte[], ParseOutcome>)((result, _) => result));

            ParseOutcome Step(ref SequenceReader<byte> reader)
            {
                if (!hasHead)
                {
                    ParseOutcome head = parser.Parse(ref reader, request);
                    rejection = parser.Rejection;
                    if (head != ParseOutcome.Done)
                        return head;
                    hasHead = true;
                }

                isRouted = request.Method != HttpMethod.Other && request.Path.SequenceEqual("/"u8);
                if (request.Body == BodyKind.Chunked)
                    return decoder.Decode(ref reader, body, ref written, limits.BodyTooLarge, out rejection);
                rejection = request.ContentLength > MaxBody ? limits.BodyTooLarge : null;
                return rejection is null ? ParseOutcome.Done : ParseOutcome.Rejected;
            }
        });
        return (outcome, rejection, isRouted);
    }
}
