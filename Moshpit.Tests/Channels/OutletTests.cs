using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Channels;

/// <summary>A peer is not its outlet: another one takes over, and goes on where the first one stopped.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class OutletTests
{
    /// <summary>Events so far: two joins of which the owner heard.</summary>
    private const int Joins = 2;

    /// <summary>The number of the first message.</summary>
    private const int First = Joins + 1;

    private readonly TestChannel _channel = new();
    private readonly (Peer Peer, RecordingSink Sink) _owner;
    private readonly (Peer Peer, RecordingSink Sink) _peer;

    /// <summary>It is held up in its first message, so that the log keeps what it has not had.</summary>
    private readonly (Peer Peer, RecordingSink Sink) _slow;
    private readonly SharedFrame _opening;

    public OutletTests()
    {
        _owner = _channel.Join();
        _peer = _channel.Join("hello;");
        _slow = _channel.Join();
        _opening = _channel.Encode("again;");
    }

    [TearDown]
    public async Task EndAsync()
    {
        _slow.Sink.LetGo();
        _opening.Release();
        await Eventually.AsyncTrue(() => _channel.Frames.Outstanding == 0, () => "a frame leaked");
    }

    [TestCase(0, "a;b;c;")]
    [TestCase(1, "b;c;")]
    [TestCase(3, "")]
    public async Task Another_outlet_goes_on_after_the_event_that_is_named(int last, string missed)
    {
        await PublishAsync("a;", "b;", "c;");
        Assert.That(_peer.Sink.Text, Is.EqualTo("hello;first;a;b;c;up;"));
        var second = new RecordingSink();
        Assert.That(_peer.Peer.TryReplaceOutlet(second, _opening, First + last, out FrameSink? replaced));
        Assert.That(replaced, Is.SameAs(_peer.Sink));
        _slow.Sink.LetGo();
        await _channel.PublishAsync("d;");
        await Eventually.AsyncTrue(() => second.Text.EndsWith("d;"));
        _channel.Send(_peer.Peer, "direct;");
        Assert.That(second.Text, Is.EqualTo($"again;{missed}d;direct;"));
        Assert.That(_peer.Sink.Text, Is.EqualTo("hello;first;a;b;c;up;"), "the first outlet is given nothing more");
    }

    [Test]
    public async Task A_direct_message_comes_after_what_is_heard_again()
    {
        await PublishAsync("a;", "b;");
        var second = new RecordingSink();
        Assert.That(_peer.Peer.TryReplaceOutlet(second, _opening, First + 1, out _));
        _channel.Send(_peer.Peer, "direct;");
        Assert.That(second.Text, Is.EqualTo("again;b;direct;"));
    }

    [Test]
    public async Task What_is_not_in_the_log_any_more_can_not_be_heard_again()
    {
        await _channel.PublishAsync("a;");
        await _channel.PublishAsync("b;");
        var second = new RecordingSink();
        Assert.That(_peer.Peer.TryReplaceOutlet(second, _opening, First, out _), Is.False);
        Assert.That(_peer.Peer.TryReplaceOutlet(second, _opening, First + 2, out _), Is.False, "it has not happened");
        Assert.That(second.Text, Is.Empty);
        await _channel.PublishAsync("c;");
        Assert.That(_peer.Sink.Text, Is.EqualTo("hello;a;b;c;"), "the first outlet is still the peer's");
        Assert.That(_peer.Peer.TryReplaceOutlet(second, _opening, First + 2, out _));
    }

    [Test]
    public async Task The_end_of_an_outlet_that_was_replaced_is_no_leave()
    {
        var second = new RecordingSink();
        Assert.That(_peer.Peer.TryReplaceOutlet(second, _opening, Joins, out FrameSink? replaced));
        _peer.Peer.OnEnded(replaced!, default);
        Assert.That(_channel.Channel.FindByCid(_peer.Peer.Cid), Is.SameAs(_peer.Peer));
        await _channel.PublishAsync("a;");
        Assert.That(second.Text, Is.EqualTo("again;a;"));
        _peer.Peer.OnEnded(second, default);
        Assert.That(_channel.Channel.FindByCid(_peer.Peer.Cid), Is.Null);
        Assert.That(_owner.Sink.Text, Does.Contain("event: leave"));
    }

    [Test]
    public async Task A_peer_that_has_left_takes_no_outlet()
    {
        await _channel.PublishAsync("a;");
        _channel.Channel.Leave(_peer.Peer);
        Assert.That(_peer.Peer.TryReplaceOutlet(new RecordingSink(), _opening, First, out _), Is.False);
    }

    [Test]
    public async Task An_outlet_without_chunks_takes_over_from_one_with_them()
    {
        await PublishAsync("2\r\na;\r\n", "2\r\nb;\r\n");
        var second = new RecordingSink { IsPlain = true };
        Assert.That(_peer.Peer.TryReplaceOutlet(second, _opening, First + 1, out _));
        _slow.Sink.LetGo();
        await _channel.PublishAsync("2\r\nc;\r\n");
        await Eventually.AsyncTrue(() => second.Text.EndsWith("c;"));
        Assert.That(second.Text, Is.EqualTo("again;b;c;"));
    }

    [Test]
    public async Task Outlets_that_change_while_messages_are_published_each_go_on_without_a_gap()
    {
        const int Messages = 20_000;
        List<(long From, RecordingSink Sink)> outlets = [(0, _peer.Sink)];
        Task publishing = Task.Run(async () =>
        {
            for (int n = 0; n < Messages; n++)
                await _channel.PublishAsync($"{n};");
        });
        while (!publishing.IsCompleted)
        {
            // The last message that arrived, and none where there is none: what is published meanwhile is heard again.
            (long from, RecordingSink last) = outlets[^1];
            long heard = from + last.Writes.Skip(1).Sum(write => write.Count(c => c == ';'));
            var next = new RecordingSink();
            if (_peer.Peer.TryReplaceOutlet(next, _opening, Joins + heard, out _))
                outlets.Add((heard, next));
        }

        await publishing;
        await Eventually.AsyncTrue(() => outlets[^1].Sink.Text.EndsWith($"{Messages - 1};") || outlets[^1].From == Messages);
        Assert.That(outlets, Has.Count.GreaterThan(2));
        foreach ((long from, RecordingSink sink) in outlets)
        {
            string[] heard = sink.Text.Split(';', StringSplitOptions.RemoveEmptyEntries)[1..];
            Assert.That(heard, Is.EqualTo(Enumerable.Range((int)from, heard.Length).Select(n => $"{n}")));
        }
    }

    /// <summary>Publishes while the slow peer is held up, which keeps it all in the log; the peer has heard it.</summary>
    private async Task PublishAsync(params string[] texts)
    {
        _slow.Sink.Hold();
        _ = Task.Run(() => _channel.PublishAsync("first;"));
        await Eventually.AsyncTrue(() => _slow.Sink.IsHolding);
        foreach (string text in texts)
            await _channel.PublishAsync(text);
        _channel.Send(_peer.Peer, "up;");
    }
}
