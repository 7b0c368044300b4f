using System.Buffers;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Forms;
using Moshpit.Server.Http;

namespace Moshpit.Server.Api;

/// <summary>What a GET says of a session: in fields, as programs do, or in its query, as a browser's EventSource and curl do.</summary>
internal ref struct SessionRequest
{
    /// <summary>Different characters that a secret has at least.</summary>
    private const int LeastDifferent = 8;

    /// <summary>Bytes of the longest component of a query that can have a meaning: a secret of which every character is escaped.</summary>
    private const int LongestComponent = 3 * SessionKey.LongestSecret;

    private static readonly SearchValues<byte> SecretBytes = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"u8);

    private SecretBuffer _secret;
    private int _length;

    /// <summary>The stream is to be a session's.</summary>
    public bool IsSession { get; private set; }

    /// <summary>The secret stands in the query.</summary>
    public bool IsByQuery { get; private set; }

    /// <summary>The last event that the client has had.</summary>
    public LastEventId Last { get; private set; }

    /// <summary>
    /// It comes from a browser's EventSource that comes back by itself, or from what behaves like one. A status other than 200 would end
    /// that for good.
    /// </summary>
    public readonly bool IsReconnect => IsByQuery && Last.IsGiven;

    /// <summary>The session's secret.</summary>
    [System.Diagnostics.CodeAnalysis.UnscopedRef]
    public readonly ReadOnlySpan<byte> Secret => ((ReadOnlySpan<byte>)_secret)[.._length];

    /// <summary>Reads <paramref name="request"/>. Null, or why it is refused.</summary>
    public static Rejection? Read(HttpRequest request, out SessionRequest session)
    {
        session = default;
        if (request.Query.IsEmpty && !request.HasSession)
            return null;
        session.IsSession = request.HasSession;
        if (session.IsSession && !session.TrySet(request[KeptField.Session]))
            return ApiRejections.MalformedSession;
        session.Last = LastEventId.Parse(request[KeptField.LastEventId]);
        return session.ReadQuery(request.Query, request.HasSession);
    }

    private Rejection? ReadQuery(ReadOnlySpan<byte> query, bool hasField)
    {
        Span<byte> name = stackalloc byte[LongestComponent];
        Span<byte> value = stackalloc byte[LongestComponent];
        while (!query.IsEmpty)
        {
            int end = query.IndexOf((byte)'&');
            ReadOnlySpan<byte> parameter = end < 0 ? query : query[..end];
            query = end < 0 ? default : query[(end + 1)..];
            int equals = parameter.IndexOf((byte)'=');
            ReadOnlySpan<byte> key = FormBody.DecodeShort(equals < 0 ? parameter : parameter[..equals], name);
            ReadOnlySpan<byte> text = equals < 0 ? default : FormBody.DecodeShort(parameter[(equals + 1)..], value);
            if (key.SequenceEqual("session"u8) && !hasField)
            {
                if (IsSession)
                    return ApiRejections.RepeatedSession;
                IsSession = IsByQuery = true;
                if (!TrySet(text))
                    return ApiRejections.MalformedSession;
            }
            else if (!Last.IsGiven && (key.SequenceEqual("last_event_id"u8) || key.SequenceEqual("lastEventId"u8)))
            {
                Last = LastEventId.Parse(text);
            }
        }

        return null;
    }

    private bool TrySet(scoped ReadOnlySpan<byte> secret)
    {
        if (secret.Length is < SessionKey.ShortestSecret or > SessionKey.LongestSecret || secret.ContainsAnyExcept(SecretBytes))
            return false;
        UInt128 seen = 0;
        foreach (byte character in secret)
            seen |= UInt128.One << character;
        if ((int)UInt128.PopCount(seen) < LeastDifferent)
            return false;
        secret.CopyTo(_secret);
        _length = secret.Length;
        return true;
    }

    [System.Runtime.CompilerServices.InlineArray(SessionKey.LongestSecret)]
    private struct SecretBuffer
    {
        private byte _first;
    }
}
