using System.Buffers;
using System.Text;

namespace Moshpit.Server.Http;

/// <summary>The rules of RFC 9110 section 5.6 that the single fields are made of.</summary>
internal static class Grammar
{
    private static readonly SearchValues<byte> TokenBytes = SearchValues.Create(
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>token = 1*tchar</summary>
    public static bool IsToken(ReadOnlySpan<byte> text) => !text.IsEmpty && !text.ContainsAnyExcept(TokenBytes);

    /// <summary>Whether <paramref name="text"/> is <paramref name="word"/>, which is ASCII, in any case.</summary>
    public static bool Is(ReadOnlySpan<byte> text, ReadOnlySpan<byte> word) => Ascii.EqualsIgnoreCase(text, word);

    /// <summary>Without the OWS around it, which is SP and HTAB only.</summary>
    public static ReadOnlySpan<byte> TrimBlanks(ReadOnlySpan<byte> text) => text.Trim(" \t"u8);

    /// <summary>
    /// Cuts off what stands before the first <paramref name="delimiter"/> outside a quoted-string. The delimiter stays
    /// in <paramref name="rest"/>.
    /// A quoted-string that is never closed reaches to the end, which makes the element malformed and hides nothing in it.
    /// </summary>
    public static ReadOnlySpan<byte> Cut(scoped ref ReadOnlySpan<byte> rest, byte delimiter)
    {
        int end = 0;
        while (end < rest.Length && rest[end] != delimiter)
            end += rest[end] == '"' ? QuotedLength(rest[end..], out _) : 1;
        ReadOnlySpan<byte> element = rest[..end];
        rest = rest[end..];
        return element;
    }

    /// <summary>
    /// The next element of a comma-separated list, without the blanks around it. Elements may be empty (section 5.6.1.2).
    /// </summary>
    public static ReadOnlySpan<byte> CutListed(ref ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> element = Cut(ref rest, (byte)',');
        if (!rest.IsEmpty)
            rest = rest[1..];
        return TrimBlanks(element);
    }

    /// <summary>
    /// name [ "=" ( token / quoted-string ) ]; no blanks around the equals sign. Quotes stay in <paramref name="value"/>.
    /// </summary>
    public static bool TryReadParameter(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        int equals = text.IndexOf((byte)'=');
        name = equals < 0 ? text : text[..equals];
        value = equals < 0 ? default : text[(equals + 1)..];
        return IsToken(name) && (equals < 0 || IsToken(value) || IsQuoted(value));
    }

    private static bool IsQuoted(ReadOnlySpan<byte> text) =>
        text.StartsWith("\""u8) && QuotedLength(text, out bool closed) == text.Length && closed;

    // quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE; all of the text where it is not closed.
    private static int QuotedLength(ReadOnlySpan<byte> text, out bool closed)
    {
        closed = false;
        int i = 1;
        for (; i < text.Length && !closed; i++)
        {
            closed = text[i] == '"';
            if (text[i] == '\\')
                i++;
        }

        return Math.Min(i, text.Length);
    }
}
