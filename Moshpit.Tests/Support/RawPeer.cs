using System.Text;
using System.Text.Json;

namespace Moshpit.Tests.Support;

/// <summary>A stream that was opened with raw bytes.</summary>
internal sealed class RawPeer : IDisposable
{
    private RawPeer(RawConnection stream, RawResponse response, JsonElement connect)
    {
        Stream = stream;
        Response = response;
        Id = connect.GetProperty("id").GetString()!;
        Cid = connect.GetProperty("cid").GetString()!;
        Token = connect.GetProperty("token").GetString()!;
    }

    public RawConnection Stream { get; }

    public RawResponse Response { get; }

    public string Id { get; }

    public string Cid { get; }

    public string Token { get; }

    public static async Task<RawPeer> OpenAsync(RawConnection connection, string target, string fields = "")
    {
        connection.Send($"GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
        RawResponse response = await connection.ReadHeadAsync();
        Assert.That(response.Status, Is.AnyOf(200, 201), response.Header);
        string connect = await connection.ReadUntilAsync("\n\n");
        Assert.That(connect, Does.StartWith("event: connect\ndata: "));
        return new RawPeer(connection, response, JsonDocument.Parse(connect["event: connect\ndata: ".Length..]).RootElement);
    }

    /// <summary>The next event or comment, without its empty line.</summary>
    public async Task<string> ReadEventAsync() => (await Stream.ReadUntilAsync("\n\n"))[..^2];

    /// <summary>The data of the next event, which must be a signal.</summary>
    public async Task<string> ReadSignalAsync()
    {
        string signal = await ReadEventAsync();
        Assert.That(signal, Does.StartWith("event: signal\ndata: "));
        return signal["event: signal\ndata: ".Length..];
    }

    /// <summary>All events until the server closes.</summary>
    public async Task<List<string>> ReadAllAsync()
    {
        var events = new List<string>();
        while (await Stream.TryReadUntilAsync("\n\n") is { } text)
            events.Add(text[..^2]);
        return events;
    }

    /// <summary>A POST of <paramref name="data"/>, JSON text, in this peer's name.</summary>
    public string Post(string data, string? cid = null)
    {
        string addressee = cid is null ? "" : $"\"cid\":\"{cid}\",";
        string body = $"{{\"token\":\"{Token}\",{addressee}\"data\":{data}}}";
        return $"POST /{Id} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
            $"Content-Length: {Encoding.Latin1.GetByteCount(body)}\r\n\r\n{body}";
    }

    /// <summary>Posts over a connection of its own, and requires a 200.</summary>
    public async Task SendAsync(TestServer server, string data, string? cid = null)
    {
        using RawConnection connection = server.Connect();
        connection.Send(Post(data, cid));
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(200), response.Body);
    }

    public string JoinOf(RawPeer other) => $"event: join\ndata: {{\"id\":\"{Id}\",\"cid\":\"{other.Cid}\"}}";

    public string LeaveOf(RawPeer other) => $"event: leave\ndata: {{\"id\":\"{Id}\",\"cid\":\"{other.Cid}\"}}";

    public void Dispose() => Stream.Dispose();
}
