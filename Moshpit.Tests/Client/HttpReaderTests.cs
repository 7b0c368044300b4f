using System.Text;
using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Client;

public class HttpReaderTests
{
    private const string Head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

    [TestCase(false)]
    [TestCase(true)]
    public async Task Every_vector_comes_out_of_a_socket_as_expected(bool dribbled)
    {
        using var server = new RawServer();
        var client = new MoshpitClient(server.Url);
        foreach (JsonElement vector in Vectors.Read("client_http_cases.json"))
        {
            byte[] raw = vector.GetProperty("raw").GetBytesFromBase64();
            await using MoshpitPeer peer = client.Open();
            using (RawConnection connection = await server.AcceptAsync())
            {
                await connection.ReadRequestAsync();
                try
                {
                    for (int i = 0; dribbled && i < raw.Length; i++)
                        await connection.SendAsync(raw.AsMemory(i, 1));
                    if (!dribbled)
                        await connection.SendAsync(raw);
                    connection.Finish();
                }
                catch (IOException)
                {
                    // The client has seen enough and left.
                }

                (List<MoshpitEvent> events, Exception? failure) = await peer.DrainAsync();
                string name = vector.GetProperty("name").GetString()!;
                string expect = vector.GetProperty("expect").GetString()!;
                string[] expected = [.. vector.GetProperty("events").EnumerateArray().Select(e =>
                    $"{e.GetProperty("event").GetString()}|{e.GetProperty("data").GetString()}|{e.GetProperty("id").GetString()}")];
                using (Assert.EnterMultipleScope())
                {
                    string[] actual = [.. events.Select(e => $"{e.Name}|{e.Data}|{e.LastEventId}")];
                    if (expect == "either" && failure is not null)
                        Assert.That(expected.Take(actual.Length), Is.EqualTo(actual), name);
                    else
                        Assert.That(actual, Is.EqualTo(expected), name);
                    // The vectors have no connect event, so that the client has one complaint about each response that it understands.
                    if (expect != "either")
                        Assert.That(failure!.Message.Contains("before its connect event"), Is.EqualTo(expect == "open"), name);
                    Assert.That(failure, Is.TypeOf<MoshpitException>(), name);
                }
            }
        }
    }

