using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// Every peer of a channel sees all broadcasts in one order; one sender's messages, broadcast or direct, arrive in the order in which
/// their POSTs were answered.
/// </summary>
[Parallelizable]
public sealed class OrderTests
{
    [TestCase(2, 2, 300, 1024 * 1024)]
    [TestCase(20, 8, 100, 1024 * 1024)]
    [TestCase(600, 4, 40, 1024 * 1024)]
    [TestCase(20, 8, 100, 100, TestName = "Where_senders_have_to_wait_for_room_nothing_is_lost_and_the_order_is_the_same")]
    public async Task All_peers_see_one_order_and_no_sender_overtakes_itself(int peers, int senders, int messages, int pendingLimit)
    {
        await using TestServer server = await TestServer.StartAsync(options => options.PendingLimit = pendingLimit);
        RawPeer[] all = await FillAsync(server, peers);
        try
        {
            Task<List<string>>[] hearing = [.. all.Select(peer => Task.Run(() => HearAsync(peer)))];
            await Task.WhenAll(Enumerable.Range(0, senders).Select(sender => Task.Run(() => TalkAsync(server, all, sender, messages))));
            await all[0].SendAsync(server, "\"end\"");
            List<string>[] heard = await Task.WhenAll(hearing);

            string[] broadcasts = [.. heard[0].Where(IsBroadcast)];
            int[] toAll = [.. Enumerable.Range(0, messages).Where(n => To(n) is null)];
            Assert.That(broadcasts, Has.Length.EqualTo(senders * toAll.Length));
            for (int peer = 0; peer < peers; peer++)
            {
                if (!heard[peer].Where(IsBroadcast).SequenceEqual(broadcasts))
                    Assert.Fail($"Peer {peer} saw another order than peer 0.");
                for (int sender = 0; sender < senders; sender++)
                    CheckSender(heard[peer], peer, sender, messages, peers);
            }
        }
        finally
        {
            foreach (RawPeer peer in all)
                peer.Dispose();
        }
    }

    [TestCase(3)]
    [TestCase(300)]
    public async Task A_peer_that_joins_in_the_middle_gets_connect_first_and_has_no_gap_afterwards(int residents)
    {
        const int Guests = 4, Visits = 8, Attention = 15;
        await using TestServer server = await TestServer.StartAsync();
        RawPeer[] all = await FillAsync(server, residents);
        using var done = new CancellationTokenSource();
        try
        {
            Task<List<string>>[] hearing = [.. all.Select(peer => Task.Run(() => HearAsync(peer)))];
            Task<int>[] talking = [.. new[] { 0, 1 }.Select(sender => Task.Run(() => CountAsync(server, all[1], sender, done.Token)))];
            await Task.WhenAll(Enumerable.Range(0, Guests).Select(guest => Task.Run(async () =>
            {
                for (int visit = 0; visit < Visits; visit++)
                    await VisitAsync(server, all[0].Id, Attention, reset: (guest + visit) % 2 == 0);
            })));
            await done.CancelAsync();
            int[] counts = await Task.WhenAll(talking);
            await all[0].SendAsync(server, "\"end\"");
            foreach (List<string> heard in await Task.WhenAll(hearing))
            {
                for (int sender = 0; sender < 2; sender++)
                {
                    IEnumerable<string> own = heard.Where(data => data.StartsWith($"[{sender},", StringComparison.Ordinal));
                    Assert.That(own.SequenceEqual(Enumerable.Range(0, counts[sender]).Select(n => $"[{sender},{n}]")),
                        $"from sender {sender}");
                }
            }
        }
        finally
        {
            foreach (RawPeer peer in all)
                peer.Dispose();
        }
    }

    /// <summary>Joins, hears the next messages of each sender without a gap, and goes.</summary>
    private static async Task VisitAsync(TestServer server, string id, int attention, bool reset)
    {
        using RawPeer guest = await server.JoinAsync(id);
        int?[] next = new int?[2];
        for (int n = 0; n < attention; n++)
        {
            string[] parts = (await guest.ReadSignalAsync()).Trim('[', ']').Split(',');
            int sender = int.Parse(parts[0]), number = int.Parse(parts[1]);
            Assert.That(number, Is.EqualTo(next[sender] ?? number), $"from sender {sender}");
            next[sender] = number + 1;
        }

        if (reset)
            guest.Stream.Reset();
    }

    private static async Task<int> CountAsync(TestServer server, RawPeer peer, int sender, CancellationToken done)
    {
        using var publisher = new Publisher(server.Connect(), peer);
        int n = 0;
        while (!done.IsCancellationRequested)
            await publisher.SendAsync($"[{sender},{n++}]");
        return n;
    }

    private static async Task<RawPeer[]> FillAsync(TestServer server, int count)
    {
        var all = new RawPeer[count];
        all[0] = await server.CreateAsync();
        for (int n = 1; n < count; n++)
            all[n] = await server.JoinAsync(all[0].Id);
        return all;
    }

    private static async Task TalkAsync(TestServer server, RawPeer[] all, int sender, int messages)
    {
        using var publisher = new Publisher(server.Connect(), all[sender]);
        for (int n = 0; n < messages; n++)
            await publisher.SendAsync(Data(sender, n, all.Length), To(n) is { } to ? all[to % all.Length].Cid : null);
    }

    /// <summary>The addressee of message <paramref name="n"/> of each sender; null for all.</summary>
    private static int? To(int n) => n % 3 == 1 ? 7 * n + 1 : null;

    private static string Data(int sender, int n, int peers) => To(n) is { } to ? $"[{sender},{n},{to % peers}]" : $"[{sender},{n}]";

    private static bool IsBroadcast(string data) => data.AsSpan().Count(',') == 1;

    /// <summary>Exactly what <paramref name="sender"/> sent to all and to this peer, in the order of its numbers.</summary>
    private static void CheckSender(List<string> heard, int peer, int sender, int messages, int peers)
    {
        string start = $"[{sender},";
        IEnumerable<string> expected = Enumerable.Range(0, messages)
            .Where(n => To(n) is not { } to || to % peers == peer)
            .Select(n => Data(sender, n, peers));
        string[] own = [.. heard.Where(data => data.StartsWith(start, StringComparison.Ordinal))];
        if (!own.SequenceEqual(expected))
            Assert.That(own, Is.EqualTo(expected), $"peer {peer}, sender {sender}");
    }

    /// <summary>The data of all signals up to the end; the owner, which is told of joins and leaves, hears them too.</summary>
    private static async Task<List<string>> HearAsync(RawPeer peer)
    {
        const string Signal = "event: signal\ndata: ";
        var heard = new List<string>();
        while (await peer.ReadEventAsync() is var text && text != Signal + "\"end\"")
        {
            if (text.StartsWith(Signal, StringComparison.Ordinal))
                heard.Add(text[Signal.Length..]);
        }

        return heard;
    }
}
