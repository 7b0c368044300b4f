using System.Buffers;
using System.Text;
using Moshpit.Server.Api;
using Moshpit.Server.Http;
using Moshpit.Tests.Support;
using HttpMethod = Moshpit.Server.Http.HttpMethod;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// What a connection receives: heads and bodies, one request after the other. It is read alike however it is cut, by a parser that is new
/// or was used before, and nothing of it gets out of its place in a response.
/// </summary>
internal sealed class RequestTarget : FuzzTarget
{
    private const int BodyLimit = 4 * 1024;

    private readonly Reader _used = new();
    private readonly ArrayBufferWriter<byte> _output = new();

    public override string Name => "request";

    public override int AllocationFactor => 4;

    public override bool CountsArraysInCheck => true;

    public override string[] Dictionary =>
    [
        "GET ", "POST ", "HEAD ", "OPTIONS ", "CONNECT ", "PUT ", "/", "//", "*", "http://", "https://a:80", "?q", "#", "%2f",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n", " HTTP/1.9\r\n", " HTTP/2.0\r\n", "\r\n", "\r\n\r\n", "\r", "\n", " ", "\t", ":", ",", ";", "=", "\"", "\\", "\0",
        "\x7f",
        "Host: a\r\n", "Host: [::1]:80\r\n", "Host: 1.2.3.4\r\n", "[v1.a]", "[1::2:3.4.5.6]", "Content-Length: 5\r\n", "Content-Length: ",
        "18446744073709551616", "-1", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Connection: close\r\n",
        "Connection: keep-alive, upgrade\r\n", "Expect: 100-continue\r\n", "Origin: http://a.example\r\n", "Content-Encoding: gzip\r\n",
        "Content-Type: application/json; charset=utf-8\r\n", "Content-Type: application/x-www-form-urlencoded\r\n", "Accept: ",
        "text/event-stream", "text/*", "*/*", ";q=0", ";q=0.001", ";q=1.000", ";charset=utf-8", "Access-Control-Request-Headers: x-a\r\n",
        "0123456789abcdef0123456789abcdef", "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
    ];

    public override string Check(byte[] input)
    {
        (string whole, string shape) = Trace(new Reader(), [input], together: true, write: true);
        byte[][] pieces = Feed.Cut(input);
        RequireSame(Trace(_used, pieces, together: false, write: false).Trace, whole, "arriving in pieces");
        RequireSame(Trace(_used, pieces, together: true, write: false).Trace, whole, "as segments");
        return shape;
    }

    public override void Probe(byte[] input)
    {
        var buffer = new ReadOnlySequence<byte>(input);
        while (_used.Next(ref buffer) && _used.Request.KeepAlive)
        {
        }
    }

    private (string Trace, string Shape) Trace(Reader reader, byte[][] pieces, bool together, bool write)
    {
        var trace = new StringBuilder();
        var shape = new StringBuilder();
        var feed = new Feed(pieces, together);
        HttpRequest request = reader.Request;
        for (int count = 0; count < 20; count++)
        {
            reader.Reset();
            ParseOutcome outcome = feed.Drive((ref SequenceReader<byte> bytes) => reader.Parser.Parse(ref bytes, request));
            Describe(reader, outcome, trace, shape);
            if (write)
                CheckResponses(request);
            if (outcome != ParseOutcome.Done)
                break;
            Rejection? rejection = null;
            if (reader.Body.Begin(request) is not null)
                break;
            outcome = feed.Drive((ref SequenceReader<byte> bytes) =>
            {
                ParseOutcome read = reader.Body.Read(ref bytes, out ReadOnlyMemory<byte> body, out rejection);
                if (read == ParseOutcome.Done)
                {
                    trace.Append(" body ").Append(Convert.ToHexString(body.Span));
                    shape.Append("\nbody ").Append(Magnitude(body.Length));
                }

                return read;
            });
            reader.Body.Release();
            trace.Append(' ').Append(outcome).Append(rejection?.Name);
            shape.Append(outcome).Append(rejection?.Name);
            if (outcome != ParseOutcome.Done || !request.KeepAlive)
                break;
        }

        return (trace.ToString(), shape.ToString());
    }

