using System.Globalization;

namespace Moshpit.Server.Forms;

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

    /// <summary>Fills <paramref name="path"/>, which has room for <see cref="MaxSegments"/>, and returns the number of segments.</summary>
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

/// <summary>One step of a key such as <c>data[a][0]</c>: into an array where <paramref name="IsIndex"/>, else into an object.</summary>
internal readonly record struct FormSegment(FormName Name, bool IsIndex);

/// <summary>
/// The name of a value within its object or array. A name that reads as a whole number is kept as that number, so that the elements
/// of an array keep their names when the array turns into an object.
/// </summary>
internal readonly record struct FormName
{
    /// <summary>The most digits that are read as a number: what fits an <see cref="int"/> whatever the digits.</summary>
    public const int MaxDigits = 9;

    private FormName(Slice text, int number)
    {
        Text = text;
        Number = number;
    }

    /// <summary>The name as text; empty where it is a number.</summary>
    public Slice Text { get; }

    /// <summary>The name as a number; negative where it is text.</summary>
    public int Number { get; }

    public bool IsNumber => Number >= 0;

    public static FormName Of(int number) => new(default, number);

    /// <summary>The name at <paramref name="slice"/> of <paramref name="text"/>: a number only in its one shortest spelling.</summary>
    public static FormName Of(ReadOnlySpan<byte> text, Slice slice)
    {
        ReadOnlySpan<byte> name = slice.Of(text);
        bool isNumber = name.Length is > 0 and <= MaxDigits
            && !name.ContainsAnyExceptInRange((byte)'0', (byte)'9')
            && (name[0] != '0' || name.Length == 1);
        return isNumber ? Of(int.Parse(name, NumberStyles.None, CultureInfo.InvariantCulture)) : new FormName(slice, -1);
    }
}
