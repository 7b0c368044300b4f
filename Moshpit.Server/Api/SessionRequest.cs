using System.Buffers;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Forms;
using Moshpit.Server.Http;

namespace Moshpit.Server.Api;

/// <summary>
/// What a GET says of a session and of a room: in fields, as programs do, or in its query, as a browser's EventSource and curl do.
/// </summary>
internal ref struct SessionRequest
{
    /// <summary>Bytes of what a peer may say about itself.</summary>
    private const int LongestMeta = 512;

    /// <summary>Different characters that a secret has at least.</summary>
    private const int LeastDifferent = 8;

    /// <summary>Bytes of the longest value of a query that can have a meaning, of which every character is escaped.</summary>
    private const int LongestValue = 3 * LongestMeta;

    /// <summary>Bytes of the longest name, likewise.</summary>
    private const int LongestName = 3 * 16;

    private static readonly SearchValues<byte> SecretBytes = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"u8);

    private SecretBuffer _secret;
    private int _length;

    private RoomSettings? _settings;

    /// <summary>The parameters that were there, one bit for each.</summary>
    private Parameters _seen;

    /// <summary>What is wrong with the session's own parameters; null: nothing.</summary>
    private Rejection? _mistake;

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

    /// <summary>A channel of that name is to be created if there is none.</summary>
    public bool Creates { get; private set; }

    /// <summary>The settings of a channel that it creates.</summary>
    public RoomSettings Settings
    {
        readonly get => _settings ?? RoomSettings.Default;
        private set => _settings = value;
    }

    /// <summary>What is wrong with these settings; null: nothing. A session that joins a channel is not refused for it.</summary>
    public Rejection? SettingsMistake { get; private set; }

    /// <summary>The session asks to hear of all other peers.</summary>
    public bool HearsAll { get; private set; }

    /// <summary>What the session says about itself, as compact JSON; null: nothing.</summary>
    public byte[]? Meta { get; private set; }

    /// <summary>The session's secret.</summary>
    [System.Diagnostics.CodeAnalysis.UnscopedRef]
    public readonly ReadOnlySpan<byte> Secret => ((ReadOnlySpan<byte>)_secret)[.._length];

    /// <summary>Reads <paramref name="request"/>. Null, or why it is refused. A stream without a session never is.</summary>
    public static Rejection? Read(HttpRequest request, out SessionRequest session)
    {
        session = default;
        if (request.Query.IsEmpty && !request.HasSession)
            return null;
        session.IsSession = request.HasSession;
        if (session.IsSession && !session.TrySet(request[KeptField.Session]))
            return ApiRejections.MalformedSession;
        session.Last = LastEventId.Parse(request[KeptField.LastEventId]);
        session.ReadQuery(request.Query, request.HasSession);
        return session.IsSession ? session._mistake : null;
    }

    private void ReadQuery(ReadOnlySpan<byte> query, bool hasField)
    {
        Span<byte> name = stackalloc byte[LongestName];
        Span<byte> value = stackalloc byte[LongestValue];
        while (!query.IsEmpty)
        {
            int end = query.IndexOf((byte)'&');
            ReadOnlySpan<byte> parameter = end < 0 ? query : query[..end];
            query = end < 0 ? default : query[(end + 1)..];
            int equals = parameter.IndexOf((byte)'=');
            ReadOnlySpan<byte> key = FormBody.DecodeShort(equals < 0 ? parameter : parameter[..equals], name);
            ReadOnlySpan<byte> text = equals < 0 ? default : FormBody.DecodeShort(parameter[(equals + 1)..], value);
            Parameters which = ParameterNamed(key);
            if (which == Parameters.LastId)
                Last = Last.IsGiven ? Last : LastEventId.Parse(text);
            else if (which != Parameters.None && (which != Parameters.Session || !hasField))
                ReadParameter(which, text);
        }
    }

    private void ReadParameter(Parameters which, scoped ReadOnlySpan<byte> text)
    {
        bool isRepeated = (_seen & which) != 0;
        _seen |= which;
        switch (which)
        {
            case Parameters.Session:
                IsSession = IsByQuery = true;
                Check(isRepeated ? ApiRejections.RepeatedSession : TrySet(text) ? null : ApiRejections.MalformedSession);
                break;
            case Parameters.Create:
                Creates = text.SequenceEqual("1"u8);
                Check(isRepeated ? ApiRejections.RepeatedParameter : Creates ? null : ApiRejections.MalformedCreate);
                break;
            case Parameters.Presence:
                HearsAll = text.SequenceEqual("all"u8);
                Check(isRepeated ? ApiRejections.RepeatedParameter : HearsAll ? null : ApiRejections.MalformedPresence);
                break;
            case Parameters.Meta:
                Check(isRepeated ? ApiRejections.RepeatedParameter : TrySetMeta(text) ? null : ApiRejections.MalformedMeta);
                break;
            default:
                if (isRepeated || !TrySetSetting(which, text))
                    SettingsMistake ??= isRepeated ? ApiRejections.RepeatedParameter : ApiRejections.MalformedSettings;
                break;
        }
    }

    /// <summary>The first mistake is told.</summary>
    private void Check(Rejection? mistake) => _mistake ??= mistake;

    private bool TrySetSetting(Parameters which, scoped ReadOnlySpan<byte> text)
    {
        switch (which)
        {
            case Parameters.Max when Message.ReadNumber(text) is { } max:
                Settings = Settings with { Max = (int)Math.Min(max, int.MaxValue) };
                return true;
            case Parameters.Publish when text.SequenceEqual("owner"u8) || text.SequenceEqual("all"u8):
                Settings = Settings with { OwnerPublishes = text.SequenceEqual("owner"u8) };
                return true;
            case Parameters.Keep when text is [(byte)'0' or (byte)'1']:
                Settings = Settings with { IsKept = text[0] == '1' };
                return true;
            default:
                return false;
        }
    }

    private bool TrySetMeta(scoped ReadOnlySpan<byte> text)
    {
        var json = new ArrayBufferWriter<byte>(text.Length + 1);
        if (text.Length > LongestMeta || !JsonBody.TryWriteValue(text, json))
            return false;
        Meta = json.WrittenSpan.ToArray();
        return true;
    }

    private static Parameters ParameterNamed(ReadOnlySpan<byte> name) =>
        name.SequenceEqual("session"u8) ? Parameters.Session
        : name.SequenceEqual("last_event_id"u8) || name.SequenceEqual("lastEventId"u8) ? Parameters.LastId
        : name.SequenceEqual("create"u8) ? Parameters.Create
        : name.SequenceEqual("max"u8) ? Parameters.Max
        : name.SequenceEqual("publish"u8) ? Parameters.Publish
        : name.SequenceEqual("keep"u8) ? Parameters.Keep
        : name.SequenceEqual("presence"u8) ? Parameters.Presence
        : name.SequenceEqual("meta"u8) ? Parameters.Meta
        : Parameters.None;

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

    /// <summary>What a query may name.</summary>
    [Flags]
    private enum Parameters : byte
    {
        None = 0,
        Session = 1,
        Create = 2,
        Max = 4,
        Publish = 8,
        Keep = 16,
        Presence = 32,
        Meta = 64,
        LastId = 128,
    }

    [System.Runtime.CompilerServices.InlineArray(SessionKey.LongestSecret)]
    private struct SecretBuffer
    {
        private byte _first;
    }
}
