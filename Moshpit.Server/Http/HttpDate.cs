using System.Diagnostics;

namespace Moshpit.Server.Http;

/// <summary>
/// The Date field line, which every response carries (RFC 9110 section 6.6.1), as IMF-fixdate (section 5.6.7). A tick of the clock makes
/// it; a response only copies it.
/// </summary>
internal sealed class HttpDate
{
    private readonly TimeProvider _time;
    private volatile Stamp _latest;

    public HttpDate(TimeProvider time)
    {
        _time = time;
        _latest = Of(time.GetUtcNow());
    }

    /// <summary><c>Date: Sun, 06 Nov 1994 08:49:37 GMT</c> with its CRLF, as of the last tick.</summary>
    public ReadOnlySpan<byte> FieldLine => _latest.FieldLine;

    /// <summary>Called when time has passed, at least once a second.</summary>
    public void OnTick()
    {
        DateTimeOffset now = _time.GetUtcNow();
        if (now.ToUnixTimeSeconds() != _latest.Second)
            _latest = Of(now);
    }

    private static Stamp Of(DateTimeOffset time) => new(time.ToUnixTimeSeconds(), Format(time));

    private static byte[] Format(DateTimeOffset now)
    {
        byte[] line = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"u8.ToArray();
        bool fits = now.TryFormat(line.AsSpan(6), out int written, "r");
        Debug.Assert(fits && written == line.Length - 8, "RFC 1123 dates are all of one length.");
        return line;
    }

    private sealed record Stamp(long Second, byte[] FieldLine);
}
