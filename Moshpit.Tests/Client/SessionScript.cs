using System.Globalization;
using System.Text;

namespace Moshpit.Tests.Client;

/// <summary>What a scripted server with sessions says, and what it is asked.</summary>
internal static class SessionScript
{
    /// <summary>The number of the event with which the peer joined.</summary>
    public const long Joined = 1_000_000_001;

    /// <summary>A receipt for a message.</summary>
    public const string Receipt = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n"
        + """{"event":"1000000002.1","to":12}""";

    public static string Connect(
        bool resumed = false, long id = Joined, string cid = RawServer.Cid, string token = RawServer.Token, string more = "") =>
        $$"""
        event: connect
        data: {"id":"{{RawServer.Id}}","cid":"{{cid}}","token":"{{token}}","resumed":{{(resumed ? "true" : "false")}},"n":2{{Rest(more)}}}
        id: {{id}}.0


        """;

    /// <summary>The message that has its number as its data, from the peer with the number 3.</summary>
    public static string Signal(long number) =>
        $"event: signal\ndata: {number}\nid: {Joined + number}.3\nfrom: \"{new string('c', 32)}\"\n\n";

    public static string Bye(string reason, bool again, string id, int retry = 0) =>
        $"event: bye\ndata: {{\"reason\":\"{reason}\",\"again\":{(again ? "true" : "false")}}}\nid: {id}\nretry: {retry}\n\n";

    public static string Status(int status, string fields = "") =>
        $"HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n{fields}\r\n";

    /// <summary>A refusal as the server gives it to those that ask for JSON.</summary>
    public static string Refusal(int status, string error, string fields = "")
    {
        string body = $"{{\"status\":{status},\"error\":\"{error}\",\"message\":\"No.\"}}";
        return $"HTTP/1.1 {status} No\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n{fields}\r\n{body}";
    }

    /// <summary>A field of a request; null: it has none of this name.</summary>
    public static string? FieldOf(string request, string name) => request.Split("\r\n")
        .FirstOrDefault(line => line.StartsWith(name + ": ", StringComparison.Ordinal))?[(name.Length + 2)..];

    /// <summary>An event in a chunk of its own.</summary>
    public static string Chunk(string text) =>
        $"{Encoding.UTF8.GetByteCount(text).ToString("x", CultureInfo.InvariantCulture)}\r\n{text}\r\n";

    private static string Rest(string more) =>
        (more.Contains("grace") ? "" : ",\"grace\":30") + (more.Contains("heartbeat") ? "" : ",\"heartbeat\":25") + more;
}
