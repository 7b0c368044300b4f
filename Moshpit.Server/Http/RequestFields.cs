using System.Buffers;

namespace Moshpit.Server.Http;

/// <summary>
/// The header fields that mean something to the server, taken in one by one; the rules that span several are checked at the end.
/// </summary>
internal struct RequestFields
{
    // What can stand in an authority or a path (RFC 3986 sections 3.2 and 3.3): pchar / "/" / "[" / "]". "%" may stand without hex digits
    // after it. "?" and "#" may not: they end an authority and a path.
    private static readonly SearchValues<byte> HostBytes = SearchValues.Create(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~!$&'()*+,;=:@/[]%"u8);

    private AcceptField _accept;
    private bool _hasHost;
    private bool _hasContentType;
    private bool _hasLength;
    private bool _hasCoding;
    private bool _saysClose;
    private bool _saysKeepAlive;

    /// <summary>Null, or why the field is refused. Fields that are not known are ignored.</summary>
    public Rejection? Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, HttpRequest request)
    {
        switch (name.Length)
        {
            case 3 when Grammar.Is(name, "Via"u8):
            case 9 when Grammar.Is(name, "X-Real-IP"u8):
                request.IsForwarded = true;
                break;
            case 4 when Grammar.Is(name, "Host"u8):
                return AddHost(value);
            case 6 when Grammar.Is(name, "Accept"u8):
                _accept.Add(value);
                break;
            case 6 when Grammar.Is(name, "Origin"u8):
                if (!request[KeptField.Origin].IsEmpty)
                    return Rejections.RepeatedOrigin;
                request.Keep(KeptField.Origin, value);
                break;
            case 6 when Grammar.Is(name, "Expect"u8):
                return AddExpect(value, request);
            case 9 when Grammar.Is(name, "Forwarded"u8):
                request.IsForwarded = true;
                request.Keep(KeptField.Forwarded, value);
                break;
            case 10 when Grammar.Is(name, "Connection"u8):
                AddConnection(value);
                break;
            case 12 when Grammar.Is(name, "Content-Type"u8):
                return AddContentType(value, request);
            case 13 when Grammar.Is(name, "Last-Event-ID"u8):
                request.Keep(KeptField.LastEventId, value);
                break;
            case 15 when Grammar.Is(name, "Moshpit-Session"u8):
                request.HasSession = true;
                request.Keep(KeptField.Session, value);
                break;
            case 14 when Grammar.Is(name, "Content-Length"u8):
                return AddContentLength(value, request);
            case 15 when Grammar.Is(name, "X-Forwarded-For"u8):
                request.IsForwarded = true;
                request.Keep(KeptField.XForwardedFor, value);
                break;
            case 16 when Grammar.Is(name, "Content-Encoding"u8):
                request.HasContentEncoding |= !value.IsEmpty && !Grammar.Is(value, "identity"u8);
                break;
            case 17 when Grammar.Is(name, "Transfer-Encoding"u8):
                return AddTransferEncoding(value, request);
            case 30 when Grammar.Is(name, "Access-Control-Request-Headers"u8):
                request.Keep(KeptField.AccessControlRequestHeaders, value);
                break;
        }

        return null;
    }

    /// <summary>The header section has ended: null, or why the request as a whole is refused.</summary>
    public readonly Rejection? Complete(HttpRequest request)
    {
        // RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a
        // Host header field".
        if (!_hasHost && !request.IsHttp10)
            return Rejections.MissingHost;

        // Section 9.3: close, then the version, then keep-alive.
        request.KeepAlive = !_saysClose && (!request.IsHttp10 || _saysKeepAlive);
        request.AcceptsEventStream = _accept.AdmitsEventStream;
        request.NamesEventStream = _accept.NamesEventStream;
        request.NamesJson = _accept.NamesJson;

        // RFC 9110 section 10.1.1: an HTTP/1.0 request's expectation must be ignored; without a body there is nothing to wait for.
        request.ExpectsContinue &= request.HasBody && !request.IsHttp10;
        return null;
    }

