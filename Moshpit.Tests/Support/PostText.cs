using System.Globalization;
using System.Text;

namespace Moshpit.Tests.Support;

/// <summary>Requests in the bytes in which a client would write them.</summary>
internal static class PostText
{
    public const string Json = "Content-Type: application/json\r\n";

    public static string Body(string token, string data, string? cid = null) =>
        cid is null ? $"{{\"token\":\"{token}\",\"data\":{data}}}" : $"{{\"token\":\"{token}\",\"cid\":\"{cid}\",\"data\":{data}}}";

    public static string WithLength(string target, string body, string fields = Json, string version = "HTTP/1.1") =>
        Head(target, $"{fields}Content-Length: {Encoding.Latin1.GetByteCount(body)}\r\n", version) + body;

    /// <summary>The body in chunks of <paramref name="size"/> bytes.</summary>
    public static string Chunked(string target, string body, int size = int.MaxValue, string fields = Json) =>
        Head(target, fields + "Transfer-Encoding: chunked\r\n") + Chunks(body, size) + "0\r\n\r\n";

    public static string Chunks(string body, int size, string extension = "") => string.Concat(
        body.Chunk(size).Select(
            chunk => $"{chunk.Length.ToString("x", CultureInfo.InvariantCulture)}{extension}\r\n{new string(chunk)}\r\n"));

    public static string Head(string target, string fields, string version = "HTTP/1.1") =>
        $"POST {target} {version}\r\nHost: localhost\r\n{fields}\r\n";
}
