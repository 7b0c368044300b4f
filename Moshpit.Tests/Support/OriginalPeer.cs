using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Moshpit.Tests.Support;

/// <summary>
/// A stream as the original JavaScript client reads it: the body is split at empty lines, a row at line ends, a line at <c>": "</c>, of
/// whose parts it takes the second. The first line gives the name of the event; what the others give must be JSON.
/// </summary>
internal sealed class OriginalPeer : IDisposable
{
    private readonly RawConnection _connection;
    private readonly bool _isChunked;
    private string _body = "";

    private OriginalPeer(RawConnection connection, RawResponse response)
    {
        _connection = connection;
        Response = response;
        _isChunked = response["Transfer-Encoding"] == "chunked";
    }

    public RawResponse Response { get; }

    /// <summary>Sends <paramref name="request"/> and reads the head of what is answered.</summary>
    public static async Task<OriginalPeer> OpenAsync(RawConnection connection, string request)
    {
        connection.Send(request);
        return new OriginalPeer(connection, new RawResponse(await connection.ReadUntilAsync("\r\n\r\n")));
    }

    /// <summary>The next row: its event, and the data of its second line.</summary>
    public async Task<(string Event, JsonElement Data)> ReadAsync()
    {
        int end;
        while ((end = _body.IndexOf("\n\n", StringComparison.Ordinal)) < 0)
            _body += await ReadBodyAsync();
        string[] lines = Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(_body[..end])).Split('\n');
        _body = _body[(end + 2)..];
        Assert.That(lines[0], Does.StartWith("event: "));
        JsonElement[] values = [.. lines.Skip(1).Select(line => JsonDocument.Parse(Value(line)).RootElement)];
        return (Value(lines[0]), values[0]);
    }

    public void Dispose() => _connection.Dispose();

    private static string Value(string line) => line.Split(": ")[1];

    /// <summary>Some more of the body, which is chunked (RFC 9112, section 7.1) or ends with the connection.</summary>
    private async Task<string> ReadBodyAsync()
    {
        if (!_isChunked)
            return await _connection.ReadUntilAsync("\n");
        string size = (await _connection.ReadUntilAsync("\r\n")).Split(';')[0].Trim();
        string chunk = await _connection.ReadAsync(int.Parse(size, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
        Assert.That(await _connection.ReadAsync(2), Is.EqualTo("\r\n"));
        Assert.That(chunk, Is.Not.Empty, "the stream ended");
        return chunk;
    }
}
