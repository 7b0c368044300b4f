using System.Text.Json;

namespace Moshpit.Tests.Support;

/// <summary>One stream of a session that was opened with raw bytes, and its events by their fields.</summary>
internal sealed class SessionPeer : IDisposable
{
    private SessionPeer(RawConnection stream, RawResponse response, SessionEvent connect)
    {
        Stream = stream;
        Response = response;
        Connect = connect;
    }

    public RawConnection Stream { get; }

    public RawResponse Response { get; }

    public SessionEvent Connect { get; }

    public string Id => Connect.Text("id");

    public string Cid => Connect.Text("cid");

    public string Token => Connect.Text("token");

    /// <summary>A secret that no other test has.</summary>
    public static string NewSecret() => Guid.NewGuid().ToString();

    /// <summary>Opens a stream of the session <paramref name="secret"/>, which a field names.</summary>
    public static Task<SessionPeer> OpenAsync(TestServer server, string target, string secret, string? last = null, string fields = "") =>
        OpenAsync(server.Connect(), target, FieldsOf(secret, last) + fields);

    public static async Task<SessionPeer> OpenAsync(RawConnection connection, string target, string fields)
    {
        connection.Send(Asking.Text("GET", target, fields));
        RawResponse response = await connection.ReadHeadAsync();
        Assert.That(response.Status, Is.EqualTo(200), response.Header);
        SessionEvent connect = SessionEvent.Parse(await connection.ReadUntilAsync("\n\n"));
        Assert.That(connect.Name, Is.EqualTo("connect"));
        return new SessionPeer(connection, response, connect);
    }

    public static string FieldsOf(string secret, string? last = null) =>
        $"Moshpit-Session: {secret}\r\n" + (last is null ? "" : $"Last-Event-ID: {last}\r\n");

    /// <summary>The next event, which is no comment.</summary>
    public async Task<SessionEvent> ReadAsync()
    {
        string text;
        do
            text = await Stream.ReadUntilAsync("\n\n");
        while (text.StartsWith(':'));
        return SessionEvent.Parse(text);
    }

    /// <summary>The next event, which must bear this name.</summary>
    public async Task<SessionEvent> ReadAsync(string name)
    {
        SessionEvent next = await ReadAsync();
        Assert.That(next.Name, Is.EqualTo(name), $"{next}");
        return next;
    }

    /// <summary>All events until the stream ends, however it does.</summary>
    public async Task<List<SessionEvent>> ReadAllAsync()
    {
        List<SessionEvent> events = [];
        while (await Stream.TryReadUntilAsync("\n\n") is { } text)
            events.Add(SessionEvent.Parse(text));
        return events;
    }

    /// <summary>Posts <paramref name="members"/>, JSON, and its token.</summary>
    public async Task<RawResponse> PostAsync(TestServer server, string members, string fields = "")
    {
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength("/" + Id, $"{{\"token\":\"{Token}\",{members}}}", PostText.Json + fields));
        return await connection.ReadResponseAsync();
    }

    /// <summary>Posts <paramref name="members"/>, which must be accepted.</summary>
    public async Task SendAsync(TestServer server, string members)
    {
        RawResponse response = await PostAsync(server, members);
        Assert.That((response.Status, response.Body), Is.EqualTo((200, "OK")));
    }

    public void Dispose() => Stream.Dispose();
}

/// <summary>An event with its fields.</summary>
internal sealed record SessionEvent(string Name, JsonElement Data, string? Id, string? From, int? Retry)
{
    /// <summary>The number of the event, without its sign.</summary>
    public long Sequence => long.Parse(Id!.TrimStart('-').Split('.')[0]);

    public static SessionEvent Parse(string text)
    {
        Dictionary<string, string> fields =
            text.TrimEnd('\n').Split('\n').Select(line => line.Split(": ", 2)).ToDictionary(line => line[0], line => line[1]);
        return new SessionEvent(
            fields["event"], JsonDocument.Parse(fields["data"]).RootElement, fields.GetValueOrDefault("id"),
            fields.GetValueOrDefault("from")?.Trim('"'), fields.TryGetValue("retry", out string? retry) ? int.Parse(retry) : null);
    }

    public string Text(string member) => Data.GetProperty(member).GetString()!;

    public long Number(string member) => Data.GetProperty(member).GetInt64();

    public bool Flag(string member) => Data.GetProperty(member).GetBoolean();
}