    private Rejection? AddHost(ReadOnlySpan<byte> value)
    {
        if (_hasHost)
            return Rejections.RepeatedHost;
        _hasHost = true;

        // Nothing uses the value, so its grammar is not checked, only its characters. Clients that work elsewhere send the path of a Unix
        // socket ("//tmp/x.sock"), an IPv6 address without brackets ("::1:5000") or with its zone ("[fe80::1%lo]:5000"), or nothing.
        return value.ContainsAnyExcept(HostBytes) ? Rejections.MalformedHost : null;
    }

    private static Rejection? AddExpect(ReadOnlySpan<byte> value, HttpRequest request)
    {
        if (!Grammar.Is(value, "100-continue"u8))
            return Rejections.ExpectationFailed;
        request.ExpectsContinue = true;
        return null;
    }

    private void AddConnection(ReadOnlySpan<byte> value)
    {
        while (!value.IsEmpty)
        {
            ReadOnlySpan<byte> option = Grammar.CutListed(ref value);
            _saysClose |= Grammar.Is(option, "close"u8);
            _saysKeepAlive |= Grammar.Is(option, "keep-alive"u8);
        }
    }

    private Rejection? AddContentType(ReadOnlySpan<byte> value, HttpRequest request)
    {
        if (_hasContentType)
            return Rejections.RepeatedContentType;
        _hasContentType = true;
        request.ContentType = ContentTypeOf(Grammar.TrimBlanks(Grammar.Cut(ref value, (byte)';')));
        return null;
    }

    // RFC 9110 section 8.3.1: type and subtype are case-insensitive. Parameters change nothing here: JSON and forms are UTF-8.
    private static ContentType ContentTypeOf(ReadOnlySpan<byte> mediaType)
    {
        if (mediaType.IsEmpty)
            return ContentType.None;
        if (Grammar.Is(mediaType, "application/x-www-form-urlencoded"u8))
            return ContentType.Form;
        bool isJson = Grammar.Is(mediaType, "application/json"u8) || Grammar.Is(mediaType, "application/json-patch+json"u8)
            || Grammar.Is(mediaType, "application/vnd.api+json"u8) || Grammar.Is(mediaType, "application/csp-report"u8)
            || Grammar.Is(mediaType, "application/ld+json"u8);
        return isJson ? ContentType.Json : ContentType.Other;
    }

    // Content-Length = 1*DIGIT (RFC 9110 section 8.6). A list of equal numbers may be refused, and is.
    private Rejection? AddContentLength(ReadOnlySpan<byte> value, HttpRequest request)
    {
        if (_hasLength)
            return Rejections.RepeatedContentLength;
        if (_hasCoding)
            return Rejections.LengthWithTransferEncoding;
        if (value.IsEmpty)
            return Rejections.MalformedContentLength;
        long length = 0;
        foreach (byte octet in value)
        {
            if (octet is < (byte)'0' or > (byte)'9')
                return Rejections.MalformedContentLength;

            // Saturates: a number that wrapped around would be a small one, and the rest of the body the next request.
            int digit = octet - '0';
            length = length > (long.MaxValue - digit) / 10 ? long.MaxValue : length * 10 + digit;
        }

        _hasLength = true;
        request.Body = BodyKind.Length;
        request.ContentLength = length;
        return null;
    }

    // RFC 9112 section 6.1. With Content-Length "ought to be handled as an error", in HTTP/1.0 the framing is "faulty", and a coding
    // that is not understood "SHOULD" be answered with 501.
    private Rejection? AddTransferEncoding(ReadOnlySpan<byte> value, HttpRequest request)
    {
        if (_hasCoding)
            return Rejections.RepeatedTransferEncoding;
        if (_hasLength)
            return Rejections.LengthWithTransferEncoding;
        if (request.IsHttp10)
            return Rejections.TransferEncodingInHttp10;
        if (!Grammar.Is(value, "chunked"u8))
            return IsCodingList(value) ? Rejections.UnsupportedTransferEncoding : Rejections.MalformedTransferEncoding;
        _hasCoding = true;
        request.Body = BodyKind.Chunked;
        return null;
    }

    // #transfer-coding, here without parameters and without empty elements.
    private static bool IsCodingList(ReadOnlySpan<byte> value)
    {
        foreach (Range element in value.Split((byte)','))
        {
            if (!Grammar.IsToken(Grammar.TrimBlanks(value[element])))
                return false;
        }

        return true;
    }
}
