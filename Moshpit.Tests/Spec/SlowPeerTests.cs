using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>Peers that read slowly or not at all: what they get, when they are cut, and that no other client waits for them.</summary>
[Parallelizable]
public sealed class SlowPeerTests
{
    private const int MessageLength = 8000;

    /// <summary>More than all that a kernel keeps for one connection.</summary>
    private const int Flood = 2500;

    [Test]
    public async Task A_peer_that_stops_reading_is_cut_at_the_limit_and_the_others_get_everything_meanwhile()
    {
        const int Limit = 64 * 1024;
        await using TestServer server = await TestServer.StartAsync(options => (options.BacklogLimit, options.MaxBacklog) = (Limit, Limit));
        using RawPeer owner = await server.CreateAsync();
        using RawPeer reader = await server.JoinAsync(owner.Id);
        using RawPeer slow = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        foreach (RawPeer guest in new[] { reader, slow })
            Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
        using var publisher = new Publisher(server.Connect(), owner);
        int sent = 0;
        bool left = false;
        for (; !left && sent < Flood; sent++)
        {
            await publisher.SendAsync(Message(sent));
            Assert.That(await reader.ReadEventAsync(), Is.EqualTo(Event(sent)));
            string heard = await owner.ReadEventAsync();
            left = heard == owner.LeaveOf(slow);
            Assert.That(left ? await owner.ReadEventAsync() : heard, Is.EqualTo(Event(sent)));
        }

        Assert.That(left, Is.True, "it was never cut");
        Assert.That(sent, Is.GreaterThan(Limit / MessageLength));
        Assert.That(server.Server.Parts.Streams.EndedFor(DisconnectReason.BacklogFull), Is.EqualTo(1));
    }

