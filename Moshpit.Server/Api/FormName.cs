using System.Globalization;

namespace Moshpit.Server.Api;

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
