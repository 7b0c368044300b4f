namespace Moshpit.Tests.Client;

/// <summary>A connection that was kept for the next message, when none comes. It takes the seconds that it takes.</summary>
[Parallelizable]
public class KeptConnectionTests
{
    [Test]
    public async Task It_is_closed_when_it_is_too_old_to_be_used_again_and_the_next_message_opens_another()
    {
        using var server = new RawServer();
        await using MoshpitPeer peer = new MoshpitClient(server.Url).Open();
        using RawConnection stream = await server.AcceptStreamAsync();
        Task first = peer.Write("1");
        using RawConnection post = await server.AcceptAsync();
        await post.TakePostAsync();
        await first.Soon();
        await post.WaitForEndAsync();
        Task second = peer.Write("2");
        using RawConnection next = await server.AcceptAsync();
        await next.TakePostAsync();
        await second.Soon();
    }
}
