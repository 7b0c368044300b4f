using System.Text;
using System.Text.Json;

namespace Moshpit.Tests.Fuzz;

/// <summary>What stands behind <c>data: </c> must fit there.</summary>
internal static class EventData
{
    /// <summary>Throws unless <paramref name="data"/> is one JSON value, compact, on one line, and safe for the original client.</summary>
    public static void RequireSafe(ReadOnlySpan<byte> data)
    {
        if (data.IndexOfAnyInRange((byte)0, (byte)31) >= 0)
            throw new FuzzException("Event data holds a control character.");
        if (data.IndexOf("\u0085"u8) >= 0 || data.IndexOf("\u2028"u8) >= 0 || data.IndexOf("\u2029"u8) >= 0)
            throw new FuzzException("Event data holds a character at which some readers end a line.");
        if (data.IndexOf(": "u8) >= 0)
            throw new FuzzException("Event data holds a colon and a space, which the original client takes for the end of a name.");
        try
        {
            var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 64 });
            while (reader.Read())
            {
            }
        }
        catch (JsonException e)
        {
            throw new FuzzException($"Event data is no JSON: {e.Message}");
        }
    }

    /// <summary>The tokens of a JSON value as they are spelled, so that values are the same exactly where this is.</summary>
    public static string Tokens(ReadOnlySpan<byte> json)
    {
        var tokens = new StringBuilder();
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 64 });
        while (reader.Read())
            tokens.Append((int)reader.TokenType).Append(Unrepaired(Encoding.UTF8.GetString(reader.ValueSpan))).Append('\n');
        return tokens.ToString();
    }

    private static string Unrepaired(string text) =>
        text.Replace(@":\u0020", ": ").Replace(@"\u0085", "\u0085").Replace(@"\u2028", "\u2028").Replace(@"\u2029", "\u2029");
}
