using Moshpit.Server.Buffers;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>How events lie in a stream's bytes (PROTOCOL.md, part 2), and what its end says.</summary>
public sealed class FramingTests
{
    private const string Get = "GET /{0} HTTP/1.{1}\r\nHost: localhost\r\n\r\n";

    [Test]
    public async Task Each_event_is_a_chunk_of_its_own_and_the_last_chunk_ends_the_stream()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection guest = server.Connect();
        guest.Send(string.Format(Get, owner.Id, 1));
        await owner.ReadEventAsync();
        await owner.SendAsync(server, "1");
        await owner.SendAsync(server, "{\"a\":\"b\"}");
        owner.Stream.SendEnd();

        string all = await guest.ReadToEndAsync();
        string body = all[(all.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
        Assert.That(body, Does.StartWith("94\r\nevent: connect\ndata: {\"id\":\""));
        Assert.That(body[(4 + 0x94)..],
            Is.EqualTo("\r\n17\r\nevent: signal\ndata: 1\n\n\r\n1f\r\nevent: signal\ndata: {\"a\":\"b\"}\n\n\r\n0\r\n\r\n"));
    }

    [Test]
    public async Task Joined_events_are_still_a_chunk_each()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        using RawConnection sender = server.Connect();

        // Pipelined, so that they go out together; RawPeer fails where a chunk is not just one event.
        sender.Send(string.Concat(Enumerable.Range(0, 50).Select(n => owner.Post($"{n}", n % 5 == 4 ? guest.Cid : null))));
        for (int n = 0; n < 50; n++)
            Assert.That(await guest.ReadSignalAsync(), Is.EqualTo($"{n}"));
    }

    [Test]
    public async Task Peers_of_HTTP_1_0_hear_the_same_events_in_the_same_order_without_chunks()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.BodyLimit = 100_000);
        using RawConnection old = server.Connect();
        old.Send(string.Format(Get, "", 0));
        Assert.That((await old.ReadHeadAsync())["Transfer-Encoding"], Is.Null);
        string connect = await old.ReadUntilAsync("\n\n");
        string Member(string name) => connect[(connect.IndexOf($"\"{name}\":\"", StringComparison.Ordinal) + name.Length + 4)..][..32];
        using RawPeer guest = await server.JoinAsync(Member("id"));
        using RawPeer other = await RawPeer.OpenAsync(server.Connect(), "/" + guest.Id);
        Assert.That(await old.ReadUntilAsync("\n\n"),
            Is.EqualTo($"event: join\ndata: {{\"id\":\"{guest.Id}\",\"cid\":\"{guest.Cid}\"}}\n\n"));
        await old.ReadUntilAsync("\n\n");

        // To all, to one behind what is pending, and one that is too long to be joined with others.
        string large = $"\"{new string('x', 50_000)}\"";
        using RawConnection sender = server.Connect();
        sender.Send(guest.Post("1") + guest.Post("2", Member("cid")) + guest.Post("3") + guest.Post(large)
            + guest.Post("4", Member("cid")));
        foreach (string data in (string[])["1", "2", "3", large, "4"])
            Assert.That(await old.ReadUntilAsync("\n\n"), Is.EqualTo($"event: signal\ndata: {data}\n\n"));
        foreach (string data in (string[])["1", "3", large])
            Assert.That(await guest.ReadSignalAsync(), Is.EqualTo(data));

        old.SendEnd();
        Assert.That(await old.ReadToEndAsync(), Is.Empty);
        Assert.That(await guest.Stream.ReadToEndAsync(), Is.Empty);
        Assert.That(guest.Stream.SawLastChunk);
    }

    [Test]
    public async Task A_stop_in_good_order_sends_the_last_chunk()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        await server.Server.StopAsync();
        Assert.That(await owner.ReadAllAsync(), Is.Empty);
        Assert.That(owner.Stream.SawLastChunk);
    }

    [Test]
    public async Task A_second_call_for_the_end_cuts_without_the_last_chunk()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection unfinished = server.Connect();
        unfinished.Send(PostText.Head("/" + owner.Id, PostText.Json + "Expect: 100-continue\r\nContent-Length: 5\r\n"));

        // Only then the server knows of the request, and waits for its end.
        await unfinished.ReadUntilAsync("100 Continue\r\n\r\n");
        using var hurry = new CancellationTokenSource();
        Task stopping = server.Server.StopAsync(hurry.Token);
        await hurry.CancelAsync();
        await stopping;
        await owner.Stream.ReadToEndOrResetAsync();
        Assert.That(owner.Stream.SawLastChunk, Is.False);
    }

    [Test]
    public async Task A_peer_that_is_cut_does_not_get_the_last_chunk()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.StreamInputLimit = 10);
        using RawPeer owner = await server.CreateAsync();
        owner.Stream.Send(new string('x', 100));
        await owner.Stream.ReadToEndOrResetAsync();
        await Eventually.AsyncTrue(() => server.Server.Parts.Streams.EndedFor(DisconnectReason.TooMuchInput) == 1);
        Assert.That(owner.Stream.SawLastChunk, Is.False);
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task The_client_file_tells_a_cut_from_an_end(bool gently)
    {
        await using TestServer server = await TestServer.StartAsync();
        var options = new MoshpitClientOptions { ReconnectWithin = TimeSpan.Zero };
        await using MoshpitPeer peer = new MoshpitClient($"http://127.0.0.1:{server.Port}", options).Open();
        await peer.Connected.WaitAsync(RawConnection.Patience);
        Task<int> reading = CountAsync(peer);
        if (gently)
            await server.Server.StopAsync();
        else
            (await server.StreamAsync()).Abort(DisconnectReason.ServerStopped);
        if (gently)
            Assert.That(await reading.WaitAsync(RawConnection.Patience), Is.EqualTo(1));
        else
            await Assert.ThatAsync(() => reading.WaitAsync(RawConnection.Patience), Throws.InstanceOf<MoshpitException>());
    }

    private static async Task<int> CountAsync(MoshpitPeer peer)
    {
        int count = 0;
        await foreach (MoshpitEvent _ in peer)
            count++;
        return count;
    }
}
