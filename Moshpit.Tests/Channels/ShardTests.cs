using System.Runtime.CompilerServices;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Channels;

/// <summary>The order in which peers are given things, with a pass that is held up where it hurts most.</summary>
internal sealed class ShardTests
{
    /// <summary>Enough that a pool thread runs the drains, and few enough for one slice and one shard.</summary>
    private const int Crowd = 30;

    [Test]
    public async Task What_is_published_during_a_drain_goes_out_with_it_to_peers_not_yet_reached_and_in_one_write_to_the_others()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        Assert.That(await channel.PublishAsync("b;"), Is.True);
        Assert.That(await channel.PublishAsync("c;"), Is.True);
        await LetGoAsync(channel, peers[1].Sink);
        Assert.That(peers[1].Sink.Writes, Is.EqualTo(new[] { "a;", "b;c;" }));
        Assert.That(peers.Skip(2).Select(peer => peer.Sink.Writes), Is.All.EqualTo(new[] { "a;b;c;" }));
    }

    [Test]
    public async Task When_a_crowd_has_left_the_publisher_delivers_to_the_rest_itself_again_and_in_short_drains()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink) owner = channel.Join();
        (Peer Peer, RecordingSink Sink)[] crowd = [.. Enumerable.Range(0, 2000).Select(_ => channel.Join())];
        (Peer Peer, RecordingSink Sink) last = crowd[^1];
        Assert.That(last.Peer.Slot, Is.GreaterThan(500));
        foreach ((Peer peer, _) in crowd.SkipLast(1))
            peer.TryLeave();
        Assert.That(last.Peer.Slot, Is.LessThan(64));
        int publisher = Environment.CurrentManagedThreadId;
        Assert.That(channel.PublishAsync("a;").IsCompletedSuccessfully, Is.True);
        Assert.That((last.Sink.Text, last.Sink.WrittenBy), Is.EqualTo(("a;", publisher)));
        Assert.That((owner.Sink.Writes[^1], owner.Sink.WrittenBy), Is.EqualTo(("a;", publisher)));
    }

    [Test]
    public async Task A_peer_that_is_ended_during_a_pass_first_gets_all_that_was_published()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        await channel.PublishAsync("b;");
        peers[20].Peer.End(DisconnectReason.ServerStopped);
        Assert.That((peers[20].Sink.Text, peers[20].Sink.Completed), Is.EqualTo(("a;b;", DisconnectReason.ServerStopped)));
        await LetGoAsync(channel, peers[1].Sink);
    }

    [Test]
    public async Task When_the_owner_leaves_during_a_pass_even_what_takes_several_passes_more_is_given_first()
    {
        string large = new string('x', 40_000) + ";";
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        foreach (string text in new[] { large, large, "z;" })
            await channel.PublishAsync(text);
        peers[0].Peer.TryLeave();
        await LetGoAsync(channel, peers[1].Sink);
        Assert.That(peers.Skip(1).Select(peer => peer.Sink.Text), Is.All.EqualTo("a;" + large + large + "z;"));
        Assert.That(peers.Skip(1).Select(peer => peer.Sink.Completed), Is.All.EqualTo(DisconnectReason.ChannelClosed));
    }

    [Test]
    public async Task A_direct_message_during_a_pass_comes_after_all_that_was_published_and_before_what_comes_next()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        await channel.PublishAsync("b;");
        await channel.PublishAsync("c;");
        channel.Send(peers[20].Peer, "direct;");
        Assert.That(peers[20].Sink.Writes, Is.EqualTo(new[] { "a;b;c;direct;" }), "it does not wait for the pass");
        channel.Send(peers[20].Peer, "again;");
        await channel.PublishAsync("d;");
        channel.Send(peers[21].Peer, "late;");
        await LetGoAsync(channel, peers[1].Sink);
        Assert.That(peers[20].Sink.Writes, Is.EqualTo(new[] { "a;b;c;direct;", "again;", "d;" }));
        Assert.That(peers[21].Sink.Text, Is.EqualTo("a;b;c;d;late;"));
        foreach ((_, RecordingSink sink) in peers[2..20].Concat(peers[22..]))
            Assert.That(sink.Text, Is.EqualTo("a;b;c;d;"));
    }

    [Test]
    public async Task A_peer_that_joins_during_a_pass_gets_its_opening_first_and_then_what_was_published_after_it()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        await channel.PublishAsync("b;");
        (_, RecordingSink middle) = channel.Join("hello;");
        await channel.PublishAsync("c;");
        (Peer last, RecordingSink lastSink) = channel.Join("hello;");
        await channel.PublishAsync("d;");
        channel.Send(last, "direct;");
        await LetGoAsync(channel, peers[1].Sink);
        Assert.That(middle.Writes, Is.EqualTo(new[] { "hello;", "c;d;" }));
        Assert.That(lastSink.Text, Is.EqualTo("hello;d;direct;"));
    }

    [Test]
    public async Task Whatever_is_sent_to_a_peer_that_is_joining_waits_for_its_opening()
    {
        var channel = new TestChannel();
        (_, RecordingSink owner) = channel.Join();
        (Peer Peer, RecordingSink Sink) guest = channel.Prepare();
        owner.Hold();
        Task joining = Task.Run(() => channel.TryJoin(guest, "hello;"));
        await Eventually.AsyncTrue(() => owner.IsHolding);
        Assert.That(channel.Channel.FindByCid(guest.Peer.Cid), Is.SameAs(guest.Peer), "it can be sent to");
        var sending = new Thread(() => channel.Send(guest.Peer, "direct;"));
        sending.Start();
        await Eventually.AsyncTrue(() => sending.ThreadState == System.Threading.ThreadState.WaitSleepJoin || !sending.IsAlive);
        Assert.That(sending.IsAlive, Is.True, "it does not wait");
        owner.LetGo();
        await joining.WaitAsync(RawConnection.Patience);
        sending.Join();
        Assert.That(guest.Sink.Text, Is.EqualTo("hello;direct;"));
    }

    [Test]
    public async Task A_peer_that_takes_the_slot_of_one_that_left_during_a_pass_is_not_given_what_was_before_its_time()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        peers[20].Peer.OnEnded(peers[20].Sink, default);
        (Peer successor, RecordingSink sink) = channel.Join("hello;");
        Assert.That(successor.Slot, Is.EqualTo(peers[20].Peer.Slot));
        await channel.PublishAsync("b;");
        await LetGoAsync(channel, peers[1].Sink);
        Assert.That(sink.Text, Is.EqualTo("hello;b;"));
        Assert.That(peers[20].Sink.Text, Is.Empty, "a peer that left is given nothing more");
        Assert.That(peers[21].Sink.Text, Is.EqualTo("a;b;"), "no peer is skipped");
    }

    [Test]
    public async Task A_direct_message_to_a_peer_that_left_goes_nowhere()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        Assert.That(channel.Send(peers[3].Peer, "here;"), Is.True);
        peers[3].Peer.TryLeave();
        Assert.That(channel.Send(peers[3].Peer, "direct;"), Is.False);
        await channel.PublishAsync("a;");
        await IdleAsync(channel);
        Assert.That(peers[3].Sink.Text, Is.EqualTo("here;"));
    }

    [Test]
    public async Task When_the_channel_closes_all_peers_get_what_was_published_and_then_the_end()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        await channel.PublishAsync("b;");
        peers[0].Peer.TryLeave();
        Assert.That(await channel.PublishAsync("c;"), Is.False);
        Assert.That(channel.Registry.Count, Is.Zero);
        Assert.That(peers[5].Sink.Completed, Is.EqualTo(DisconnectReason.None), "not before what was published");
        await LetGoAsync(channel, peers[1].Sink);
        await Eventually.AsyncTrue(() => peers.Skip(1).All(peer => peer.Sink.Completed == DisconnectReason.ChannelClosed));
        Assert.That(peers.Skip(1).Select(peer => peer.Sink.Text), Is.All.EqualTo("a;b;"));
    }

    [Test]
    public async Task Frames_too_large_to_be_joined_go_out_one_by_one()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        string large = new('x', 40_000);
        await HoldAsync(channel, peers[1].Sink, "a;");
        foreach (string text in new[] { "b;", large, large, "c;" })
            await channel.PublishAsync(text);
        channel.Send(peers[7].Peer, "direct;");
        await LetGoAsync(channel, peers[1].Sink);
        Assert.That(peers[2].Sink.Writes, Is.EqualTo(new[] { "a;", "b;" + large, large + "c;" }));
        Assert.That(peers[7].Sink.Text, Is.EqualTo($"a;b;{large}{large}c;direct;"));
    }

    [Test]
    public async Task Past_the_limit_a_publisher_waits_for_room_and_loses_nothing()
    {
        var channel = new TestChannel(pendingLimit: 6);
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        Assert.That(channel.PublishAsync("b;").IsCompleted, Is.True);
        Assert.That(channel.PublishAsync("c;").IsCompleted, Is.True, "what reaches the limit still goes in");
        Task<bool>[] waiting = [.. Enumerable.Range(0, 5).Select(n => channel.PublishAsync($"{n};"))];
        Assert.That(waiting.Select(task => task.IsCompleted), Is.All.False);
        channel.Send(peers[9].Peer, "direct;");
        Assert.That(peers[9].Sink.Text, Is.EqualTo("a;b;c;direct;"));
        peers[1].Sink.LetGo();
        Assert.That(await Task.WhenAll(waiting).WaitAsync(RawConnection.Patience), Is.All.True);
        await IdleAsync(channel);
        Assert.That(peers[2].Sink.Text, Is.EqualTo("a;b;c;0;1;2;3;4;"));
        Assert.That(peers.Skip(3).Where(peer => peer != peers[9]).Select(peer => peer.Sink.Text), Is.All.EqualTo(peers[2].Sink.Text));
        Assert.That(peers[9].Sink.Text.Replace("direct;", ""), Is.EqualTo(peers[2].Sink.Text));
    }

    [Test]
    public async Task Publishers_that_wait_are_served_in_their_order_and_before_those_that_come_when_there_is_room_again()
    {
        const int Waiting = 1000;
        var channel = new TestChannel(pendingLimit: 4);
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        await channel.PublishAsync("b;");
        Task<bool>[] waiting = [.. Enumerable.Range(0, Waiting).Select(n => channel.PublishAsync($"{n};"))];
        peers[1].Sink.LetGo();

        // The last of them is served long after there was room for the first.
        await waiting[0].WaitAsync(RawConnection.Patience);
        Task<bool> newcomer = channel.PublishAsync("newcomer;");
        Assert.That(await Task.WhenAll([.. waiting, newcomer]).WaitAsync(RawConnection.Patience), Is.All.True);
        await IdleAsync(channel);
        string inOrder = string.Concat(Enumerable.Range(0, Waiting).Select(n => $"{n};"));
        Assert.That(peers[2].Sink.Text, Is.EqualTo($"a;b;{inOrder}newcomer;"));
    }

    [Test]
    public async Task A_publisher_that_waits_is_told_when_the_channel_closes()
    {
        var channel = new TestChannel(pendingLimit: 4);
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        await HoldAsync(channel, peers[1].Sink, "a;");
        await channel.PublishAsync("b;");
        Task<bool> waiting = channel.PublishAsync("c;");
        Assert.That(waiting.IsCompleted, Is.False);
        Assert.That(channel.Channel.TryClose(), Is.True);
        Assert.That(await waiting.WaitAsync(RawConnection.Patience), Is.False);
        await LetGoAsync(channel, peers[1].Sink);
        Assert.That(peers[2].Sink.Text, Is.EqualTo("a;b;"));
    }

    [Test]
    public async Task A_peer_that_can_not_be_served_is_cut_and_the_others_miss_nothing()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        peers[7].Sink.IsBroken = true;
        await channel.PublishAsync("a;");
        await IdleAsync(channel);
        Assert.That(peers[7].Sink.Completed, Is.EqualTo(DisconnectReason.ServerError));
        Assert.That(peers[1..7].Concat(peers[8..]).Select(peer => peer.Sink.Text), Is.All.EqualTo("a;"));
    }

    [Test]
    public async Task What_is_published_before_one_flush_goes_out_in_one_write()
    {
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = Fill(channel);
        foreach (string text in new[] { "a;", "b;", "c;" })
        {
            SharedFrame frame = channel.Encode(text);
            Assert.That(await channel.PublishAsync(frame), Is.True);
            frame.Release();
        }

        Assert.That(peers[2].Sink.Writes, Is.Empty);
        channel.Channel.Drain();
        await IdleAsync(channel);
        Assert.That(peers.Skip(1).Select(peer => peer.Sink.Writes), Is.All.EqualTo(new[] { "a;b;c;" }));
    }

    [Test]
    public async Task A_large_channel_is_spread_and_every_peer_still_gets_all_in_one_order()
    {
        const int Messages = 200;
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink)[] peers = [.. Enumerable.Range(0, 700).Select(_ => channel.Join("hello;"))];
        Assert.That(peers.Select(peer => ShardOf(peer.Peer)).Distinct().Count(), Is.EqualTo(TestChannel.MaxShards));
        await Task.WhenAll(Enumerable.Range(0, 4).Select(sender => Task.Run(async () =>
        {
            for (int n = 0; n < Messages; n++)
            {
                await channel.PublishAsync($"{sender}.{n};");
                channel.Send(peers[699 - sender].Peer, $"direct{n};");
            }
        })));
        await IdleAsync(channel);
        string log = peers[1].Sink.Text;
        Assert.That(log.Count(c => c == ';'), Is.EqualTo(4 * Messages + 1));
        foreach ((_, RecordingSink sink) in peers[2..])
            Assert.That(System.Text.RegularExpressions.Regex.Replace(sink.Text, "direct[0-9]+;", ""), Is.EqualTo(log));
        for (int sender = 0; sender < 4; sender++)
            CheckSender(peers[699 - sender].Sink.Text, sender, Messages);
    }

    [Test]
    public async Task Fan_outs_agree_on_the_order_of_what_comes_at_the_same_moment()
    {
        const int Messages = 10_000;
        var channel = new TestChannel(pendingLimit: long.MaxValue);
        channel.Join(deaf: true);
        (Peer Peer, RecordingSink Sink) first = channel.Join();
        for (int n = 0; n < 300; n++)
            channel.Join(deaf: true);
        (Peer Peer, RecordingSink Sink) last = channel.Join();
        if (Environment.ProcessorCount > 1)
            Assert.That(ShardOf(last.Peer), Is.Not.SameAs(ShardOf(first.Peer)));
        await Task.WhenAll(Enumerable.Range(0, 4).Select(sender => Task.Run(async () =>
        {
            for (int n = 0; n < Messages; n++)
                await channel.PublishAsync($"{sender}.{n};");
        })));
        await IdleAsync(channel);
        Assert.That(first.Sink.Text.Count(c => c == ';'), Is.EqualTo(4 * Messages));
        Assert.That(last.Sink.Text == first.Sink.Text, "the order is the same");
    }

    /// <summary>What one sender broadcast and then sent directly is there in the order of its calls.</summary>
    private static void CheckSender(string text, int sender, int messages)
    {
        string[] own = [.. text.Split(';').Where(item => item.StartsWith($"{sender}.") || item.StartsWith("direct"))];
        Assert.That(own, Is.EqualTo(Enumerable.Range(0, messages).SelectMany(n => new[] { $"{sender}.{n}", $"direct{n}" })));
    }

    /// <summary>Fills the channel. The first is the owner and hears of the others; it is left out of comparisons.</summary>
    private static (Peer Peer, RecordingSink Sink)[] Fill(TestChannel channel) =>
        [.. Enumerable.Range(0, Crowd).Select(_ => channel.Join())];

    /// <summary>Publishes, and comes back when the pass is held up at <paramref name="sink"/>.</summary>
    private static async Task HoldAsync(TestChannel channel, RecordingSink sink, string text)
    {
        sink.Hold();
        await channel.PublishAsync(text);
        await Eventually.AsyncTrue(() => sink.IsHolding);
    }

    private static async Task LetGoAsync(TestChannel channel, RecordingSink sink)
    {
        sink.LetGo();
        await IdleAsync(channel);
    }

    /// <summary>Every frame is back: all drains are over.</summary>
    private static Task IdleAsync(TestChannel channel) =>
        Eventually.AsyncTrue(() => channel.Frames.Outstanding == 0, () => $"{channel.Frames.Outstanding} frames did not come back");

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_shard")]
    private static extern ref Shard? ShardField(Peer peer);

    private static Shard? ShardOf(Peer peer) => ShardField(peer);
}
