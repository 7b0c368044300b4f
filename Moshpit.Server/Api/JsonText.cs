using System.Buffers;
using System.Diagnostics;

namespace Moshpit.Server.Api;

/// <summary>
/// Writes JSON (RFC 8259) that fits behind <c>data: </c>: one line, no byte below 0x20, and no colon directly followed by a space,
/// because the original client splits each line of an event at <c>": "</c>. That pair becomes <c>:\u0020</c>, which is the same value.
/// </summary>
internal static class JsonText
{
    private static readonly SearchValues<byte> Blank = SearchValues.Create(" \t\r\n"u8);
    private static readonly SearchValues<byte> QuoteOrBlank = SearchValues.Create("\" \t\r\n"u8);
    private static readonly SearchValues<byte> NotPlain = SearchValues.Create(
        "\":\\\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008\u0009\u000A\u000B\u000C\u000D\u000E\u000F"u8 +
        "\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001A\u001B\u001C\u001D\u001E\u001F"u8);

    private static ReadOnlySpan<byte> ColonSpace => ": "u8;

    private static ReadOnlySpan<byte> ColonEscapedSpace => @":\u0020"u8;

    /// <summary>Writes <paramref name="json"/>, one value that was validated before, without the blanks between its tokens.</summary>
    public static void WriteCompact(ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        // No blank: nothing to drop, and no ": " to repair either.
        if (!json.ContainsAny(Blank))
        {
            output.Write(json);
            return;
        }

        // One span for all of it: a pretty-printed body has thousands of pieces too short for a call each.
        int bound = checked(json.Length + json.Count(ColonSpace) * (ColonEscapedSpace.Length - ColonSpace.Length));
        Span<byte> destination = output.GetSpan(bound);
        int written = 0;
        while (!json.IsEmpty)
        {
            int plain = json.IndexOfAny(QuoteOrBlank);
            if (plain < 0)
                plain = json.Length;
            json[..plain].CopyTo(destination[written..]);
            written += plain;
            json = json[plain..];
            if (json.IsEmpty)
                break;
            int length = 1;
            if (json[0] == '"')
            {
                length = StringLength(json);
                written += CopyRepaired(json[..length], destination[written..]);
            }

            json = json[length..];
        }

        output.Advance(written);
    }

    /// <summary>Writes <paramref name="text"/>, valid UTF-8, as a JSON string, escaping no more than it must.</summary>
    public static void WriteString(ReadOnlySpan<byte> text, IBufferWriter<byte> output)
    {
        output.Write("\""u8);
        while (true)
        {
            int plain = text.IndexOfAny(NotPlain);
            if (plain < 0)
                break;
            if (plain > 0)
                output.Write(text[..plain]);
            byte special = text[plain];
            text = text[(plain + 1)..];
            if (special != ':')
            {
                WriteEscaped(special, output);
            }
            else if (text.StartsWith((byte)' '))
            {
                output.Write(ColonEscapedSpace);
                text = text[1..];
            }
            else
            {
                output.Write(":"u8);
            }
        }

        output.Write(text);
        output.Write("\""u8);
    }

    /// <summary>Length of the string literal at the start of <paramref name="json"/>, its quotes included.</summary>
    private static int StringLength(ReadOnlySpan<byte> json)
    {
        int at = 1;
        while (true)
        {
            int next = json[at..].IndexOfAny((byte)'"', (byte)'\\');
            Debug.Assert(next >= 0, "the JSON was validated, so its strings end");
            at += next;
            if (json[at] == '"')
                return at + 1;
            at += 2;
        }
    }

    private static int CopyRepaired(ReadOnlySpan<byte> literal, Span<byte> destination)
    {
        int written = 0;
        while (true)
        {
            int pair = literal.IndexOf(ColonSpace);
            if (pair < 0)
                break;
            literal[..pair].CopyTo(destination[written..]);
            written += pair;
            ColonEscapedSpace.CopyTo(destination[written..]);
            written += ColonEscapedSpace.Length;
            literal = literal[(pair + ColonSpace.Length)..];
        }

        literal.CopyTo(destination[written..]);
        return written + literal.Length;
    }

    private static void WriteEscaped(byte special, IBufferWriter<byte> output)
    {
        ReadOnlySpan<byte> hex = "0123456789abcdef"u8;
        output.Write(special switch
        {
            (byte)'"' => "\\\""u8,
            (byte)'\\' => "\\\\"u8,
            (byte)'\b' => "\\b"u8,
            (byte)'\f' => "\\f"u8,
            (byte)'\n' => "\\n"u8,
            (byte)'\r' => "\\r"u8,
            (byte)'\t' => "\\t"u8,
            _ => [(byte)'\\', (byte)'u', (byte)'0', (byte)'0', hex[special >> 4], hex[special & 15]],
        });
    }
}
