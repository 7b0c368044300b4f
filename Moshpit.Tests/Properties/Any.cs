using System.Text;
using CsCheck;
using Moshpit.Tests.Fuzz;

namespace Moshpit.Tests.Properties;

/// <summary>
/// What the properties are tried on. Each is tried 100 times by default; <c>CsCheck_Iter=10000</c> or <c>CsCheck_Time=600</c> (seconds) in
/// the environment make it more, and <c>CsCheck_Seed</c> repeats the case that a failing test has printed.
/// </summary>
internal static class Any
{
    private static readonly Gen<string> Piece = Gen.OneOf(
        "", "a", "token", "data", " ", ": ", ":", ":  ", "\\u0020", ":\\u0020", "\\n", "\\r\\n", "\\\"", "\\\\", "\\/", "\\u0000",
        "\\ud83d\\ude00",
        "\\ud800", "é", "\U0001F600", "\u2028", "\u007f", "\u0085", "{", "}", "[", "]", ",", "&", "=", "%", "+");

    private static readonly Gen<string> Number = Gen.OneOf(
        Gen.OneOf("0", "-0", "0.0", "1.5e-7", "-12E+3", "12345678901234567890123", "1e999"), Gen.Int.Select(i => $"{i}"));

    /// <summary>A JSON string with its quotes. Half surrogates are in some of them.</summary>
    public static readonly Gen<string> JsonString = Piece.Array[0, 6].Select(pieces => $"\"{string.Concat(pieces)}\"");

    private static readonly Gen<string> Scalar = Gen.OneOf(Gen.OneOf("null", "true", "false"), Number, JsonString);

    /// <summary>Blanks between tokens, mostly none.</summary>
    public static readonly Gen<string> Blank = Gen.OneOf("", "", "", "", " ", "\n", "\r", "\r\n", "\t ");

    /// <summary>Any JSON value, spelled in any way.</summary>
    public static readonly Gen<string> Json = JsonOfDepth(4);

    /// <summary>Text that a browser or a program could hold: no half surrogates.</summary>
    public static readonly Gen<string> Text = Gen.OneOf(
        Gen.OneOf(
            "a", "b c", "é", "\U0001F600", "&=+%", "%zz", "a: b", "\"\\\n", "\0\u001f", "\u0085\u2028\u2029", "%5B", "1", "__proto__",
            "length"),
        Gen.String[Gen.Char[' ', '~'], 0, 8]);

    public static readonly Gen<byte[]> Bytes = Gen.Byte.Array[0, 200];

    /// <summary>Where to cut, as fractions of what is cut.</summary>
    public static readonly Gen<double[]> Cuts = Gen.Double.Unit.Array[0, 6];

    public static byte[][] Cut(byte[] whole, double[] cuts)
    {
        int start = 0;
        int[] ends = [.. cuts.Select(cut => (int)(cut * whole.Length)).Where(end => end > 0).Distinct().Order(), whole.Length];
        return [.. ends.Select(end => whole[start..(start = end)])];
    }

    /// <summary>
    /// Throws unless both are the same. (An assertion of NUnit would count as a failure while the case is still being made smaller.)
    /// </summary>
    public static void RequireSame<T>(T actual, T expected)
    {
        if (!EqualityComparer<T>.Default.Equals(actual, expected))
            throw new FuzzException($"{actual}\ninstead of\n{expected}");
    }

    public static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    private static Gen<string> JsonOfDepth(int depth)
    {
        if (depth == 0)
            return Scalar;
        Gen<string> inner = Gen.Select(Blank, JsonOfDepth(depth - 1), Blank, (before, value, after) => before + value + after);
        Gen<string> member = Gen.Select(Blank, JsonString, Blank, inner, (before, name, after, value) => $"{before}{name}{after}:{value}");
        return Gen.Frequency(
            (3, Scalar),
            (1, inner.Array[0, 4].Select(Blank, (items, blank) => items.Length == 0 ? $"[{blank}]" : $"[{string.Join(',', items)}]")),
            (2, member.Array[0, 4].Select(Blank, (items, blank) => items.Length == 0 ? $"{{{blank}}}" : $"{{{string.Join(',', items)}}}")));
    }
}
