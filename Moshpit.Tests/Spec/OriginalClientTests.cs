using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// The original JavaScript client works against this server. The requests are the bytes that it sends through its HTTP library, the npm
/// package <c>request</c> 2.58.0, on Node 8 (<c>Connection: close</c>) and Node 20 (<c>Connection: keep-alive</c>), recorded by a server
/// that listened at localhost:39737 and on the Unix socket /tmp/x.sock. Only ids and tokens, which are all of one length, are put in anew.
/// </summary>
public sealed class OriginalClientTests
{
    private const string Id = "a1ad1a210063392d29027dbdd5fc9dd7";
    private const string Cid = "a31b6b15326ca2907b3b492df1e6385a";
    private const string Token = "3b970f792805fd3081b058a5655a534d";

    /// <summary><c>peer = pit()</c>.</summary>
    private const string Create = "GET / HTTP/1.1\r\nhost: HOST\r\nConnection: CONNECTION\r\n\r\n";

    /// <summary><c>pit(id)</c>.</summary>
    private const string Join = $"GET /{Id} HTTP/1.1\r\nhost: HOST\r\nConnection: CONNECTION\r\n\r\n";

    /// <summary><c>peer.write({ x: 555 })</c>.</summary>
    private const string Write =
        $"POST /{Id} HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 54\r\n" +
        $"Connection: CONNECTION\r\n\r\ndata%5Bx%5D=555&token={Token}";

    /// <summary><c>peer.write({ _cid: cid, a: { b: [1, 'zwei &amp; drei', { c: null }], 'ü': '☃ : x' }, t: true })</c>.</summary>
    private const string WriteToOne =
        $"POST /{Id} HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 242\r\n" +
        "Connection: CONNECTION\r\n\r\n" +
        "data%5Ba%5D%5Bb%5D%5B0%5D=1&data%5Ba%5D%5Bb%5D%5B1%5D=zwei%20%26%20drei&data%5Ba%5D%5Bb%5D%5B2%5D%5Bc%5D=" +
        $"&data%5Ba%5D%5B%C3%BC%5D=%E2%98%83%20%3A%20x&data%5Bt%5D=true&token={Token}&cid={Cid}";

    [Test]
    public async Task It_creates_joins_writes_and_leaves_over_TCP([Values("close", "keep-alive")] string connection)
    {
        await using TestServer server = await TestServer.StartAsync();
        await ExchangeAsync(new IPEndPoint(IPAddress.Loopback, server.Port), "localhost:39737", connection);
    }

    /// <summary>
    /// The client is given <c>http://unix:/tmp/x.sock</c>, or with two slashes, as its own tests do, and sends the path as the host.
    /// </summary>
    [Test]
    public async Task It_creates_joins_writes_and_leaves_over_a_Unix_socket(
        [Values("/tmp/x.sock", "//tmp/x.sock")] string host, [Values("close", "keep-alive")] string connection)
    {
        using var folder = new TempFolder();
        await using TestServer server =
            await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, folder["x.sock"]));
        await ExchangeAsync(new UnixDomainSocketEndPoint(folder["x.sock"]), host, connection);
    }

    private static async Task ExchangeAsync(EndPoint endPoint, string host, string connection)
    {
        string Recorded(string request) => request.Replace("HOST", host).Replace("CONNECTION", connection);

        using OriginalPeer owner = await OriginalPeer.OpenAsync(RawConnection.Connect(endPoint), Recorded(Create));
        Assert.That(owner.Response.Status, Is.EqualTo(201), owner.Response.Header);
        Assert.That(owner.Response["Access-Control-Allow-Origin"], Is.EqualTo("*"));
        JsonElement connect = await ReadAsync(owner, "connect");
        string id = Text(connect, "id");
        string Live(string request, string cid) =>
            Recorded(request).Replace(Id, id).Replace(Cid, cid).Replace(Token, Text(connect, "token"));

        using OriginalPeer guest = await OriginalPeer.OpenAsync(RawConnection.Connect(endPoint), Live(Join, ""));
        Assert.That(guest.Response.Status, Is.EqualTo(200), guest.Response.Header);
        JsonElement joined = await ReadAsync(guest, "connect");
        string cid = Text(joined, "cid");
        Assert.That(Text(joined, "id"), Is.EqualTo(id));
        Assert.That(Text(await ReadAsync(owner, "join"), "cid"), Is.EqualTo(cid));

        using RawConnection? kept = connection == "keep-alive" ? RawConnection.Connect(endPoint) : null;
        await PostAsync(kept, endPoint, Live(WriteToOne, cid));
        await PostAsync(kept, endPoint, Live(Write, cid));
        JsonElement direct = await ReadAsync(guest, "signal");
        Assert.That(direct.GetRawText(), Is.EqualTo("""{"a":{"b":["1","zwei & drei",{"c":""}],"ü":"☃ :\u0020x"},"t":"true"}"""));
        Assert.That((await ReadAsync(guest, "signal")).GetRawText(), Is.EqualTo("""{"x":"555"}"""));
        Assert.That((await ReadAsync(owner, "signal")).GetRawText(), Is.EqualTo("""{"x":"555"}"""));

        guest.Dispose();
        Assert.That(Text(await ReadAsync(owner, "leave"), "cid"), Is.EqualTo(cid));
    }

    /// <summary>Over a connection of its own, which the server closes after the answer, or over the one that is kept.</summary>
    private static async Task PostAsync(RawConnection? kept, EndPoint endPoint, string request)
    {
        using RawConnection? own = kept is null ? RawConnection.Connect(endPoint) : null;
        RawConnection connection = kept ?? own!;
        connection.Send(request);
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That((response.Status, response.Body), Is.EqualTo((200, "OK")), response.Header);
        if (own is not null)
            Assert.That(await own.ReadToEndAsync(), Is.Empty);
    }

    private static async Task<JsonElement> ReadAsync(OriginalPeer peer, string expected)
    {
        (string name, JsonElement data) = await peer.ReadAsync();
        Assert.That(name, Is.EqualTo(expected));
        return data;
    }

    private static string Text(JsonElement data, string name) => data.GetProperty(name).GetString()!;
}
