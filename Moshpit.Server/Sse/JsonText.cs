using System.Buffers;
using System.Diagnostics;

namespace Moshpit.Server.Sse;

/// <summary>
/// Writes JSON (RFC 8259) that fits behind <c>data: </c>, whatever reads the stream. What is escaped keeps its value.
/// <list type="bullet">
/// <item>No byte below 0x20. CR and LF end a line of an event stream; Python's <c>str.splitlines</c> also ends one at U+000B, U+000C and
/// U+001C to U+001E, and Swift and Perl's <c>\R</c> at the first two of these.</item>
/// <item>No U+0085, U+2028 or U+2029, which become <c>\u0085</c>, <c>\u2028</c> and <c>\u2029</c>. They end a line in
/// <c>str.splitlines</c>, Java's <c>Scanner</c>, .NET's <c>EnumerateLines</c>, Swift and <c>\R</c>; U+2028 and U+2029 also do in Node's
/// <c>readline</c>. Unescaped, they would let a peer forge events for such a reader.</item>
/// <item>No colon directly followed by a space, because the original client splits each line of an event at <c>": "</c>. That pair becomes
/// <c>:\u0020</c>.</item>
/// </list>
/// </summary>
internal static class JsonText
{
    /// <summary>The most bytes that one byte of a body becomes: a control character of a form is written as <c>\u0001</c>.</summary>
    public const int MostGrowth = 6;

    // 0xC2 and 0xE2 begin U+0085, U+2028 and U+2029, and some other characters.
    private static readonly SearchValues<byte> BlankOrLead = SearchValues.Create([.. " \t\r\n"u8, 0xC2, 0xE2]);
    private static readonly SearchValues<byte> QuoteOrBlank = SearchValues.Create("\" \t\r\n"u8);
    private static readonly SearchValues<byte> NotPlain = SearchValues.Create(
    [
        .. "\":\\\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008\u0009\u000A\u000B\u000C\u000D\u000E\u000F"u8,
        .. "\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001A\u001B\u001C\u001D\u001E\u001F"u8,
        0xC2, 0xE2,
    ]);

    private static ReadOnlySpan<byte> ColonSpace => ": "u8;

    private static ReadOnlySpan<byte> NextLine => "\u0085"u8;

    private static ReadOnlySpan<byte> LineSeparator => "\u2028"u8;

    private static ReadOnlySpan<byte> ParagraphSeparator => "\u2029"u8;

    /// <summary>Writes <paramref name="json"/>, one value that was validated before, without the blanks between its tokens.</summary>
    public static void WriteCompact(ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        // No blank: nothing to drop, and no ": " to repair either.
        if (!json.ContainsAny(BlankOrLead))
        {
            output.Write(json);
            return;
        }

        // One span for all of it: a pretty-printed body has thousands of pieces too short for a call each.
        Span<byte> destination = output.GetSpan(RepairedBound(json));
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
            text = text[plain..];
            if (text[0] is (byte)':' or 0xC2 or 0xE2)
            {
                output.Write(Repair(text, out int length));
                text = text[length..];
            }
            else
            {
                WriteEscaped(text[0], output);
                text = text[1..];
            }
        }

        output.Write(text);
        output.Write("\""u8);
    }

    /// <summary>
    /// What to write for the start of <paramref name="text"/>, a colon or a lead byte: an escape, or that byte as it is.
    /// <paramref name="length"/> is how much of the text it stands for.
    /// </summary>
    private static ReadOnlySpan<byte> Repair(ReadOnlySpan<byte> text, out int length)
    {
        ReadOnlySpan<byte> repaired = text[0] switch
        {
            (byte)':' when text.StartsWith(ColonSpace) => @":\u0020"u8,
            0xC2 when text.StartsWith(NextLine) => @"\u0085"u8,
            0xE2 when text.StartsWith(LineSeparator) => @"\u2028"u8,
            0xE2 when text.StartsWith(ParagraphSeparator) => @"\u2029"u8,
            _ => default,
        };
        if (repaired.IsEmpty)
        {
            length = 1;
            return text[..1];
        }

        length = text[0] == 0xE2 ? LineSeparator.Length : ColonSpace.Length;
        return repaired;
    }

    /// <summary>The most that <see cref="Repair"/> makes of <paramref name="json"/>.</summary>
    private static int RepairedBound(ReadOnlySpan<byte> json) => checked(json.Length
        + json.Count(ColonSpace) * (@":\u0020".Length - ColonSpace.Length)
        + json.Count(NextLine) * (@"\u0085".Length - NextLine.Length)
        + (json.Count(LineSeparator) + json.Count(ParagraphSeparator)) * (@"\u2028".Length - LineSeparator.Length));

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
            int plain = literal.IndexOfAny((byte)':', (byte)0xC2, (byte)0xE2);
            if (plain < 0)
                break;
            literal[..plain].CopyTo(destination[written..]);
            written += plain;
            literal = literal[plain..];
            ReadOnlySpan<byte> repaired = Repair(literal, out int length);
            repaired.CopyTo(destination[written..]);
            written += repaired.Length;
            literal = literal[length..];
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
