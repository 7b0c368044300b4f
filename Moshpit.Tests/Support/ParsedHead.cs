using System.Text;
using Moshpit.Server.Http;
using HttpMethod = Moshpit.Server.Http.HttpMethod;

namespace Moshpit.Tests.Support;

/// <summary>What the request parser makes of some bytes, however they are cut.</summary>
internal sealed record ParsedHead
{
    private static readonly RequestLimits Default = new();

    public ParseOutcome Outcome { get; private init; }

    /// <summary>Name of the rejection, or null.</summary>
    public string? Refusal => Rejection?.Name;

    public Rejection? Rejection { get; private init; }

    /// <summary>What is left for the body.</summary>
    public string Rest { get; private init; } = "";

    public bool HasStarted { get; private init; }

    public HttpMethod Method { get; private init; }

    public bool IsHttp10 { get; private init; }

    public string Path { get; private init; } = "";

    public string Query { get; private init; } = "";

    public BodyKind Body { get; private init; }

    public long ContentLength { get; private init; }

    public bool KeepAlive { get; private init; }

    public bool ExpectsContinue { get; private init; }

    public ContentType ContentType { get; private init; }

    public bool AcceptsEventStream { get; private init; }

    public bool NamesEventStream { get; private init; }

    public bool HasContentEncoding { get; private init; }

    public string? Origin { get; private init; }

    public string RequestedHeaders { get; private init; } = "";

    public string ForwardedFor { get; private init; } = "";

    public string Forwarded { get; private init; } = "";

    public bool IsForwarded { get; private init; }

    /// <summary>Parses raw bytes, written as Latin-1.</summary>
    public static ParsedHead Of(string raw, RequestLimits? limits = null) => Of(Encoding.Latin1.GetBytes(raw), limits);

    public static ParsedHead Of(byte[] raw, RequestLimits? limits = null) => Splits.SameForAll<ParsedHead>(raw, () =>
    {
        RequestParser parser = new(limits ?? Default);
        HttpRequest request = new();
        return (Step, (outcome, rest) => Snapshot(parser, request, outcome, rest));

        ParseOutcome Step(ref System.Buffers.SequenceReader<byte> reader) => parser.Parse(ref reader, request);
    });

    /// <summary>GET / with these field lines (each with its CRLF) and a Host.</summary>
    public static ParsedHead OfFields(string fields, string version = "HTTP/1.1") => Of($"GET / {version}\r\nHost: a\r\n{fields}\r\n");

    private static ParsedHead Snapshot(RequestParser parser, HttpRequest request, ParseOutcome outcome, byte[] rest) => new()
    {
        Outcome = outcome,
        Rejection = parser.Rejection,
        Rest = Encoding.Latin1.GetString(rest),
        HasStarted = parser.HasStarted,
        Method = request.Method,
        IsHttp10 = request.IsHttp10,
        Path = Encoding.Latin1.GetString(request.Path),
        Query = Encoding.Latin1.GetString(request.Query),
        Body = request.Body,
        ContentLength = request.ContentLength,
        KeepAlive = request.KeepAlive,
        ExpectsContinue = request.ExpectsContinue,
        ContentType = request.ContentType,
        AcceptsEventStream = request.AcceptsEventStream,
        NamesEventStream = request.NamesEventStream,
        HasContentEncoding = request.HasContentEncoding,
        Origin = request[KeptField.Origin].IsEmpty ? null : Encoding.Latin1.GetString(request[KeptField.Origin]),
        RequestedHeaders = Encoding.Latin1.GetString(request[KeptField.AccessControlRequestHeaders]),
        ForwardedFor = Encoding.Latin1.GetString(request[KeptField.XForwardedFor]),
        Forwarded = Encoding.Latin1.GetString(request[KeptField.Forwarded]),
        IsForwarded = request.IsForwarded,
    };
}
