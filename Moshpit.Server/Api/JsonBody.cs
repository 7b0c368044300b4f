using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Forms;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Api;

/// <summary>
/// Reads a POST's body as JSON (RFC 8259): UTF-8 without a byte order mark, an object or an array, at most 64 levels deep.
/// The fields count at the top level of an object only; of a repeated one the last counts.
/// </summary>
internal static class JsonBody
{
    /// <summary>Levels of objects and arrays, the outermost included (PROTOCOL.md, part 2: bounded work).</summary>
    public const int MaxDepth = 64;

    // "publish" is the longest name. Anything longer than this, once unescaped, is none of the fields.
    private const int MaxNameLength = 8;

    private enum Field
    {
        None,
        Token,
        Data,
        Cid,
        Echo,
        Number,
        Verb,
        Stream,
        After,
        From,
        Max,
        Publish,
        Locked,
        Keep,
    }

    /// <summary>Reads <paramref name="body"/>; writes its <c>data</c>, compact and on one line, to <paramref name="data"/>.</summary>
    /// <returns>False, with a sentence for the client and nothing written, where the body is no such JSON.</returns>
    public static bool TryParse(
        ReadOnlySpan<byte> body, IBufferWriter<byte> data, out Message message, [NotNullWhen(false)] out string? error)
    {
        message = default;
        // The reader looks at bytes, not at characters: it would let broken UTF-8 inside a string through.
        if (!Utf8.IsValid(body))
        {
            error = NotUtf8(body);
            return false;
        }

        Range value;
        try
        {
            if (!TryRead(body, ref message, out value))
            {
                message = default;
                error = "The body must be a JSON object, such as {\"token\":\"...\",\"data\":...}, not a bare value.";
                return false;
            }
        }
        catch (JsonException exception)
        {
            message = default;
            error = NotJson(exception);
            return false;
        }

        if (message.HasData)
            JsonText.WriteCompact(body[value], data);
        error = null;
        return true;
    }

    /// <summary>Writes <paramref name="json"/> compact and on one line. False: it is not one JSON value, and nothing was written.</summary>
    public static bool TryWriteValue(ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        if (!Utf8.IsValid(json))
            return false;
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
            while (reader.Read())
                continue;
        }
        catch (JsonException)
        {
            return false;
        }

