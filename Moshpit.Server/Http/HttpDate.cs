using System.Diagnostics;

namespace Moshpit.Server.Http;

/// <summary>
/// The Date field line, which every response carries (RFC 9110 section 6.6.1), as IMF-fixdate (section 5.6.7). It is made once a second and
/// shared by all threads: what is published is never changed again, and if two threads make it at once either will do.
/// </summary>
internal sealed class HttpDate(TimeProvider clock)
{
    private volatile Stamp? _latest;

    /// <summary>By the clock of the system.</summary>
    public static HttpDate System { get; } = new(TimeProvider.System);

    /// <summary><c>Date: Sun, 06 Nov 1994 08:49:37 GMT</c> with its CRLF.</summary>
    public ReadOnlySpan<byte> FieldLine
    {
        get
        {
            DateTimeOffset now = clock.GetUtcNow();
            long second = now.ToUnixTimeSeconds();
            Stamp? latest = _latest;
            if (latest is null || latest.Second != second)
                _latest = latest = new Stamp(second, Format(now));
            return latest.FieldLine;
        }
    }

    private static byte[] Format(DateTimeOffset now)
    {
        byte[] line = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"u8.ToArray();
        bool fits = now.TryFormat(line.AsSpan(6), out int written, "r");
        Debug.Assert(fits && written == line.Length - 8, "RFC 1123 dates are all of one length.");
        return line;
    }

    private sealed record Stamp(long Second, byte[] FieldLine);
}