    private static void Describe(Reader reader, ParseOutcome outcome, StringBuilder trace, StringBuilder shape)
    {
        HttpRequest request = reader.Request;
        bool rejected = reader.Parser.Rejection is not null;
        Require((outcome == ParseOutcome.Rejected) == rejected, "A rejection has a reason, and nothing else has.");
        Require(request.ContentLength >= 0, "A length is negative.");
        string known = $" {outcome} {reader.Parser.Rejection?.Name} {request.Method} {Encoding.Latin1.GetString(request.Path)} " +
            $"{request.IsHttp10} {request.Body} " +
            $"{request.KeepAlive} {request.ExpectsContinue} {request.ContentType} {request.AcceptsEventStream} " +
            $"{request.NamesEventStream} {request.HasContentEncoding} {!request[KeptField.Origin].IsEmpty} " +
            $"{reader.Parser.HasStarted}";
        trace.Append(known).Append(
            $" {request.ContentLength} {Encoding.Latin1.GetString(request.Query)} {Encoding.Latin1.GetString(request[KeptField.Origin])} " +
            Encoding.Latin1.GetString(request[KeptField.AccessControlRequestHeaders]));
        shape.Append($"\n{outcome} {reader.Parser.Rejection?.Name} {request.Method} {Magnitude(request.Path.Length)} {request.Body}");
    }

    /// <summary>What a request says may come back in the response to it: it must stay in its line, whatever it is.</summary>
    private void CheckResponses(HttpRequest request)
    {
        int lines = request[KeptField.AccessControlRequestHeaders].IsEmpty ? 0 : 1;
        RequireLines(output => TestResponses.Writer.WriteOptions(output, request), lines, request);
        RequireLines(output => TestResponses.Writer.WriteStreamHead(output, request, 200), 0, request);
        RequireLines(output => TestResponses.Writer.WriteRejection(output, request, ApiRejections.MethodNotAllowed, close: true), 0,
            request);
    }

    private void RequireLines(Action<IBufferWriter<byte>> write, int more, HttpRequest request)
    {
        _output.ResetWrittenCount();
        write(_output);
        string[] lines = Encoding.Latin1.GetString(_output.WrittenSpan).Split("\r\n");
        Require(lines.All(line => line.All(c => c is (>= ' ' and not '\x7f') or '\t' or '\n')), "A control character is in a response.");
        int end = Array.IndexOf(lines, "");
        Require(end > 0 && lines[1..end].All(line => line.IndexOf(':') > 0 && !line.Contains('\n')), "A response is no longer one.");
        Require(lines[..end].Count(line => line.StartsWith("Access-Control-Allow-Headers", StringComparison.Ordinal)) == more, "Headers.");
        Require(lines[..end].Count(line => line.StartsWith("Access-Control-Allow-Origin", StringComparison.Ordinal)) == 1, "Origin.");
        Require(request.Method != HttpMethod.Head || lines[^1].Length == 0, "HEAD has a body.");
    }

    /// <summary>What a connection has.</summary>
    private sealed class Reader
    {
        private static readonly RequestLimits Limits = new(1024, 2048, 20, BodyLimit);

        public RequestParser Parser { get; } = new(Limits);

        public HttpRequest Request { get; } = new();

        public BodyReader Body { get; } = new(Limits);

        public void Reset()
        {
            Parser.Reset();
            Request.Reset();
        }

        /// <summary>Reads one request. False: that was the last.</summary>
        public bool Next(ref ReadOnlySequence<byte> buffer)
        {
            Reset();
            var reader = new SequenceReader<byte>(buffer);
            if (Parser.Parse(ref reader, Request) != ParseOutcome.Done || Body.Begin(Request) is not null)
                return false;
            ParseOutcome outcome = Body.Read(ref reader, out _, out _);
            Body.Release();
            buffer = buffer.Slice(reader.Position);
            return outcome == ParseOutcome.Done;
        }
    }
}