    [Test]
    public async Task When_all_together_wait_for_too_much_the_peer_that_waits_for_most_is_cut_and_one_a_little_behind_is_not()
    {
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.BacklogLimit = 1024 * 1024 * 1024;
            options.TotalBacklogLimit = 3 * 1024 * 1024;
        });
        using RawPeer owner = await server.CreateAsync();
        using RawPeer behind = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        using RawPeer slow = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        using var publisher = new Publisher(server.Connect(), owner);
        int few = 0, many = 0;
        for (; few < Flood && server.Server.Parts.Frames.Outstanding < 10; few++)
            await publisher.SendAsync(Message(few), behind.Cid);
        for (; many < Flood && (await publisher.PostAsync(Message(many), slow.Cid)).Status == 200; many++)
        {
            if (many % 50 == 0)
                await publisher.SendAsync(Message(few++), behind.Cid);
        }

        // A message keeps 8 KiB alive. The little that the other has counts too, and so does what the kernel may hold for both.
        Assert.That(many, Is.InRange(3 * 1024 * 1024 / 8192 - 80, Flood - 1), "it was cut when there was too much, and not before");
        await publisher.SendAsync("\"end\"", behind.Cid);
        Assert.That(await HearAsync(behind, "end"), Is.EqualTo(Enumerable.Range(0, few).Select(Event)));
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(behind)));
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(slow)));
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.LeaveOf(slow)));
    }

    [Test]
    public async Task A_peer_that_takes_nothing_for_too_long_is_cut_even_if_little_waits_for_it()
    {
        var clock = new FakeTimeProvider();
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.TimeProvider = clock;
            options.BacklogLimit = 1024 * 1024 * 1024;
            options.StallTimeout = TimeSpan.FromSeconds(10);
        });
        using RawPeer owner = await server.CreateAsync();
        using RawPeer slow = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        await owner.ReadEventAsync();
        using var publisher = new Publisher(server.Connect(), owner);
        for (int n = 0; n < Flood; n++)
            await publisher.SendAsync(Message(n), slow.Cid);
        clock.Pass(9);
        await publisher.SendAsync("\"still there\"", slow.Cid);
        Assert.That(await clock.PassUntilAsync(1, owner.ReadEventAsync()), Is.EqualTo(owner.LeaveOf(slow)));
        Assert.That(server.Server.Parts.Streams.EndedFor(DisconnectReason.Stalled), Is.EqualTo(1));
    }

    [Test]
    public async Task A_peer_that_reads_late_gets_everything_in_order()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.BacklogLimit = 1024 * 1024 * 1024);
        using RawPeer owner = await server.CreateAsync();
        using RawPeer slow = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        await owner.ReadEventAsync();
        Task<List<string>> ownerHears = HearAsync(owner, "end");
        using var publisher = new Publisher(server.Connect(), owner);
        for (int n = 0; n < 1000; n++)
            await publisher.SendAsync(Message(n), n % 3 == 0 ? slow.Cid : null);
        Assert.That(server.Server.Parts.Frames.Outstanding, Is.GreaterThan(1), "nothing waits for it; this test says nothing");
        await publisher.SendAsync("\"end\"");
        Assert.That(await HearAsync(slow, "end"), Is.EqualTo(Enumerable.Range(0, 1000).Select(Event)));
        Assert.That(await ownerHears, Is.EqualTo(Enumerable.Range(0, 1000).Where(n => n % 3 != 0).Select(Event)));
        await owner.SendAsync(server, "\"as fast as before\"");
        Assert.That(await slow.ReadSignalAsync(), Is.EqualTo("\"as fast as before\""));
    }

    [Test]
    public async Task A_peer_that_reads_slowly_but_steadily_is_not_cut_however_large_the_message()
    {
        const int Piece = 512 * 1024;
        var clock = new FakeTimeProvider();
        using var folder = new TempFolder();
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.TimeProvider = clock;
            options.BodyLimit = 16 * Piece;
            options.BacklogLimit = 1024 * 1024 * 1024;
            options.StallTimeout = TimeSpan.FromSeconds(10);
            options.Heartbeat = TimeSpan.Zero;
            options.SocketPath = folder["socket"];
        });

        // A Unix socket and what the test has read ahead hold less than a piece, so each piece that is read is progress.
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(new UnixDomainSocketEndPoint(folder["socket"])), "/");
        await owner.SendAsync(server, $"\"{new string('x', 10 * Piece)}\"");
        for (int n = 0; n < 10; n++)
        {
            // Less than half the timeout: a loaded machine may not have noted the last piece yet when the clock jumps on.
            clock.Pass(4);
            Assert.That(await owner.Stream.ReadAsync(Piece), Does.EndWith("xxx"), $"piece {n}");
        }

        Assert.That(await owner.Stream.ReadUntilAsync("\n\n"), Does.EndWith("x\"\n\n"));
    }

    [Test]
    [Platform("Linux")]
    public async Task A_peer_that_reads_a_little_at_a_time_is_not_cut_as_long_as_it_reads()
    {
        const int Sip = 4096, Sips = 60;
        var clock = new FakeTimeProvider();
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.TimeProvider = clock;
            options.BacklogLimit = 1024 * 1024 * 1024;
            options.StallTimeout = TimeSpan.FromSeconds(10);
            options.Heartbeat = TimeSpan.Zero;
        });
        using RawPeer owner = await server.CreateAsync();
        using RawPeer slow = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        await owner.ReadEventAsync();
        using (var publisher = new Publisher(server.Connect(), owner))
        {
            for (int n = 0; n < Flood; n++)
                await publisher.SendAsync(Message(n), slow.Cid);
        }

        // What the socket has room for is far more than all these sips: that it is read is seen by nothing but what is acknowledged. A
        // kernel may acknowledge later than it is read, so the timeout lasts for more sips than the client's buffers can hold.
        for (int n = 0; n < Sips; n++)
        {
            await slow.Stream.ReadAsync(Sip);
            clock.Pass(1);
        }

        Assert.That(server.Server.Parts.Streams.Streams.Count, Is.EqualTo(2), "it was cut");
        Assert.That(await clock.PassUntilAsync(11, owner.ReadEventAsync()), Is.EqualTo(owner.LeaveOf(slow)), "now that it reads no more");
    }

    [Test]
    public async Task What_waits_for_a_slow_peer_costs_memory_by_its_length_and_not_by_the_frames_that_it_came_in()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawPeer slow = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        Task<List<string>> ownerHears = HearAsync(owner, "end");
        using var publisher = new Publisher(server.Connect(), owner);

        // Large ones first, until the socket is full; then small ones, of which each is alone in its frame.
        for (int n = 0; n < 30; n++)
            await publisher.SendAsync(Message(n), slow.Cid);
        for (int n = 0; n < 3000; n++)
            await publisher.SendAsync("1", n % 2 == 0 ? slow.Cid : null);
        Assert.That(server.Server.Parts.Streams.Streams.Count, Is.EqualTo(2), "it was cut; this test says nothing");
        int outstanding = server.Server.Parts.Frames.Outstanding;
        Assert.That(outstanding, Is.InRange(10, 60));
        await publisher.SendAsync("\"end\"");
        Assert.That(await ownerHears, Has.Count.EqualTo(1500));
    }

    [Test]
    public async Task Large_messages_that_meet_do_not_cut_a_peer_that_reads()
    {
        const int Length = 1_000_000, Bursts = 8, Burst = 4;
        await using TestServer server = await TestServer.StartAsync(options => options.BodyLimit = 2 * Length);
        using RawPeer owner = await server.CreateAsync();
        using var publisher = new Publisher(server.Connect(), owner);
        for (int burst = 0; burst < Bursts; burst++)
        {
            // None of them is read before all are there, as when a reader's machine is busy for a moment.
            for (int n = 0; n < Burst; n++)
                await publisher.SendAsync($"\"{n}{new string('.', Length)}\"");
            for (int n = 0; n < Burst; n++)
                Assert.That(await owner.ReadSignalAsync(), Has.Length.GreaterThan(Length).And.StartsWith($"\"{n}"));
        }
    }

    [Test]
    public async Task Direct_messages_to_a_peer_that_waits_for_a_drain_do_not_cut_it()
    {
        const int Peers = 40, Directs = 3;
        await using TestServer server = await TestServer.StartAsync(options => options.ThreadsPerChannel = 1);
        using RawPeer owner = await server.CreateAsync();
        var sender = (Peer)(await server.StreamAsync()).Owner;
        RawPeer[] peers = await Task.WhenAll(Enumerable.Range(0, Peers).Select(_ => server.JoinAsync(owner.Id)));
        Task<List<string>>[] hearing = [.. peers.Append(owner).Select(peer => HearAsync(peer, "end"))];
        using RawConnection flood = server.Connect();
        using var direct = new Publisher(server.Connect(), owner);

        // A drain is held up at the owner, which is the first, while as much is published as may be pending.
        using var letGo = new ManualResetEventSlim();
        using var held = new ManualResetEventSlim();
        var holding = new Thread(() =>
        {
            lock (GateOf(sender))
            {
                held.Set();
                letGo.Wait(RawConnection.Patience);
            }
        });
        holding.Start();
        held.Wait();
        Channel channel = server.Server.Parts.Channels.Find(System.Text.Encoding.ASCII.GetBytes(owner.Id))!;
        long limit = server.Server.Parts.Channels.PendingLimit;
        int flooding = (int)(limit / MessageLength) + 20;
        Task publishing = Task.Run(() => flood.Send(string.Concat(Enumerable.Range(0, flooding).Select(n => owner.Post(Message(n))))));
        await Eventually.AsyncTrue(() => channel.PendingBytes >= limit);
        for (int n = 0; n < Directs; n++)
            await direct.SendAsync($"\"direct {n}\"", peers[20].Cid);
        letGo.Set();
        await publishing;
        for (int n = 0; n < flooding; n++)
            Assert.That((await flood.ReadResponseAsync()).Status, Is.EqualTo(200));
        await direct.SendAsync("\"end\"");
        List<string>[] heard = await Task.WhenAll(hearing);
        Assert.That(heard.Select(list => list.Count(text => !text.Contains("direct"))), Is.All.EqualTo(flooding));
        Assert.That(heard[20].Count(text => text.Contains("direct")), Is.EqualTo(Directs));
        holding.Join();
        foreach (RawPeer peer in peers)
            peer.Dispose();
    }

    [Test]
    public async Task When_the_owner_leaves_what_was_published_still_reaches_a_peer_that_reads_late()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.BacklogLimit = 1024 * 1024 * 1024);
        RawPeer owner = await server.CreateAsync();
        using RawPeer slow = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        await FloodAsync(server, owner, slow);
        owner.Dispose();
        await Eventually.AsyncTrue(() => server.Server.Parts.Channels.Count == 0);
        Assert.That(await slow.ReadAllAsync(), Is.EqualTo(Enumerable.Range(0, 1000).Select(Event)));
    }

    [Test]
    public async Task When_the_server_stops_what_was_published_still_reaches_a_peer_that_reads_late()
    {
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.BacklogLimit = 1024 * 1024 * 1024;
            options.ShutdownTimeout = RawConnection.Patience;
        });
        using RawPeer owner = await server.CreateAsync();
        using RawPeer slow = await RawPeer.OpenAsync(server.ConnectNarrow(), "/" + owner.Id);
        await FloodAsync(server, owner, slow);
        Task stopping = server.Server.StopAsync();
        Assert.That(await slow.ReadAllAsync(), Is.EqualTo(Enumerable.Range(0, 1000).Select(Event)));
        Assert.That(stopping.IsCompleted, Is.False, "it waits for the peer that has not closed");
        slow.Dispose();
        owner.Dispose();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    private static async Task FloodAsync(TestServer server, RawPeer owner, RawPeer slow)
    {
        using var publisher = new Publisher(server.Connect(), owner);
        for (int n = 0; n < 1000; n++)
            await publisher.SendAsync(Message(n), slow.Cid);
        Assert.That(server.Server.Parts.Frames.Outstanding, Is.GreaterThan(1), "nothing waits for it; this test says nothing");
    }

    private static string Message(int n) => $"\"{n}{new string('.', MessageLength)}\"";

    private static string Event(int n) => "event: signal\ndata: " + Message(n);

    /// <summary>All events until the one whose data is the string <paramref name="last"/>.</summary>
    private static Task<List<string>> HearAsync(RawPeer peer, string last) => Task.Run(async () =>
    {
        var heard = new List<string>();
        while (await peer.ReadEventAsync() is var text && text != $"event: signal\ndata: \"{last}\"")
        {
            if (!text.StartsWith("event: join"))
                heard.Add(text);
        }

        return heard;
    });

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_gate")]
    private static extern ref object GateOf(Peer peer);
}
