using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

/// <summary>Messages whose token is cancelled: before they are sent, and under way.</summary>
public class CancelTests : RawServerTests
{
    [Test]
    public async Task A_message_can_be_taken_back_before_it_is_sent()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await Server.AcceptAsync();
        await stream.ReadRequestAsync();
        using var change = new CancellationTokenSource();
        Task first = peer.Write("1", cancellationToken: change.Token);
        Task second = peer.Write("2");
        await change.CancelAsync();
        await first.CancellationAsync();
        await stream.SendAsync(StreamHead + ConnectEvent);
        using RawConnection post = await Server.AcceptAsync();
        await post.TakePostAsync(2);
        await second.Soon();
    }

    [Test]
    public async Task A_message_that_was_taken_back_leaves_its_room_to_others()
    {
        await using MoshpitPeer peer = Open(new() { WriteBufferSize = 64 + 10 });
        using RawConnection stream = await Server.AcceptAsync();
        await stream.ReadRequestAsync();
        for (int i = 0; i < 3; i++)
        {
            using var change = new CancellationTokenSource();
            Task first = peer.Write("1234567890", cancellationToken: change.Token);
            await change.CancelAsync();
            await first.CancellationAsync();
        }

        Task second = peer.Write("2345678901");
        await peer.Write("3").FailureAsync();
        await stream.SendAsync(StreamHead + ConnectEvent);
        using RawConnection post = await Server.AcceptAsync();
        Assert.That(await post.TakePostAsync(), Does.EndWith("\"data\":2345678901}"));
        await second.Soon();
        Task third = peer.Write("3456789012");
        await post.TakePostAsync();
        await third.Soon();
    }

    [Test]
    public async Task Cancelling_a_message_under_way_cancels_its_task_at_once_and_the_next_one_follows_its_answer()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        using var change = new CancellationTokenSource();
        Task first = await served.SendAsync("1", cancellationToken: change.Token);
        await change.CancelAsync();
        await first.CancellationAsync();
        Task second = served.Write("2");
        await served.Post.SendAsync(Ok);
        await served.Post.TakePostAsync(2, "on the same connection");
        await second.Soon();
        Assert.That(Server.HasCaller, Is.False);
    }

    [Test]
    public async Task A_message_that_was_cancelled_under_way_gives_its_room_back_once()
    {
        await using ServedPeer served = await Server.OpenPeerAsync(new() { WriteBufferSize = 2 * (64 + 5) });
        using var change = new CancellationTokenSource();
        Task first = await served.SendAsync("12345", cancellationToken: change.Token);
        await change.CancelAsync();
        await first.CancellationAsync();
        Task second = served.Write("67890");
        await served.Write("1").FailureAsync(); // the first has its room until its answer
        await served.Post.SendAsync(Ok);
        await served.Post.TakePostAsync();
        await second.Soon();
        await served.Write(new string('1', 2 * 5 + 64 + 1)).FailureAsync();
        Task largest = served.Write(new string('1', 2 * 5 + 64));
        await served.Post.TakePostAsync();
        await largest.Soon();
    }

    [Test]
    public async Task Cancelling_one_of_several_under_way_does_not_disturb_the_others()
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        using var change = new CancellationTokenSource();
        Task[] writes = [served.Write("1"), served.Write("2", cancellationToken: change.Token), served.Write("3")];
        await ReadPostsAsync(served.Post, 1, 2, 3);
        await change.CancelAsync();
        await writes[1].CancellationAsync();
        await served.Post.SendAsync(Ok + Ok + "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        await writes[0].Soon();
        string outcome = await PipelineTests.OutcomeAsync(writes[2]);
        Assert.That(outcome, Is.EqualTo("404"), "the third message does not get the answer of the cancelled one");
    }
}
