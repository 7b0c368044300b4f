using System.Text;
using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

/// <summary>Redirects of the stream, and of messages.</summary>
public class RedirectTests : RawServerTests
{
    [TestCase(301)]
    [TestCase(302)]
    [TestCase(303)]
    [TestCase(307)]
    [TestCase(308)]
    public async Task A_redirect_is_followed_and_messages_go_where_the_stream_came_from(int status)
    {
        using var other = new RawServer();
        await using MoshpitPeer peer = Open(new() { Headers = { ["Authorization"] = "secret" } }, WithSession);
        using (RawConnection first = await Server.AcceptAsync())
        {
            Assert.That(await first.ReadRequestAsync(), Does.Contain("\r\nAuthorization: secret\r\n"));
            await first.SendAsync($"HTTP/1.1 {status} Moved\r\nLocation: {other.Url}/pit/?a=b#c\r\nContent-Length: 0\r\n\r\n");
        }

        using RawConnection stream = await other.AcceptAsync();
        Assert.That(await stream.ReadRequestAsync(), Is.EqualTo(RequestFor("/pit/?a=b", other.Authority)));
        await stream.SendAsync(StreamHead + ConnectEvent);
        Task write = peer.Write("1");
        using RawConnection post = await other.AcceptAsync();
        Assert.That(await post.ReadRequestAsync(), Does.StartWith($"POST /pit/{Id} HTTP/1.1\r\n").And.Not.Contain("secret"));
        await post.SendAsync(Ok);
        await write.Soon();
    }

    [TestCase("")]
    [TestCase("Location:\r\n")]
    [TestCase("Location:   \r\n")]
    [TestCase("Location: ftp://localhost/\r\n")]
    [TestCase("Location: http://[\r\n")]
    public async Task A_redirect_to_nowhere_is_an_error(string location)
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await Server.AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync($"HTTP/1.1 302 Found\r\n{location}Content-Length: 0\r\n\r\n");
        Exception? failure = (await peer.DrainAsync()).Failure;
        Assert.That(failure, Is.TypeOf<MoshpitException>().With.Property("Status").EqualTo(302).And.Message.Contains("nowhere"));
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task Redirects_in_a_circle_are_an_error_after_the_tenth()
    {
        await using MoshpitPeer peer = Open();
        for (int i = 0; i <= 10; i++)
        {
            using RawConnection stream = await Server.AcceptAsync();
            await stream.ReadRequestAsync();
            await stream.SendAsync("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
        }

        Assert.That((await peer.DrainAsync()).Failure, Is.TypeOf<MoshpitException>());
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task A_place_that_the_server_names_is_not_repeated_in_an_exception()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await Server.AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync($"HTTP/1.1 302 Found\r\nLocation: ftp://a/{Id}?{Token}\r\nContent-Length: 0\r\n\r\n");
        Assert.That((await peer.DrainAsync()).Failure!.Message, Does.Not.Contain(Id).And.Not.Contain(Token));
    }

    [TestCase(307)]
    [TestCase(308)]
    public async Task A_redirect_that_keeps_the_method_is_followed_with_the_body(int status)
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task write = await served.SendAsync("1");
        await served.Post.SendAsync($"HTTP/1.1 {status} Moved\r\nLocation: /other/{Id}?x=y\r\nContent-Length: 0\r\n\r\n");
        string request = await served.Post.ReadRequestAsync();
        Assert.That(request, Does.StartWith($"POST /other/{Id}?x=y HTTP/1.1\r\n").And.EndWith("\"data\":1}"));
        await served.Post.SendAsync(Ok);
        await write.Soon();
    }

    [Test]
    public async Task A_redirect_to_another_server_is_followed_there_over_a_connection_of_its_own_and_without_the_headers_for_the_first()
    {
        using var other = new RawServer();
        await using ServedPeer served = await Server.ProvePeerAsync(new() { Headers = { ["Authorization"] = "secret" } });
        Task write = served.Write("1");
        Assert.That(await served.Post.ReadRequestAsync(), Does.Contain("secret"));
        await served.Post.SendAsync($"HTTP/1.1 307 Moved\r\nLocation: {other.Url}/{Id}\r\nContent-Length: 0\r\n\r\n");
        using RawConnection there = await other.AcceptAsync();
        Assert.That(await there.ReadRequestAsync(), Does.EndWith("\"data\":1}").And.Not.Contain("secret"));
        await there.SendAsync(Ok);
        await write.Soon();
    }

    [TestCase("http://xn--\u00fc/")]
    [TestCase("http://")]
    [TestCase("ftp://localhost/")]
    [TestCase("http://[::1")]
    public async Task A_redirect_to_nowhere_is_an_error_of_the_message_and_not_of_the_program(string location)
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task write = await served.SendAsync("1");
        string answer = $"HTTP/1.1 307 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n";
        await served.Post.SendAsync(Encoding.Latin1.GetBytes(answer));
        Assert.That((await write.FailureAsync()).Message, Does.Contain("nowhere"));
    }

    [TestCase(301)]
    [TestCase(302)]
    public async Task A_redirect_that_would_make_a_get_of_it_is_an_error(int status)
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task write = await served.SendAsync("1");
        await served.Post.SendAsync($"HTTP/1.1 {status} Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
        MoshpitException failure = await write.FailureAsync();
        Assert.That(failure.Status, Is.EqualTo(status));
    }

    [Test]
    public async Task A_redirect_holds_for_the_messages_after_it_too()
    {
        using var other = new RawServer();
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task[] writes = [served.Write("1"), served.Write("2"), served.Write("3")];
        using RawConnection post = await Server.AcceptAsync();
        await ReadPostsAsync(post, 1);
        await post.SendAsync($"HTTP/1.1 307 Elsewhere\r\nLocation: {other.Url}/pit/{Id}\r\nContent-Length: 0\r\n\r\n");
        using RawConnection there = await other.AcceptAsync();
        await there.TakePostAsync(1);
        await ReadPostsAsync(there, 2, 3);
        await there.SendAsync(Ok + Ok);
        await Task.WhenAll(writes).Soon();
        Assert.That(Server.HasCaller, Is.False);
    }
}
