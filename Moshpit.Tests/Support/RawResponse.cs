using System.Globalization;

namespace Moshpit.Tests.Support;

/// <summary>A response as it came.</summary>
/// <param name="Header">The status line and the header section, with the empty line.</param>
internal sealed record RawResponse(string Header)
{
    public string Body { get; init; } = "";

    public int Status => int.Parse(Header.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>Content-Length, where there is one.</summary>
    public int? Length => this["Content-Length"] is { } length ? int.Parse(length, CultureInfo.InvariantCulture) : null;

    /// <summary>A field's value, or null.</summary>
    public string? this[string name]
    {
        get
        {
            string start = $"\r\n{name}: ";
            int found = Header.IndexOf(start, StringComparison.OrdinalIgnoreCase);
            if (found < 0)
                return null;
            found += start.Length;
            return Header[found..Header.IndexOf("\r\n", found, StringComparison.Ordinal)];
        }
    }
}
