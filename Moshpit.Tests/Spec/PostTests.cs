using System.Text.RegularExpressions;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>POST: which peers get what, and what the sender is told.</summary>
public sealed class PostTests
{
    [Test]
    public async Task A_broadcast_reaches_all_peers_and_the_sender_too()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        using RawPeer other = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        await owner.ReadEventAsync();
        await guest.SendAsync(server, "{\"boom\":\"boom\"}");
        foreach (RawPeer peer in new[] { owner, guest, other })
            Assert.That(await peer.ReadEventAsync(), Is.EqualTo("event: signal\ndata: {\"boom\":\"boom\"}"));
    }

    [Test]
    public async Task A_message_with_a_cid_reaches_that_peer_alone()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        using RawPeer other = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        await owner.ReadEventAsync();
        await owner.SendAsync(server, "\"for the guest\"", guest.Cid);
        await guest.SendAsync(server, "\"for the owner\"", owner.Cid);
        await other.SendAsync(server, "\"for itself\"", other.Cid);
        await owner.SendAsync(server, "\"for all\"");
        Assert.That((await owner.ReadSignalAsync(), await owner.ReadSignalAsync()), Is.EqualTo(("\"for the owner\"", "\"for all\"")));
        Assert.That((await guest.ReadSignalAsync(), await guest.ReadSignalAsync()), Is.EqualTo(("\"for the guest\"", "\"for all\"")));
        Assert.That((await other.ReadSignalAsync(), await other.ReadSignalAsync()), Is.EqualTo(("\"for itself\"", "\"for all\"")));
    }

    [Test]
    public async Task What_is_posted_to_one_channel_is_not_heard_in_another()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer here = await server.CreateAsync();
        using RawPeer there = await server.CreateAsync();
        await here.SendAsync(server, "\"here\"");
        await there.SendAsync(server, "\"there\"");
        Assert.That(await here.ReadSignalAsync(), Is.EqualTo("\"here\""));
        Assert.That(await there.ReadSignalAsync(), Is.EqualTo("\"there\""));
    }

    [Test]
    public async Task A_message_that_was_taken_is_answered_OK()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(owner.Post("1"));
        RawResponse response = await connection.ReadResponseAsync();
        string dated = Regex.Replace(response.Header + response.Body, "Date: [A-Z][a-z]{2}, [^\r]* GMT\r\n", "Date: now\r\n");
        Assert.That(dated, Is.EqualTo(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\nDate: now\r\n" +
            "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\nVary: Origin\r\n" +
            "Connection: keep-alive\r\nKeep-Alive: timeout=75\r\n\r\nOK"));
    }

    [TestCase("null")]
    [TestCase("false")]
    [TestCase("0")]
    [TestCase("\"\"")]
    [TestCase("[]")]
    [TestCase("{}")]
    public async Task A_value_that_looks_like_nothing_is_delivered_all_the_same(string data)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        await owner.SendAsync(server, data);
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo(data));
    }

    [TestCase("{ \"a: b\" : [\n1 ,\t\": \" ] }", "{\"a:\\u0020b\":[1,\":\\u0020\"]}")]
    [TestCase("\"::  x: \"", "\"::\\u0020 x:\\u0020\"")]
    [TestCase("\"a:b\"", "\"a:b\"")]
    public async Task A_colon_and_a_space_never_stand_together_in_data_because_old_clients_split_there(string data, string delivered)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        await owner.SendAsync(server, data);
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo(delivered));
    }

    [Test]
    public async Task A_form_as_the_original_client_posts_it_is_delivered_as_JSON()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string body = $"token={owner.Token}&cid={owner.Cid}&data%5Bboom%5D=b%3A+oom&data%5Blist%5D%5B%5D=1";
        connection.Send(PostText.WithLength("/" + owner.Id, body, "Content-Type: application/x-www-form-urlencoded\r\n"));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("{\"boom\":\"b:\\u0020oom\",\"list\":[\"1\"]}"));
    }

    [Test]
    public async Task The_token_of_another_channel_is_no_token_here()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer here = await server.CreateAsync();
        using RawPeer there = await server.CreateAsync();
        await RefusesAsync(server, here.Id, PostText.Body(there.Token, "1"), 401);
    }

    [Test]
    public async Task The_cid_of_another_channel_is_no_cid_here()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer here = await server.CreateAsync();
        using RawPeer there = await server.CreateAsync();
        await RefusesAsync(server, here.Id, PostText.Body(here.Token, "1", there.Cid), 404);
    }

    [Test]
    public async Task When_a_peer_has_left_its_token_and_its_cid_are_worth_nothing()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        RawPeer guest = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        guest.Dispose();
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.LeaveOf(guest)));
        await RefusesAsync(server, owner.Id, PostText.Body(guest.Token, "1"), 401);
        await RefusesAsync(server, owner.Id, PostText.Body(owner.Token, "1", guest.Cid), 404);
    }

    [TestCase("GET /0123456789abcdef0123456789abcdef", 404)]
    [TestCase("GET /a.b", 404)]
    [TestCase("POST /0123456789abcdef0123456789abcdef", 404)]
    [TestCase("POST /", 404)]
    [TestCase("PUT /", 405)]
    [TestCase("GET / HTTP/1.1\r\nAccept: text/html\r\nX:", 406)]
    [TestCase("GET nonsense", 400)]
    [TestCase("GET / HTTP/9.9\r\nX:", 505)]
    public async Task Every_refusal_may_be_read_by_a_page_of_any_origin(string request, int status)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawConnection connection = server.Connect();
        connection.Send($"{request} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example:8443\r\n\r\n");
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(status));
        Assert.That(response["Access-Control-Allow-Methods"], Is.EqualTo("GET, HEAD, POST, OPTIONS"));
        Assert.That(response["Vary"], Is.EqualTo("Origin"));
        bool understood = status is not (400 or 505);
        Assert.That(response["Access-Control-Allow-Origin"], Is.EqualTo(understood ? "https://app.example:8443" : "*"));
    }

    [TestCase("415", "Content-Type: text/plain\r\n")]
    [TestCase("413", "Content-Type: application/json\r\nContent-Length: 10241\r\n")]
    [TestCase("400", "Content-Type: application/json\r\nContent-Length: 2\r\n")]
    public async Task A_refused_message_may_be_explained_to_the_page_that_sent_it(string status, string fields)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(PostText.Head("/" + owner.Id, fields + "Origin: null\r\n") + "{[");
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Header, Does.StartWith($"HTTP/1.1 {status} "));
        Assert.That(response["Access-Control-Allow-Origin"], Is.EqualTo("null"));
        Assert.That(response["Vary"], Is.EqualTo("Origin"));
        Assert.That(response["Content-Type"], Is.EqualTo("text/plain; charset=utf-8"));
    }

    private static async Task RefusesAsync(TestServer server, string id, string body, int status)
    {
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength("/" + id, body));
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(status), response.Body);
    }
}