        JsonText.WriteCompact(json, output);
        return true;
    }

    private static bool TryRead(ReadOnlySpan<byte> body, ref Message message, out Range data)
    {
        data = default;
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
        reader.Read();
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                ReadField(ref reader, body, ref message, ref data);
        }
        else if (reader.TokenType == JsonTokenType.StartArray)
        {
            reader.Skip();
        }
        else
        {
            return false;
        }

        // Throws where anything but blanks follows.
        reader.Read();
        return true;
    }

    private static void ReadField(ref Utf8JsonReader reader, ReadOnlySpan<byte> body, ref Message message, ref Range data)
    {
        Field field = FieldNamed(reader.ValueSpan);
        reader.Read();
        int start = (int)reader.TokenStartIndex;
        Span<byte> id = stackalloc byte[HexId.Length];
        int textLength = 0;
        switch (field)
        {
            case Field.Token when reader.TokenType == JsonTokenType.String && TryUnescape(reader.ValueSpan, id, out int length):
                message.SetToken(id[..length]);
                break;
            case Field.Token:
                message.SetToken(default);
                break;
            case Field.Cid when reader.TokenType == JsonTokenType.String && TryUnescape(reader.ValueSpan, id, out int length):
                message.SetCid(id[..length]);
                break;
            case Field.Cid when reader.TokenType == JsonTokenType.Null:
                message.SetCid(default);
                break;
            case Field.Cid when TryReadStrings(reader, body, out Addressees? several):
                message.SetCids(several);
                break;
            case Field.Cid:
                message.SetMalformedCid();
                break;
            case Field.Echo:
                message.SetEcho(Flag(reader));
                break;
            case Field.Number:
                message.SetNumber(WholeNumber(reader));
                break;
            case Field.Verb:
                bool isText = reader.TokenType == JsonTokenType.String && TryUnescape(reader.ValueSpan, id, out textLength);
                message.SetVerb(isText ? id[..textLength] : default);
                break;
            case Field.Publish:
                isText = reader.TokenType == JsonTokenType.String && TryUnescape(reader.ValueSpan, id, out textLength);
                message.SetPublish(isText ? id[..textLength] : default);
                break;
            case Field.From:
                message.SetFrom(WholeNumber(reader));
                break;
            case Field.Max:
                message.SetMax(WholeNumber(reader));
                break;
            case Field.Locked:
                message.SetLocked(Flag(reader));
                break;
            case Field.Keep:
                message.SetKeep(Flag(reader));
                break;
            case Field.Stream:
                message.SetStream(WholeNumber(reader));
                break;
            case Field.After:
                message.SetAfter(WholeNumber(reader));
                break;
        }

        reader.Skip();
        if (field == Field.Data)
        {
            message.HasData = true;
            data = start..(int)reader.BytesConsumed;
        }
    }

    /// <summary>The word of a truth value; empty for what is none.</summary>
    private static ReadOnlySpan<byte> Flag(in Utf8JsonReader reader) =>
        reader.TokenType is JsonTokenType.True or JsonTokenType.False ? reader.ValueSpan : default;

    /// <summary>The digits of a number; empty for what is none.</summary>
    private static ReadOnlySpan<byte> WholeNumber(in Utf8JsonReader reader) =>
        reader.TokenType == JsonTokenType.Number ? reader.ValueSpan : default;

    /// <summary>Looks ahead, on a copy of <paramref name="reader"/>, whether an array of strings follows, which name peers.</summary>
    private static bool TryReadStrings(Utf8JsonReader reader, ReadOnlySpan<byte> body, [NotNullWhen(true)] out Addressees? several)
    {
        several = null;
        if (reader.TokenType != JsonTokenType.StartArray)
            return false;
        Span<byte> id = stackalloc byte[HexId.Length];
        var names = new Addressees();
        while (reader.Read() && reader.TokenType == JsonTokenType.String)
        {
            ReadOnlySpan<byte> json = body[(int)reader.TokenStartIndex..(int)reader.BytesConsumed];
            names.Add(TryUnescape(reader.ValueSpan, id, out int length) ? id[..length] : default, json);
        }

        several = reader.TokenType == JsonTokenType.EndArray ? names : null;
        return several is not null;
    }

    private static Field FieldNamed(ReadOnlySpan<byte> escaped)
    {
        Span<byte> buffer = stackalloc byte[MaxNameLength];
        if (!TryUnescape(escaped, buffer, out int length))
            return Field.None;
        ReadOnlySpan<byte> name = buffer[..length];
        return name.SequenceEqual("token"u8) ? Field.Token
            : name.SequenceEqual("data"u8) ? Field.Data
            : name.SequenceEqual("cid"u8) ? Field.Cid
            : name.SequenceEqual("echo"u8) ? Field.Echo
            : name.SequenceEqual("seq"u8) ? Field.Number
            : name.SequenceEqual("do"u8) ? Field.Verb
            : name.SequenceEqual("stream"u8) ? Field.Stream
            : name.SequenceEqual("from"u8) ? Field.From
            : name.SequenceEqual("max"u8) ? Field.Max
            : name.SequenceEqual("publish"u8) ? Field.Publish
            : name.SequenceEqual("locked"u8) ? Field.Locked
            : name.SequenceEqual("keep"u8) ? Field.Keep
            : name.SequenceEqual("after"u8) ? Field.After
            : Field.None;
    }

    /// <summary>
    /// Copies what stood between the quotes of a valid string, with <c>\u00XX</c> undone. False for what doesn't fit, and for every
    /// other escape: field names and ids are letters and digits, which no other escape can stand for.
    /// </summary>
    /// <remarks>Not the reader's own comparison: that throws on a lone surrogate, which is a legal name, only none of ours.</remarks>
    private static bool TryUnescape(ReadOnlySpan<byte> escaped, Span<byte> destination, out int length)
    {
        length = 0;
        while (!escaped.IsEmpty)
        {
            if (length == destination.Length)
                return false;
            byte next = escaped[0];
            int consumed = 1;
            if (next == '\\')
            {
                if (escaped[1] != 'u' || !Utf8Parser.TryParse(escaped[2..6], out ushort code, out _, 'x') || code > 0x7F)
                    return false;
                next = (byte)code;
                consumed = 6;
            }

            destination[length++] = next;
            escaped = escaped[consumed..];
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string NotUtf8(ReadOnlySpan<byte> body)
    {
        int valid = 0;
        while (Rune.DecodeFromUtf8(body[valid..], out _, out int length) == OperationStatus.Done)
            valid += length;
        return $"The body must be UTF-8 throughout, and is not at byte {valid + 1}.";
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string NotJson(JsonException exception)
    {
        long line = (exception.LineNumber ?? 0) + 1, at = (exception.BytePositionInLine ?? 0) + 1;
        return $"The body is not valid JSON at line {line}, byte {at}; "
            + $"send one complete object, such as {{\"token\":\"...\",\"data\":...}}, nested at most {MaxDepth} deep.";
    }
}
