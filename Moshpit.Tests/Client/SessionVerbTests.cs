using static Moshpit.Tests.Client.SessionScript;

namespace Moshpit.Tests.Client;

/// <summary>What an owner has the server do, when an answer is lost.</summary>
public sealed class SessionVerbTests : SessionServerTests
{
    [Test]
    public async Task A_verb_goes_in_order_with_messages_and_is_told_no_number()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task first = peer.Write("1");
        using RawConnection post = await AcceptAsync();
        Assert.That(await post.ReadRequestAsync(), Does.EndWith("\"seq\":1,\"data\":1}"));
        await post.SendAsync(Receipt);
        await first.Soon();
        Task kick = peer.Kick("a\"b");
        Assert.That(await post.ReadRequestAsync(), Does.EndWith($"{{\"token\":\"{RawServer.Token}\",\"do\":\"kick\",\"cid\":\"a\\\"b\"}}"));
        await post.SendAsync(Status(200));
        await kick.Soon();
    }

    [TestCase("kick", 404)]
    [TestCase("owner", 403)]
    public async Task A_verb_whose_answer_was_lost_is_said_again_and_was_done_if_it_can_not_be_done_twice(string verb, int status)
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task task = verb == "kick" ? peer.Kick("c") : peer.HandOver("c");
        using (RawConnection post = await AcceptAsync())
            Assert.That(await post.ReadRequestAsync(), Does.Contain($"\"do\":\"{verb}\",\"cid\":\"c\"}}"));
        using RawConnection again = await AcceptAsync();
        Assert.That(await again.ReadRequestAsync(), Does.Contain($"\"do\":\"{verb}\",\"cid\":\"c\"}}"));
        await again.SendAsync(Refusal(status, "whatever"));
        await task.Soon();
    }

    [Test]
    public async Task A_verb_that_is_refused_the_first_time_fails()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task task = peer.Kick("c");
        using RawConnection post = await AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync(Refusal(404, "unknown-peer"));
        Assert.That(async () => await task.Soon(), Throws.InstanceOf<MoshpitException>().With.Property("Status").EqualTo(404));
    }

    [TestCase("OK")]
    [TestCase("{\"count\":1}")]
    [TestCase("{\"peers\":[]}")]
    public async Task An_answer_that_is_no_roster_is_an_error(string answer)
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task<MoshpitRoster> task = peer.Peers();
        using RawConnection post = await AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {answer.Length}\r\n\r\n{answer}");
        Assert.That(async () => await task.Soon(), Throws.InstanceOf<MoshpitException>().With.Message.Contains("count and peers"));
    }

    [Test]
    public async Task An_answer_that_has_no_peer_of_those_asked_for_ends_the_asking()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task<MoshpitRoster> task = peer.AllPeers();
        using RawConnection post = await AcceptAsync();
        string answer = "{\"count\":5,\"peers\":[{\"cid\":\"c\",\"n\":3}]}";
        for (int i = 0; i < 2; i++)
        {
            await post.ReadRequestAsync();
            await post.SendAsync($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {answer.Length}\r\n\r\n{answer}");
        }

        Assert.That((await task.Soon()).Peers.Single().Number, Is.EqualTo(3));
    }
}
