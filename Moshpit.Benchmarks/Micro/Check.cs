using System.Text;

namespace Moshpit.Benchmarks.Micro;

/// <summary>What is timed has to be right first.</summary>
internal static class Check
{
    public static void Equal(string expected, ReadOnlySpan<byte> actual)
    {
        string text = Encoding.UTF8.GetString(actual);
        if (text != expected)
            throw new InvalidOperationException($"'{text}' came out, not '{expected}'.");
    }

    public static void That(bool condition, string failure)
    {
        if (!condition)
            throw new InvalidOperationException(failure);
    }
}
