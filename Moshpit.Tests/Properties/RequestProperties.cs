using System.Buffers;
using System.Text;
using CsCheck;
using Moshpit.Server.Http;
using Moshpit.Tests.Fuzz;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>Requests are read as they were meant. How often it is tried, and how to try more: <see cref="Any"/>.</summary>
[Parallelizable]
public sealed class RequestProperties
{
    private static readonly Gen<string> Target = Gen.OneOf(
        "/", "/0123456789abcdef0123456789abcdef", "//abc", "/a/b", "/?q=1", "http://a.example/x?y");

    private static readonly Gen<string> Filler = Gen.OneOf(
        "X-A: b\r\n", "Accept: text/*;q=0.5, */*\r\n", "accept:text/event-stream\r\n", "Connection:\t keep-alive \r\n",
        "Origin: http://a\r\n",
        "User-Agent: \u00e9 \u0080\u00ff\r\n", "Cookie: a=\"b; c\r\n", "Content-Type: application/json;charset=utf-8\r\n");

    private static readonly Gen<Sent> Request = Gen.Select(
        Gen.OneOf("GET", "POST", "HEAD", "OPTIONS", "PUT"), Target, Filler.Array[0, 4], Any.Bytes, Gen.Int[0, 2], Any.Cuts,
        (method, target, fields, body, framing, chunks) =>
            new Sent(method, target, [.. fields.DistinctBy(f => f.Split(':')[0])], body, framing, chunks));

    [Test]
    public void Requests_on_one_connection_are_read_one_by_one_however_they_are_cut()
    {
        Gen.Select(Request.Array[1, 4], Any.Cuts, Gen.Bool).Sample((requests, cuts, together) =>
        {
            byte[] wire = Encoding.Latin1.GetBytes(string.Concat(requests.Select(request => request.Wire)));
            var feed = new Feed(Any.Cut(wire, cuts), together);
            var parser = new RequestParser(new RequestLimits());
            var request = new HttpRequest();
            var bodies = new BodyReader(new RequestLimits(maxBody: 4096));
            foreach (Sent sent in requests)
            {
                parser.Reset();
                request.Reset();
                ParseOutcome outcome = feed.Drive((ref SequenceReader<byte> reader) => parser.Parse(ref reader, request));
                Any.RequireSame(outcome, ParseOutcome.Done);
                string method = sent.Method == "PUT" ? "OTHER" : sent.Method;
                Any.RequireSame((request.Method.ToString().ToUpperInvariant(), request.KeepAlive), (method, true));
                Any.RequireSame(!request[KeptField.Origin].IsEmpty,
                    sent.Fields.Any(field => field.StartsWith("Origin", StringComparison.Ordinal)));
                string body = "";
                bodies.Begin(request);
                outcome = feed.Drive((ref SequenceReader<byte> reader) =>
                {
                    ParseOutcome read = bodies.Read(ref reader, out ReadOnlyMemory<byte> bytes, out _);
                    body = Convert.ToHexString(bytes.Span);
                    return read;
                });
                bodies.Release();
                Any.RequireSame((outcome, body), (ParseOutcome.Done, Convert.ToHexString(sent.Framing == 0 ? [] : sent.Body)));
            }

            Any.RequireSame(feed.Left, 0);
        });
    }

    [Test]
    public void A_request_with_one_byte_changed_is_read_or_refused_alike_however_it_is_cut()
    {
        Gen.Select(Request, Gen.Double.Unit, Gen.Byte, Gen.Int[0, 2]).Sample((request, place, octet, kind) =>
        {
            byte[] wire = Encoding.Latin1.GetBytes(request.Wire);
            int at = (int)(place * wire.Length);
            byte[] changed = kind switch
            {
                0 => [.. wire[..at], octet, .. wire[(at + 1)..]],
                1 => [.. wire[..at], octet, .. wire[at..]],
                _ => [.. wire[..at], .. wire[(at + 1)..]],
            };
            _ = ParsedHead.Of(changed);
        });
    }

    /// <param name="Method">As it stands in the request.</param>
    /// <param name="Target">As it stands in the request.</param>
    /// <param name="Fields">Field lines, each with its CRLF.</param>
    /// <param name="Body">What is sent, unless framing is 0.</param>
    /// <param name="Framing">0: no body; 1: by its length; 2: in chunks.</param>
    /// <param name="Chunks">Where one chunk ends and the next begins.</param>
    private sealed record Sent(string Method, string Target, string[] Fields, byte[] Body, int Framing, double[] Chunks)
    {
        public string Wire
        {
            get
            {
                string[] framings = ["", $"Content-Length: {Body.Length}\r\n", "Transfer-Encoding: chunked\r\n"];
                return $"{Method} {Target} HTTP/1.1\r\nHost: a.example:80\r\n{string.Concat(Fields)}{framings[Framing]}\r\n{Framed}";
            }
        }

        private string Framed => Framing switch
        {
            0 => "",
            1 => Encoding.Latin1.GetString(Body),
            _ => string.Concat(Any.Cut(Body, Chunks).Where(chunk => chunk.Length > 0)
                .Select(chunk => $"{chunk.Length:X};a=\"b\"\r\n{Encoding.Latin1.GetString(chunk)}\r\n")) + "0\r\n\r\n",
        };
    }
}
