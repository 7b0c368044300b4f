using System.Net.Sockets;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>POST: bodies in all the ways in which they may come.</summary>
public sealed class PostBodyTests
{
    /// <summary>More than kernels keep on both sides, so that the server must take it, and less than it is willing to.</summary>
    private const int Upload = 12_000_000;

    [Test]
    public async Task A_body_may_come_in_chunks_with_extensions_and_trailers()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string head = PostText.Head("/" + owner.Id, PostText.Json + "Transfer-Encoding: chunked\r\n");
        string chunks = PostText.Chunks(PostText.Body(owner.Token, "[1,2,3]"), 7, ";name=value;flag");
        connection.Send(head + chunks + "000;last\r\nDigest: none\r\nContent-Type: text/plain\r\n\r\n" + owner.Post("4"));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("[1,2,3]"));
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("4"));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_request_may_come_one_byte_at_a_time(bool chunked)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string body = PostText.Body(owner.Token, "\"drop by drop\"");
        string request = chunked ? PostText.Chunked("/" + owner.Id, body, 10) : PostText.WithLength("/" + owner.Id, body);
        foreach (char c in request)
            connection.Send(c.ToString());
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("\"drop by drop\""));
    }

    [TestCase(10_240, 200)]
    [TestCase(10_241, 413)]
    public async Task A_body_may_have_10_KiB_and_no_byte_more(int length, int status)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        string body = PostText.Body(owner.Token, "1").PadRight(length);
        foreach (string request in new[] { PostText.WithLength("/" + owner.Id, body), PostText.Chunked("/" + owner.Id, body, 1024) })
        {
            using RawConnection connection = server.Connect();
            connection.Send(request);
            RawResponse response = await connection.ReadResponseAsync();
            Assert.That(response.Status, Is.EqualTo(status), response.Body);
        }
    }

    [TestCase(0, TestName = "A_client_that_uploads_far_too_much_before_reading_still_reads_why_it_was_refused")]
    [TestCase(int.MaxValue, TestName = "A_client_that_uploads_far_too_much_in_one_chunk_still_reads_why_it_was_refused")]
    [TestCase(1000, TestName = "A_client_that_uploads_far_too_much_in_many_chunks_still_reads_why_it_was_refused")]
    public async Task A_client_that_uploads_far_too_much_still_reads_why_it_was_refused(int chunk)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string body = new('x', Upload);
        connection.Send(chunk == 0 ? PostText.WithLength("/" + owner.Id, body) : PostText.Chunked("/" + owner.Id, body, chunk));
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(413));
        Assert.That(response["Connection"], Is.EqualTo("close"));
        Assert.That(response.Body, Does.Contain("10240 bytes"));
        Assert.That(await connection.ReadToEndAsync(), Is.Empty, "what was uploaded was taken for requests");
    }

    [Test]
    public async Task A_client_that_never_stops_uploading_is_cut()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.LingerLimit = 100_000);
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(PostText.Head("/" + owner.Id, PostText.Json + "Content-Length: 1000000000\r\n"));
        byte[] piece = new byte[16 * 1024];
        Assert.That(
            () =>
            {
                for (int sent = 0; sent < 1_000_000_000; sent += piece.Length)
                    connection.Send(piece);
            },
            Throws.InstanceOf<SocketException>());
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_client_that_asks_first_is_invited_once_and_then_answered(bool chunked)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string body = PostText.Body(owner.Token, "1");
        string fields = PostText.Json + "Expect: 100-continue\r\n";
        string request = chunked ? PostText.Chunked("/" + owner.Id, body, 9, fields) : PostText.WithLength("/" + owner.Id, body, fields);
        int head = request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
        connection.Send(request[..head]);
        Assert.That(await connection.ReadUntilAsync("\r\n\r\n"), Is.EqualTo("HTTP/1.1 100 Continue\r\n\r\n"));
        connection.Send(request[head..(head + 9)]);
        connection.Send(request[(head + 9)..]);
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        connection.Send(owner.Post("2"));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
    }

    [Test]
    public async Task A_client_that_asks_but_does_not_wait_is_not_invited()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string body = PostText.Body(owner.Token, "1");
        connection.Send(PostText.WithLength("/" + owner.Id, body, PostText.Json + "Expect: 100-continue\r\n"));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
    }

    [TestCase("/0123456789abcdef0123456789abcdef", PostText.Json, 10, 404)]
    [TestCase(null, "Content-Type: text/plain\r\n", 10, 415)]
    [TestCase(null, PostText.Json + "Content-Encoding: br\r\n", 10, 415)]
    [TestCase(null, PostText.Json, 10_241, 413)]
    public async Task A_client_that_asks_for_what_is_refused_by_its_head_is_not_invited(
        string? target, string fields, int length, int status)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(PostText.Head(target ?? "/" + owner.Id, $"{fields}Expect: 100-continue\r\nContent-Length: {length}\r\n"));
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(status));
        Assert.That(response["Connection"], Is.EqualTo("close"));
        Assert.That(await connection.ReadToEndAsync(), Is.Empty);
    }

    [Test]
    public async Task A_channel_that_goes_while_a_body_comes_is_not_found()
    {
        await using TestServer server = await TestServer.StartAsync();
        RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        using RawConnection connection = server.Connect();
        string body = PostText.Body(guest.Token, "1");
        connection.Send(PostText.Head("/" + owner.Id, $"{PostText.Json}Expect: 100-continue\r\nContent-Length: {body.Length}\r\n"));
        await connection.ReadUntilAsync("\r\n\r\n");
        owner.Dispose();
        Assert.That(await guest.Stream.ReadToEndAsync(), Is.Empty);
        connection.Send(body);
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(404));
    }
}
