namespace Moshpit.Tests.Client;

/// <summary>How a program leaves: it disposes the peer, or cancels the token of Open. To cancel an enumeration is not to leave.</summary>
public class LeaveTests : RawServerTests
{
    [Test]
    public async Task Dispose_leaves_and_ends_the_enumeration()
    {
        MoshpitPeer peer = Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        await using IAsyncEnumerator<MoshpitEvent> events = peer.GetAsyncEnumerator();
        Assert.That(await events.MoveNextAsync(), Is.True);
        Task<bool> next = events.MoveNextAsync().AsTask();
        Task write = peer.Write("1");
        using RawConnection post = await Server.AcceptAsync();
        await post.ReadRequestAsync();
        Task queued = peer.Write("2");
        await peer.DisposeAsync().AsTask().Soon();
        Assert.That(write.IsCompleted, Is.True, "nothing goes on after the peer is disposed");
        Assert.That(await next.Soon(), Is.False);
        await stream.WaitForEndAsync();
        await post.WaitForEndAsync();
        Assert.That((await write.FailureAsync()).OutcomeUnknown, Is.True);
        Assert.That((await queued.FailureAsync()).OutcomeUnknown, Is.False);
        await peer.Write("3").FailureAsync();
        peer.Dispose();
    }

    [Test]
    public async Task Dispose_closes_a_kept_connection_too()
    {
        MoshpitPeer peer = Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using RawConnection post = await Server.AcceptAsync();
        await post.TakePostAsync();
        await write.Soon();
        await peer.DisposeAsync().AsTask().Soon();
        await post.WaitForEndAsync();
    }

    [Test]
    public async Task Dispose_before_the_server_answers_stops_at_once()
    {
        MoshpitPeer peer = Open();
        using RawConnection stream = await Server.AcceptAsync();
        await peer.DisposeAsync().AsTask().Soon();
        Assert.That(await peer.ToListAsync(), Is.Empty);
        await peer.Connected.FailureAsync();
        await stream.WaitForEndAsync();
    }

    [Test]
    public async Task Cancelling_the_token_of_Open_leaves_and_is_thrown()
    {
        using var leave = new CancellationTokenSource();
        await using MoshpitPeer peer = new MoshpitClient(Server.Url).Open(leave.Token);
        using RawConnection stream = await Server.AcceptStreamAsync();
        await using IAsyncEnumerator<MoshpitEvent> events = peer.GetAsyncEnumerator();
        Assert.That(await events.MoveNextAsync(), Is.True);
        Task<bool> next = events.MoveNextAsync().AsTask();
        await leave.CancelAsync();
        await next.CancellationAsync();
        await stream.WaitForEndAsync();
    }

    [Test]
    public async Task The_token_of_Open_cancels_what_is_under_way_when_the_stream_has_ended_too()
    {
        using var leave = new CancellationTokenSource();
        var options = new MoshpitClientOptions { ResponseTimeout = Timeout.InfiniteTimeSpan };
        await using MoshpitPeer peer = new MoshpitClient(Server.Url, options).Open(leave.Token);
        using RawConnection stream = await Server.AcceptStreamAsync();
        Task write = peer.Write("1");
        using RawConnection post = await Server.AcceptAsync();
        await post.ReadRequestAsync();
        stream.Dispose();
        await peer.DrainAsync();
        await leave.CancelAsync();
        Assert.That((await write.FailureAsync()).OutcomeUnknown, Is.True);
        await post.WaitForEndAsync();
    }

    [Test]
    public async Task A_token_cancelled_before_Open_is_thrown()
    {
        await using MoshpitPeer peer = new MoshpitClient(Server.Url).Open(new CancellationToken(true));
        Assert.That((await peer.DrainAsync()).Failure, Is.InstanceOf<OperationCanceledException>());
        await peer.Connected.CancellationAsync();
    }

    [Test]
    public async Task Cancelling_an_enumeration_ends_only_that()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        using var stop = new CancellationTokenSource();
        await using (IAsyncEnumerator<MoshpitEvent> events = peer.GetAsyncEnumerator(stop.Token))
        {
            Assert.That(await events.MoveNextAsync(), Is.True);
            Task<bool> next = events.MoveNextAsync().AsTask();
            await stop.CancelAsync();
            await next.CancellationAsync();
        }

        Task write = peer.Write("1");
        using RawConnection post = await Server.AcceptAsync();
        await post.TakePostAsync();
        await write.Soon();
    }
}
