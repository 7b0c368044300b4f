namespace Moshpit.Server.Api;

/// <summary>
/// Splits a decoded key into its segments, as the npm library <c>qs</c> 2.4 does:
/// <code>
/// key     = [ name ] *( anything "[" [ name ] "]" )     ; name: anything but "[" and "]"
/// "[]"    the array's next element     "[0]" to "[20]"    an array's element     any other "[name]"    an object's member
/// </code>
/// Text between brackets is dropped, an unfinished bracket too. What follows the fifth bracket is one more name, brackets and all.
/// </summary>
internal static class FormKey
{
    /// <summary>Brackets that are taken apart.</summary>
    public const int MaxDepth = 5;

    /// <summary>The first name, the brackets, and the rest behind them.</summary>
    public const int MaxSegments = MaxDepth + 2;

    /// <summary>The largest index that makes an array; a larger one is the name of a member.</summary>
    public const int MaxIndex = 20;

    /// <summary>Fills <paramref name="path"/>, which has room for <see cref="MaxSegments"/>; answers how many there are.</summary>
    /// <param name="text">The decoded form.</param>
    /// <param name="key">Where in it the key stands.</param>
    /// <param name="isList">Whether the value is a list, because the key was repeated: a <c>[]</c> before a list adds no level.</param>
    /// <param name="path">Receives the segments.</param>
    public static int Split(ReadOnlySpan<byte> text, Slice key, bool isList, Span<FormSegment> path)
    {
        int end = key.Start + key.Length;
        int at = key.Start + LengthBeforeBracket(key.Of(text));
        int count = 0;
        if (at > key.Start)
            path[count++] = new FormSegment(FormName.Of(text, new Slice(key.Start, at - key.Start)), IsIndex: false);

        bool append = false;
        for (int depth = 0; TryFindBrackets(text, ref at, end, out Slice inner); depth++)
        {
            if (depth == MaxDepth)
            {
                int start = inner.Start - 1;
                Add(path, ref count, ref append, new FormSegment(FormName.Of(text, new Slice(start, end - start)), IsIndex: false));
                break;
            }

            if (inner.Length == 0)
            {
                // An array directly within "[]" is the same array: the level is added once it is known what follows.
                append = true;
                continue;
            }

            FormName name = FormName.Of(text, inner);
            Add(path, ref count, ref append, new FormSegment(name, name.IsNumber && name.Number <= MaxIndex));
        }

        if (append && !isList)
            path[count++] = new FormSegment(FormName.Of(0), IsIndex: true);
        return count;
    }

    private static void Add(Span<FormSegment> path, ref int count, ref bool append, FormSegment segment)
    {
        if (append && !segment.IsIndex)
            path[count++] = new FormSegment(FormName.Of(0), IsIndex: true);
        append = false;
        path[count++] = segment;
    }

    /// <summary>Finds the next <c>[</c> that a <c>]</c> follows before any other bracket.</summary>
    private static bool TryFindBrackets(ReadOnlySpan<byte> text, ref int at, int end, out Slice inner)
    {
        while (at < end)
        {
            int open = text[at..end].IndexOf((byte)'[');
            if (open < 0)
                break;
            int start = at + open + 1;
            at = start + LengthBeforeBracket(text[start..end]);
            if (at < end && text[at] == ']')
            {
                inner = new Slice(start, at - start);
                at++;
                return true;
            }
        }

        inner = default;
        return false;
    }

    private static int LengthBeforeBracket(ReadOnlySpan<byte> text)
    {
        int bracket = text.IndexOfAny((byte)'[', (byte)']');
        return bracket < 0 ? text.Length : bracket;
    }
}
