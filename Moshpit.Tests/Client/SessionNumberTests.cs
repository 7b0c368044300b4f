using static Moshpit.Tests.Client.RawServer;
using static Moshpit.Tests.Client.SessionScript;

namespace Moshpit.Tests.Client;

/// <summary>What becomes of the numbers of messages, and of messages of unknown outcome, in the corners (PROTOCOL.md, 3.4).</summary>
public sealed class SessionNumberTests : SessionServerTests
{
    private static readonly string Resumed = StreamHead + Connect(resumed: true);

    [Test]
    public async Task Numbers_that_are_sent_again_with_gaps_between_them_are_at_most_63_apart_as_well()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        using var cancel = new CancellationTokenSource();
        Task<MoshpitReceipt>[] writes = [.. Enumerable.Range(2, 64)
            .Select(number => peer.Write($"{number}", cancellationToken: number is > 3 and < 65 ? cancel.Token : default))];
        await ReadPostsAsync(post, [.. Enumerable.Range(2, 64)]);
        await cancel.CancelAsync();
        Task<MoshpitReceipt>[] later = [peer.Write("66"), peer.Write("67")];
        post.Dispose();
        post = await AcceptAsync();
        await post.TakePostAsync(2);
        await ReadPostsAsync(post, 3, 65, 66);
        Task<string> more = post.ReadRequestAsync();
        Assert.That(more.IsCompleted, Is.False, "the server has not taken the number 3");
        await post.SendAsync(Ok);
        Assert.That(NumberIn(await more), Is.EqualTo(67));
        await post.SendAsync(Ok + Ok + Ok);
        await Task.WhenAll([writes[0], writes[1], writes[^1], .. later]).Soon();
    }

    [TestCase(401, "invalid-token")]
    [TestCase(404, "unknown-channel")]
    public async Task A_message_that_was_refused_to_a_peer_that_was_lost_goes_out_from_the_new_one(int status, string error)
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> write = peer.Write("2");
        await ReadPostsAsync(post, 2);
        await post.SendAsync(Refusal(status, error));
        await stream.WaitForEndAsync();
        string token = new('e', 32);
        await AnswerAsync(StreamHead + Connect(token: token, cid: new('d', 32), id: 0));
        Assert.That(await (await AcceptAsync()).TakePostAsync(), Is.EqualTo($$"""{"token":"{{token}}","seq":1,"data":2}"""));
        await write.Soon();
    }

    [Test]
    public async Task The_new_peer_begins_above_the_highest_number_that_the_server_knows_of_it()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        await ProveAsync(peer);
        stream.Dispose();
        await AnswerAsync(StreamHead + Connect(token: new('e', 32), cid: new('d', 32), id: 0, more: ",\"seq\":10"));
        Task<MoshpitReceipt> write = peer.Write("1");
        RawConnection post = await AcceptAsync();
        Assert.That(NumberIn(await post.ReadRequestAsync()), Is.EqualTo(74));
        await post.SendAsync(Ok);
        await write.Soon();
    }

    [Test]
    public async Task A_peer_that_is_resumed_counts_on_whatever_the_server_says_it_has_taken()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync();
        await ProveAsync(peer);
        stream.Dispose();
        await AnswerAsync(StreamHead + Connect(resumed: true, more: ",\"seq\":1"));
        Task<MoshpitReceipt> write = peer.Write("2");
        await TakeAsync(2);
        await write.Soon();
    }

    [Test]
    public async Task A_message_that_is_cancelled_while_the_peer_is_away_is_not_sent()
    {
        (MoshpitPeer peer, RawConnection stream) = await OpenSessionAsync(text: "retry: 36000000\n" + Connect());
        RawConnection post = await ProveAsync(peer);
        using var cancel = new CancellationTokenSource();
        Task<MoshpitReceipt> unknown = peer.Write("2", cancellationToken: cancel.Token);
        await ReadPostsAsync(post, 2);
        stream.Dispose();
        await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Task<MoshpitReceipt> away = peer.Write("0", cancellationToken: cancel.Token), last = peer.Write("3");
        await cancel.CancelAsync();
        await unknown.CancellationAsync();
        await away.CancellationAsync();
        peer.Reconnect();
        await AnswerAsync(Resumed);
        await TakeAsync(3);
        await last.Soon();
    }

    [TestCase(404, "unknown-peer")]
    [TestCase(409, "seq-too-old")]
    [TestCase(413, "too-large")]
    public async Task A_message_that_was_not_answered_and_is_refused_when_it_is_sent_again_has_an_unknown_outcome(int status, string error)
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync();
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> write = peer.Write("2");
        await ReadPostsAsync(post, 2);
        post.Dispose();
        post = await AcceptAsync();
        await ReadPostsAsync(post, 2);
        await post.SendAsync(Refusal(status, error));
        Assert.That((await write.FailureAsync()).OutcomeUnknown);
    }

    [Test]
    public async Task A_message_with_no_time_to_be_sent_again_is_told_so_at_once()
    {
        (MoshpitPeer peer, _) = await OpenSessionAsync(new() { SendTimeout = TimeSpan.Zero });
        RawConnection post = await ProveAsync(peer);
        Task<MoshpitReceipt> write = peer.Write("2");
        await ReadPostsAsync(post, 2);
        post.Dispose();
        Assert.That((await write.FailureAsync()).OutcomeUnknown);
        Task<MoshpitReceipt> next = peer.Write("3");
        await TakeAsync(3);
        await next.Soon();
    }
}
