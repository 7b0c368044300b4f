using System.Text.RegularExpressions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Channels;

/// <summary>A peer is not its outlet: another one takes over, and goes on where the first one stopped.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed partial class OutletTests
{
    private readonly TestChannel _channel = new();
    private readonly (Peer Peer, RecordingSink Sink) _owner;
    private readonly (Peer Peer, RecordingSink Sink) _peer;

    public OutletTests()
    {
        _owner = _channel.JoinAsSession();
        _peer = _channel.JoinAsSession();
    }

    [TearDown]
    public async Task EndAsync()
    {
        _channel.Channel.TryClose();
        await Eventually.AsyncTrue(() => _channel.Frames.Outstanding == 0, () => "a frame leaked");
    }

    [TestCase(0, "a;b;c;")]
    [TestCase(1, "b;c;")]
    [TestCase(3, "")]
    public async Task Another_outlet_goes_on_after_the_event_that_is_named(int last, string missed)
    {
        await PublishAsync("a;", "b;", "c;");
        Assert.That(Signals(_peer.Sink), Is.EqualTo("a;b;c;"));
        var second = new RecordingSink();
        Resume(second, last == 0 ? _peer.Peer.Session!.Joined : Ids(_peer.Sink)[last]);
        Assert.That(Signals(second), Is.EqualTo(missed));
        await PublishAsync("d;");
        _channel.Send(_peer.Peer, Event("direct;"));
        Assert.That(Signals(second), Is.EqualTo($"{missed}d;direct;"));
        Assert.That(Signals(_peer.Sink), Is.EqualTo("a;b;c;"), "the first outlet is given nothing more");
        Assert.That(_peer.Sink.Text, Does.Contain($"\"replaced\",\"again\":false}}\nid: -{Ids(_peer.Sink)[3]}.0\n"));
        Assert.That(_peer.Sink.Completed, Is.EqualTo(DisconnectReason.Replaced));
        Assert.That(Ids(second), Is.Ordered);
    }

    [Test]
    public async Task An_outlet_that_is_dead_already_takes_nothing_over()
    {
        var dead = new RecordingSink();
        dead.Abort(DisconnectReason.Reset);
        Resume(dead, _peer.Peer.Session!.Joined);
        await PublishAsync("a;");
        Assert.That(Signals(_peer.Sink), Is.EqualTo("a;"));
        Assert.That(_peer.Sink.HasEnded, Is.False);
    }

    [Test]
    public async Task An_outlet_that_dies_of_its_first_write_takes_nothing_over()
    {
        await PublishAsync("a;");
        SharedFrame pending = _channel.Encode(Event("b;"));
        await _channel.PublishAsync(pending);
        pending.Release();
        var dead = new RecordingSink { DiesOfWrite = true };
        Resume(dead, _peer.Peer.Session!.Joined);
        Assert.That(dead.Text, Does.Contain("event: connect"));
        Assert.That(_peer.Sink.HasEnded, Is.False);
        _channel.Channel.Drain();
        _channel.Send(_peer.Peer, Event("direct;"));
        _peer.Peer.OnEnded(dead, default);
        await PublishAsync("c;");
        Assert.That(Signals(_peer.Sink), Is.EqualTo("a;b;direct;c;"));
        var second = new RecordingSink();
        Resume(second, Ids(_peer.Sink)[2]);
        Assert.That(second.Text, Does.Contain("\"stream\":3,"), "the client of the dead one may have read its number");
        Assert.That(Signals(second), Is.EqualTo("direct;c;"));
        Assert.That(_peer.Sink.Text, Does.Contain($"id: -{Ids(_peer.Sink)[4]}.0\n"));
    }

    [Test]
    public async Task What_is_kept_no_more_is_a_gap()
    {
        long joined = _peer.Peer.Session!.Joined;
        string[] messages = [.. Enumerable.Range(0, 30).Select(n => $"{n:00};")];
        await PublishAsync(messages);
        var second = new RecordingSink();
        Resume(second, joined);
        Match gap = Gap().Match(second.Text);
        Assert.That(gap.Success);
        long[] ids = Ids(_peer.Sink);
        int lost = Array.IndexOf(ids, long.Parse(gap.Groups["id"].Value));
        Assert.That(lost, Is.InRange(1, 29), "some are kept");
        Assert.That(gap.Groups["after"].Value, Is.EqualTo($"{joined}"));
        Assert.That(gap.Groups["missed"].Value, Is.EqualTo($"{ids[lost] - joined}"));
        Assert.That(Signals(second), Is.EqualTo(string.Concat(messages[lost..])));
        var third = new RecordingSink();
        Resume(third, ids[lost]);
        Assert.That(third.Text, Does.Not.Contain("gap"), "it has had the newest that was dropped");
        Assert.That(Signals(third), Is.EqualTo(Signals(second)));
    }

    [Test]
    public async Task Only_a_peer_that_lost_something_is_told_of_a_gap()
    {
        (Peer Peer, RecordingSink Sink) other = _channel.JoinAsSession();
        for (int n = 0; n < 30; n++)
            _channel.Send(_peer.Peer, Event("direct;"));
        var second = new RecordingSink();
        Assert.That(other.Peer.TryResume(second, _channel.Opening, default));
        Assert.That(second.Text, Does.Not.Contain("gap"));
        var third = new RecordingSink();
        Resume(third, _peer.Peer.Session!.Joined);
        Assert.That(third.Text, Does.Contain("gap"));
        await PublishAsync("a;");
    }

    [Test]
    public async Task The_end_of_an_outlet_that_was_replaced_is_no_leave_and_that_of_the_present_one_is_an_absence()
    {
        var second = new RecordingSink();
        Resume(second, _peer.Peer.Session!.Joined);
        _peer.Peer.OnEnded(_peer.Sink, default);
        Assert.That(_channel.Channel.FindByCid(_peer.Peer.Cid), Is.SameAs(_peer.Peer));
        await PublishAsync("a;");
        Assert.That(Signals(second), Is.EqualTo("a;"));
        _peer.Peer.OnEnded(second, default);
        Assert.That(_channel.Channel.FindByCid(_peer.Peer.Cid), Is.SameAs(_peer.Peer));
        await Eventually.AsyncTrue(() => _owner.Sink.Text.Contains("event: away"));
        Assert.That(_owner.Sink.Text, Does.Not.Contain("event: leave"));
        _channel.Now = TestChannel.Grace;
        _channel.Registry.OnTick();
        Assert.That(_channel.Channel.FindByCid(_peer.Peer.Cid), Is.Null);
        await Eventually.AsyncTrue(() => _owner.Sink.Text.Contains("event: leave"));
    }

    [Test]
    public void A_plain_owner_hears_of_no_absence()
    {
        var channel = new TestChannel();
        (_, RecordingSink owner) = channel.Join();
        (Peer peer, RecordingSink sink) = channel.JoinAsSession();
        peer.OnEnded(sink, default);
        Assert.That(peer.TryResume(new RecordingSink(), channel.Opening, default));
        Assert.That(peer.TryLeave());
        Assert.That(owner.Text, Does.Contain("event: join").And.Contain("event: leave"));
        Assert.That(owner.Text, Does.Not.Contain("event: away").And.Not.Contain("event: back"));
    }

    [Test]
    public void A_leave_of_an_older_stream_is_none()
    {
        Resume(new RecordingSink(), _peer.Peer.Session!.Joined);
        Assert.That(_peer.Peer.TryLeave(stream: 1), Is.False);
        _peer.Peer.LeaveLater(delay: 0, stream: 1);
        _channel.Registry.OnTick();
        Assert.That(_channel.Channel.FindByCid(_peer.Peer.Cid), Is.SameAs(_peer.Peer));
        Assert.That(_peer.Peer.TryLeave(stream: 2));
    }

    [Test]
    public void A_channel_that_another_request_has_joined_is_not_closed_as_unused()
    {
        Assert.That(_channel.Channel.TryClose(ifUnused: true), Is.False);
        Assert.That(_channel.Registry.Create(Support.Ids.Channel(7), RoomSettings.Default)!.TryClose(ifUnused: true));
    }

    [Test]
    public void A_session_that_has_ended_again_is_remembered_from_then_on()
    {
        const int Most = 1000;
        var ended = new EndedSessions();
        var peers = new SessionPeers();
        Session[] sessions = [.. Enumerable.Range(1, Most).Select(n => new Session(new SessionKey(new HexId((UInt128)n)), null, default))];
        foreach (Session session in sessions)
            peers.RememberEnd(session, ended, now: 0);
        peers.RememberEnd(sessions[0], ended, now: 1);
        Assert.That(ended.Contains(sessions[0].Key, 2));
        peers.RememberEnd(sessions[0], ended, now: 2);
        Assert.That(ended.Contains(sessions[1].Key, 2), Is.False, "the oldest is forgotten");
    }

    [Test]
    public void A_peer_that_has_left_takes_no_outlet()
    {
        _peer.Peer.TryLeave();
        Assert.That(_peer.Peer.TryResume(new RecordingSink(), _channel.Opening, default), Is.False);
    }

    [Test]
    public async Task An_outlet_without_chunks_takes_over_from_one_with_them()
    {
        await PublishAsync("a;", "b;");
        var second = new RecordingSink { IsPlain = true };
        Resume(second, Ids(_peer.Sink)[1]);
        await PublishAsync("c;");
        Assert.That(Signals(second), Is.EqualTo("b;c;"));
        Assert.That(second.Text, Does.Not.Contain("\r"));
    }

    [Test]
    public async Task Outlets_that_change_while_messages_are_published_each_go_on_without_a_gap_that_is_not_told()
    {
        const int Messages = 20_000;
        List<RecordingSink> outlets = [_peer.Sink];
        Task publishing = Task.Run(async () =>
        {
            for (int n = 0; n < Messages; n++)
                await PublishAsync($"{n};");
        });
        while (!publishing.IsCompleted)
        {
            // The last event that arrived: what is published meanwhile is heard again, or told as a gap.
            var next = new RecordingSink();
            Resume(next, Ids(outlets[^1])[^1]);
            outlets.Add(next);
        }

        await publishing;
        await Eventually.AsyncTrue(() => Ids(outlets[^1])[^1] == _channel.Channel.Sequence);
        Assert.That(outlets, Has.Count.GreaterThan(2));
        long last = 0, first = _peer.Peer.Session!.Joined;
        foreach (RecordingSink sink in outlets)
        {
            foreach (Match match in Identified().Matches(sink.Text))
            {
                long id = long.Parse(match.Groups["id"].Value);
                if (match.Groups["event"].Value == "bye")
                    continue;
                if (match.Groups["event"].Value == "signal" && last > first)
                    Assert.That(id, Is.EqualTo(last + 1), "neither lost nor repeated");
                last = id;
            }
        }
    }

    [GeneratedRegex("event: (?<event>\\w+)\ndata: (?<data>.*)\nid: -?(?<id>\\d+)\\.\\d+\n")]
    private static partial Regex Identified();

    [GeneratedRegex("\"after\":(?<after>\\d+),\"missed\":(?<missed>\\d+)}\nid: (?<id>\\d+)\\.0\n")]
    private static partial Regex Gap();

    /// <summary>The numbers of what an outlet was given, <c>bye</c> excepted.</summary>
    private static long[] Ids(RecordingSink sink) =>
    [
        .. Identified().Matches(sink.Text).Where(match => match.Groups["event"].Value != "bye")
            .Select(match => long.Parse(match.Groups["id"].Value)),
    ];

    private static string Signals(RecordingSink sink) => string.Concat(
        Identified().Matches(sink.Text).Where(match => match.Groups["event"].Value == "signal")
            .Select(match => match.Groups["data"].Value));

    /// <summary>A message as it is encoded.</summary>
    internal static string Event(string text)
    {
        string lines = $"event: signal\ndata: {text}\n\n";
        return $"{lines.Length:x}\r\n{lines}\r\n";
    }

    private void Resume(RecordingSink sink, long last) => Assert.That(
        _peer.Peer.TryResume(sink, _channel.Opening, new LastEventId(IsGiven: true, IsNegative: false, last, IsNumber: true)));

    private async Task PublishAsync(params string[] texts)
    {
        foreach (string text in texts)
            await _channel.PublishAsync(Event(text));
    }
}
