using static Moshpit.Tests.Client.RawServer;
using static Moshpit.Tests.Client.SessionScript;

namespace Moshpit.Tests.Client;

/// <summary>A peer of a session that leaves says so, as far as there is something to leave and a server to tell.</summary>
public sealed class SessionLeaveTests : SessionServerTests
{
    private const string Leave = $$"""{"token":"{{Token}}","do":"leave"}""";

    [Test]
    public async Task A_peer_that_is_away_says_that_it_leaves()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(text: "retry: 36000000\n" + Connect());
        stream.Dispose();
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Task disposing = peer.DisposeAsync().AsTask();
        Assert.That(await (await AcceptAsync()).TakePostAsync(), Is.EqualTo(Leave));
        await disposing.Soon();
        Assert.That((peer.State, Server.HasCaller), Is.EqualTo((MoshpitPeerState.Ended, false)));
    }

    [Test]
    public async Task A_peer_that_is_away_leaves_while_a_try_to_come_back_hangs()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        RawConnection hanging = await AcceptAsync();
        await hanging.ReadRequestAsync();
        Task disposing = peer.DisposeAsync().AsTask();
        Assert.That(await (await AcceptAsync()).TakePostAsync(), Is.EqualTo(Leave));
        await disposing.Soon();
        await hanging.WaitForEndAsync();
    }

    [Test]
    public async Task A_peer_whose_server_is_gone_leaves_all_the_same()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        Close();
        stream.Dispose();
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        await peer.DisposeAsync().AsTask().Soon();
        Assert.That(peer.State, Is.EqualTo(MoshpitPeerState.Ended));
    }

    [TestCase(401)]
    [TestCase(404)]
    public async Task A_leave_that_is_answered_is_said_once(int status)
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task disposing = peer.DisposeAsync().AsTask();
        RawConnection post = await AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync(Status(status));
        await disposing.Soon();
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task A_server_that_hangs_up_on_a_leave_is_not_overrun()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task disposing = peer.DisposeAsync().AsTask();
        int calls = 0;
        for (Task<RawConnection> accepting = Server.AcceptAsync(); await Task.WhenAny(accepting, disposing) == accepting; calls++)
        {
            using (RawConnection post = await accepting)
            {
                try
                {
                    await post.ReadRequestAsync();
                }
                catch (IOException)
                {
                    // The client's time is over in the middle of its request.
                }
            }

            accepting = Server.AcceptAsync();
        }

        await disposing.Soon();
        Assert.That(calls, Is.InRange(2, 50), "it waits between two tries, and gives up after two seconds");
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_peer_that_was_ended_by_the_server_has_nothing_to_leave(bool inGoodOrder)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        stream.Dispose();
        await AnswerAsync(Status(inGoodOrder ? 204 : 404));
        await peer.DrainAsync();
        await peer.DisposeAsync().AsTask().Soon();
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task What_was_sent_is_not_sent_again_when_the_peer_leaves()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        Task write = peer.Write("1"), next = peer.Write("2");
        RawConnection post = await AcceptAsync();
        await post.ReadRequestAsync();
        Task disposing = peer.DisposeAsync().AsTask();
        await post.WaitForEndAsync();
        Assert.That(await (await AcceptAsync()).TakePostAsync(), Is.EqualTo(Leave));
        Assert.That((await write.FailureAsync()).OutcomeUnknown);
        Assert.That((await next.FailureAsync()).OutcomeUnknown, Is.False);
        await disposing.Soon();
    }
}
