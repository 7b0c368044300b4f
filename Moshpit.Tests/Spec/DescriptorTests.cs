using System.Net;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>The program with few descriptors: it refuses before the last one is gone, and connected peers do not notice.</summary>
[Platform("Linux")]
[Parallelizable]
public sealed class DescriptorTests
{
    private const int Limit = 300;

    [Test]
    public async Task Short_of_descriptors_it_serves_connected_peers_refuses_more_and_accepts_again_when_some_close()
    {
        using MoshpitProgram program = MoshpitProgram.StartWithDescriptors(Limit, "--port", "0", "--host", "127.0.0.1", "--heartbeat", "0");
        int port = await program.ListeningAsync();
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(port), "/");
        using RawPeer guest = await RawPeer.OpenAsync(RawConnection.Connect(port), "/" + owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
        using var publisher = new Publisher(RawConnection.Connect(port), guest);
        await ExchangeAsync(publisher, owner, guest);

        List<RawPeer> crowd = [];
        while (await TryOpenAsync(port) is { } peer)
            crowd.Add(peer);
        Assert.That(crowd, Has.Count.InRange(50, Limit), "the runtime has descriptors too");
        int full = Descriptors(program);
        Assert.That(full, Is.LessThan(Limit));

        // More clients change nothing for connected peers.
        RawConnection[] tooMany = [.. Enumerable.Range(0, Limit).Select(_ => RawConnection.Connect(port))];
        for (int n = 0; n < 100; n++)
            await ExchangeAsync(publisher, owner, guest);
        foreach (RawConnection connection in tooMany)
            connection.Dispose();
        foreach (RawPeer peer in crowd)
            peer.Dispose();
        await Eventually.AsyncTrue(() => Descriptors(program) < full - crowd.Count / 2);
        using RawPeer late = await RawPeer.OpenAsync(RawConnection.Connect(port), "/" + owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(late)));
        await ExchangeAsync(publisher, owner, guest, late);
        program.Signal(MoshpitProgram.SigTerm);
        (int status, _, string errors) = await program.EndAsync();
        Assert.That(status, Is.Zero);
        Assert.That(errors, Does.Match("^[^\n]*warn[^\n]*MaxConnections \\(1000\\)[^\n]*ulimit -n[^\n]*\n"), "a warning at the start");
        Assert.That(errors, Does.Match("\n[^\n]*warn[^\n]*At a limit: refused [0-9]+ times with 503 too-many-connections[^\n]*\n$"),
            "and one at the limit");
        Assert.That(errors.Count(c => c == '\n'), Is.LessThanOrEqualTo(3), "and no flood of them");
    }

    [Test]
    public async Task With_enough_descriptors_nothing_is_said()
    {
        using MoshpitProgram program = MoshpitProgram.StartWithDescriptors(10_000, "--port", "0", "--host", "127.0.0.1");
        await program.ListeningAsync();
        program.Signal(MoshpitProgram.SigTerm);
        (_, _, string errors) = await program.EndAsync();
        Assert.That(errors, Is.Empty);
    }

    [Test]
    public async Task One_address_leaves_three_quarters_of_the_descriptors_to_others()
    {
        IPAddress own = Asking.OwnAddress();
        using MoshpitProgram program = MoshpitProgram.StartWithDescriptors(Limit, "--port", "0");
        var address = new IPEndPoint(own, await program.ListeningAsync());
        List<RawConnection> greedy = [];
        RawResponse? refusal = null;
        while (refusal is null)
        {
            greedy.Add(RawConnection.Connect(address));
            greedy[^1].Send(Asking.Text("OPTIONS", "/"));
            RawResponse response = await greedy[^1].ReadResponseAsync();
            refusal = response.Status == 204 ? null : response;
        }

        Asking.IsRefusal(refusal, 429, "too many connections open");
        Assert.That(greedy, Has.Count.LessThanOrEqualTo(Limit / 4));
        (await RawPeer.OpenAsync(RawConnection.Connect(address.Port), "/")).Dispose();
        greedy.ForEach(connection => connection.Dispose());
    }

    private static async Task ExchangeAsync(Publisher publisher, params RawPeer[] peers)
    {
        await publisher.SendAsync("\"still here\"");
        foreach (RawPeer peer in peers)
            Assert.That(await peer.ReadSignalAsync(), Is.EqualTo("\"still here\""));
    }

    /// <summary>A stream, or null where the server says that it is one too many.</summary>
    private static async Task<RawPeer?> TryOpenAsync(int port)
    {
        RawConnection connection = RawConnection.Connect(port);
        connection.Send("OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        RawResponse response = await connection.ReadResponseAsync();
        if (response.Status == 204)
            return await RawPeer.OpenAsync(connection, "/");
        Assert.That(response.Status, Is.EqualTo(503));
        Assert.That(response["Retry-After"], Is.Not.Null);
        connection.Dispose();
        return null;
    }

    private static int Descriptors(MoshpitProgram program) => Directory.GetFileSystemEntries($"/proc/{program.Id}/fd").Length;
}