    [TestCase(Head + "Content-Length: 3\r\n\r\nabcd", "abc")]
    [TestCase(Head + "Content-Length: 0\r\n\r\nabcd", "")]
    [TestCase(Head + "Content-Length: 3, 3\r\nContent-Length: 3\r\n\r\nabc", "abc")]
    [TestCase(Head + "\r\nabc\r\n\r\n", "abc\r\n\r\n")]
    [TestCase("HTTP/1.0 200 OK\r\n\r\nabc", "abc")]
    [TestCase("HTTP/1.1 200\r\n\r\nabc", "abc")]
    [TestCase("HTTP/1.1 204 No\r\n\r\nabc", "")]
    [TestCase("HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\nabc", "")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n000A ;x=\"y\"\r\n0123456789\r\n0\r\nX: y\r\n\r\nmore", "abc0123456789")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n00\r\n\r\n", "")]
    [TestCase("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + Head + "\r\nabc", "abc")]
    public async Task A_body_is_delimited_by(string response, string body)
    {
        foreach (int step in new[] { 1, 2, 3, 7, 10_000 })
            Assert.That(await ReadAsync(response, step), Is.EqualTo(body), $"{step} bytes at a time");
    }

    [TestCase("")]
    [TestCase("HTTP/1.1 200 OK\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\nA: b")]
    [TestCase("HTTP/2 200 OK\r\n\r\n")]
    [TestCase("HTTP/1.1 099 OK\r\n\r\n")]
    [TestCase("HTTP/1.1  200 OK\r\n\r\n")]
    [TestCase("HTTP/1.1 101 Switching\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\n\n")]
    [TestCase("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\nA : b\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\n: b\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\nA\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\n A: b\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n")]
    [TestCase(Head + "Content-Length: 3\r\n\r\nab")]
    [TestCase(Head + "Content-Length: \r\n\r\nab")]
    [TestCase(Head + "Content-Length: 3,4\r\n\r\nabcd")]
    [TestCase(Head + "Content-Length: 0x3\r\n\r\nabc")]
    [TestCase(Head + "Content-Length: 3 3\r\n\r\nabc")]
    [TestCase(Head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: identity\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc0\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n3 3\r\nabc\r\n0\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n8000000000000003\r\nabc\r\n0\r\n\r\n")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n")]
    [TestCase(Head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")]
    public async Task Malformed_or_cut_off_is_an_error(string response)
    {
        foreach (int step in new[] { 1, 10_000 })
            await Assert.ThrowsAsync<MoshpitException>(() => ReadAsync(response, step), $"{step} bytes at a time");
    }

    [Test]
    public async Task A_head_without_end_is_an_error()
    {
        string field = "X: " + new string('x', 1000) + "\r\n";
        await Assert.ThrowsAsync<MoshpitException>(() => ReadAsync(Head + string.Concat(Enumerable.Repeat(field, 40)) + "\r\n", 10_000));
        await Assert.ThrowsAsync<MoshpitException>(() => ReadAsync(Head + "X: " + new string('x', 40_000), 10_000));
    }

    [Test]
    public async Task A_head_of_very_many_lines_is_an_error()
    {
        const string line = "A: b\r\n";
        // Head has one line besides the status line.
        string most = Head + string.Concat(Enumerable.Repeat(line, 255));
        Assert.That(await ReadAsync(most + "\r\nabc", 10_000), Is.EqualTo("abc"));
        await Assert.ThrowsAsync<MoshpitException>(() => ReadAsync(most + line + "\r\nabc", 10_000));
    }

    [TestCase("HTTP/1.1 200 OK\r\n\r\n", true)]
    [TestCase("HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\n\r\n", false)]
    [TestCase("HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\n\r\n", false)]
    [TestCase("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false)]
    public async Task A_connection_may_be_used_again(string response, bool expected)
    {
        using var stream = new Dribble(response, 100);
        Assert.That((await new HttpReader(stream).ReadHeadAsync()).AllowsReuse, Is.EqualTo(expected));
    }

    [Test]
    public async Task Two_responses_are_read_one_after_the_other()
    {
        using var stream = new Dribble(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na" +
            "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n",
            10_000);
        var reader = new HttpReader(stream);
        Assert.That((await reader.ReadHeadAsync()).Status, Is.EqualTo(200));
        Assert.That(await ReadBodyAsync(reader), Is.EqualTo("a"));
        Assert.That((reader.IsBodyRead, reader.HasMore), Is.EqualTo((true, true)));
        Assert.That((await reader.ReadHeadAsync()).Status, Is.EqualTo(404));
        Assert.That(await ReadBodyAsync(reader), Is.EqualTo("b"));
        Assert.That((reader.IsBodyRead, reader.HasMore), Is.EqualTo((true, false)));
    }

    private static async Task<string> ReadAsync(string response, int step)
    {
        using var stream = new Dribble(response, step);
        var reader = new HttpReader(stream);
        await reader.ReadHeadAsync();
        return await ReadBodyAsync(reader);
    }

    private static async Task<string> ReadBodyAsync(HttpReader reader)
    {
        var body = new StringBuilder();
        ReadOnlyMemory<byte> bytes;
        while (!(bytes = await reader.ReadBodyAsync()).IsEmpty)
            body.Append(Encoding.Latin1.GetString(bytes.Span));
        return body.ToString();
    }

    /// <summary>Gives a few bytes at a time.</summary>
    private sealed class Dribble(string text, int step) : MemoryStream(Encoding.Latin1.GetBytes(text))
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(step, buffer.Length)], cancellationToken);
    }
}
