using System.Runtime.CompilerServices;
using Moshpit.Server;
using Moshpit.Server.Api;
using Moshpit.Server.Channels;
using Moshpit.Server.Transport;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// Whatever a crowd did, when it has left nothing of it is reachable any more. Bytes would say less: what the array pool keeps for next
/// time depends on threads and cores.
/// </summary>
[Parallelizable]
public sealed class MemoryTests
{
    private const int Guests = 100;
    private const int Owners = 100;

    [Test]
    public async Task When_a_crowd_has_left_nothing_holds_on_to_it()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.BodyLimit = 256 * 1024);
        List<WeakReference> crowd = await CrowdAsync(server);
        Assert.That(crowd, Has.Count.EqualTo(3 * (Owners + Guests + 2) + 2),
            "a stream, a peer and its channel each, and the two that posted");
        await server.WhenIdleAsync();
        await Eventually.AsyncTrue(() => CountAlive(crowd) == 0, () => $"{CountAlive(crowd)} of {crowd.Count} objects are still held");
        Assert.That((server.Server.Parts.Channels.Count, server.Server.Parts.Admission.Connections), Is.EqualTo((0, 0)));
        await Eventually.AsyncTrue(() => server.Server.Parts.Frames is { Outstanding: 2, OutstandingBytes: < 1024 },
            () => "More than the heartbeat and the last chunk are out.");
    }

    /// <summary>
    /// Peers in one channel and in many, messages to all and to one, large ones, one cut short; peers that read, that do not, that reset.
    /// </summary>
    private static async Task<List<WeakReference>> CrowdAsync(TestServer server)
    {
        using RawPeer owner = await server.CreateAsync();
        RawPeer[] guests = await Task.WhenAll(Enumerable.Range(0, Guests).Select(_ => server.JoinAsync(owner.Id)));
        RawPeer[] owners = await Task.WhenAll(Enumerable.Range(0, Owners).Select(_ => server.CreateAsync()));
        using RawPeer slow = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        using var publisher = new Publisher(server.Connect(), owner);
        for (int n = 0; n < 30; n++)
            await publisher.SendAsync($"\"{new string('.', 8000)}\"", slow.Cid);
        await publisher.SendAsync($"\"{new string('.', 200_000)}\"", guests[0].Cid);
        await publisher.SendAsync("\"end\"");
        foreach (RawPeer guest in guests)
            await guest.Stream.ReadUntilAsync("\"end\"\n\n");
        using var other = new Publisher(server.Connect(), owners[0]);
        await other.SendAsync("1");
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 2);
        List<WeakReference> crowd = Observe(server.Server.Parts);
        using RawConnection cut = server.Connect();
        cut.Send("POST /" + owner.Id + " HTTP/1.1\r\nHost: localhost\r\n"
            + "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n5\r\n");
        foreach (RawPeer guest in guests)
            guest.Stream.Reset();
        foreach (RawPeer peer in owners)
            peer.Dispose();
        return crowd;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static List<WeakReference> Observe(ServerParts parts)
    {
        List<WeakReference> crowd = [];
        foreach (EventStreamConnection? stream in parts.Streams.Streams.Snapshot())
        {
            if (stream?.Owner is Peer peer)
                crowd.AddRange([new WeakReference(stream), new WeakReference(peer), new WeakReference(peer.Channel)]);
        }

        foreach (HttpConnection? connection in parts.Http.Connections.Snapshot())
        {
            if (connection is not null)
                crowd.Add(new WeakReference(connection));
        }

        return crowd;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int CountAlive(List<WeakReference> crowd)
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return crowd.Count(reference => reference.IsAlive);
    }
}
