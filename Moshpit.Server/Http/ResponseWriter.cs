using System.Buffers;
using System.Buffers.Text;

namespace Moshpit.Server.Http;

/// <summary>
/// Every response of the server, as bytes. Each carries Date and the CORS fields, refusals too, so that a browser may read why it failed.
/// Nothing is allocated.
/// </summary>
internal sealed class ResponseWriter(CorsPolicy cors, HttpDate date)
{
    /// <summary>What <see cref="HttpRequest.ExpectsContinue"/> waits for.</summary>
    public static ReadOnlySpan<byte> Continue => "HTTP/1.1 100 Continue\r\n\r\n"u8;

    private static ReadOnlySpan<byte> JsonHead => "Content-Type: application/json\r\nContent-Length: "u8;

    /// <summary>A POST was delivered.</summary>
    public void WriteOk(IBufferWriter<byte> output, HttpRequest request)
    {
        output.Write("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n"u8);
        WriteCommon(output, request);
        WriteConnection(output, request, !request.KeepAlive);
        output.Write("\r\nOK"u8);
    }

    /// <summary>
    /// A refusal, with its sentence as the body. The answer says <c>Connection: close</c> where <paramref name="close"/>, the rejection or
    /// the request wants it; the caller then has to do so.
    /// </summary>
    public void WriteRejection(IBufferWriter<byte> output, HttpRequest request, Rejection rejection, bool close)
    {
        output.Write(StatusLine.Of(rejection.Status));
        ReadOnlySpan<byte> body = request.NamesJson ? rejection.Json : rejection.Body;
        output.Write(request.NamesJson ? JsonHead : "Content-Type: text/plain; charset=utf-8\r\nContent-Length: "u8);
        WriteNumber(output, body.Length);
        output.Write("\r\n"u8);

        // RFC 9110 section 15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
        if (rejection.Status == 405)
            output.Write("Allow: GET, HEAD, POST, OPTIONS\r\n"u8);

        // Section 15.5.2: "The server generating a 401 response MUST send a WWW-Authenticate header field". No browser asks its user for
        // this one.
        if (rejection.Status == 401)
            output.Write("WWW-Authenticate: Moshpit\r\n"u8);

        // Section 12.5.3: in a 415 it says which codings would have been accepted.
        if (rejection.Status == 415)
            output.Write("Accept-Encoding: identity\r\n"u8);
        if (rejection.IsTemporary)
        {
            output.Write("Retry-After: "u8);
            WriteNumber(output, rejection.RetryAfter);
            output.Write("\r\n"u8);
            cors.WriteExposed(output, "Retry-After"u8);
        }

        WriteCommon(output, request);
        WriteConnection(output, request, close || rejection.Close || !request.KeepAlive);
        output.Write("\r\n"u8);

        // Section 9.3.2: a response to HEAD has the same header section and no content.
        if (request.Method != HttpMethod.Head)
            output.Write(body);
    }

    /// <summary>A POST did what it should, and <paramref name="json"/> tells about it.</summary>
    public void WriteJson(IBufferWriter<byte> output, HttpRequest request, ReadOnlySpan<byte> json)
    {
        output.Write("HTTP/1.1 200 OK\r\n"u8);
        output.Write(JsonHead);
        WriteNumber(output, json.Length);
        output.Write("\r\n"u8);
        WriteCommon(output, request);
        WriteConnection(output, request, !request.KeepAlive);
        output.Write("\r\n"u8);
        output.Write(json);
    }

    /// <summary>The stream is over for good: an EventSource does not come back after this status.</summary>
    public void WriteNoContent(IBufferWriter<byte> output, HttpRequest request)
    {
        output.Write("HTTP/1.1 204 No Content\r\n"u8);
        WriteCommon(output, request);
        WriteConnection(output, request, !request.KeepAlive);
        output.Write("\r\n"u8);
    }

    /// <summary>
    /// Refuses for now a stream that an EventSource asks for again: it comes back after <paramref name="milliseconds"/>, which a status
    /// other than 200 would prevent.
    /// </summary>
    public void WriteComeBack(IBufferWriter<byte> output, HttpRequest request, int retryAfter, int milliseconds)
    {
        output.Write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-store\r\nRetry-After: "u8);
        WriteNumber(output, retryAfter);
        output.Write("\r\n"u8);
        cors.WriteExposed(output, "Retry-After"u8);
        WriteCommon(output, request);

        // Its end is that of the connection, as that of every stream.
        output.Write("Connection: close\r\n\r\nretry: "u8);
        WriteNumber(output, milliseconds);
        output.Write("\n\n"u8);
    }

    /// <summary>
    /// The head of an event stream: chunks follow, or, for HTTP/1.0, which has none, bytes up to the end of the connection. A stream begins
    /// with a secret, so no cache may store it (no-store) and no browser guess at its type (nosniff). nginx does not buffer it, thanks to
    /// X-Accel-Buffering. no-transform asks other intermediaries to leave it as it is; nginx does not look at that.
    /// </summary>
    public void WriteStreamHead(IBufferWriter<byte> output, HttpRequest request, int status)
    {
        output.Write(StatusLine.Of(status));
        output.Write("Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache, no-store, no-transform\r\n"u8);
        output.Write("X-Accel-Buffering: no\r\nX-Content-Type-Options: nosniff\r\n"u8);
        if (!request.IsHttp10)
            output.Write("Transfer-Encoding: chunked\r\n"u8);
        WriteCommon(output, request);
        output.Write("Connection: close\r\n\r\n"u8);
    }

    /// <summary>What is allowed here, for a CORS preflight or for any client that asks.</summary>
    public void WriteOptions(IBufferWriter<byte> output, HttpRequest request)
    {
        output.Write("HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, POST, OPTIONS\r\n"u8);
        cors.WritePreflight(output, request);
        WriteCommon(output, request);
        WriteConnection(output, request, !request.KeepAlive);
        output.Write("\r\n"u8);
    }

    private void WriteCommon(IBufferWriter<byte> output, HttpRequest request)
    {
        output.Write(date.FieldLine);
        cors.Write(output, request);
    }

    // RFC 9112 section 9.3: HTTP/1.1 connections persist unless it is said that they don't, HTTP/1.0 ones the other way round.
    // Keep-Alive (RFC 2068 section 19.7.1.1) says for how long: a pool that reads it sends no request just as the server closes. RFC 9110
    // section 7.6.1: "the sender MUST list the corresponding field name within the Connection header field".
    private static void WriteConnection(IBufferWriter<byte> output, HttpRequest request, bool close)
    {
        if (close)
        {
            output.Write("Connection: close\r\n"u8);
        }
        else if (request.IdleSeconds > 0)
        {
            output.Write("Connection: keep-alive\r\nKeep-Alive: timeout="u8);
            WriteNumber(output, request.IdleSeconds);
            output.Write("\r\n"u8);
        }
        else if (request.IsHttp10)
        {
            output.Write("Connection: keep-alive\r\n"u8);
        }
    }

    private static void WriteNumber(IBufferWriter<byte> output, int number)
    {
        Utf8Formatter.TryFormat(number, output.GetSpan(10), out int written);
        output.Advance(written);
    }
}
