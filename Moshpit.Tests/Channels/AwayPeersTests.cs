using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Channels;

[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class AwayPeersTests
{
    private readonly TestChannel _channel = new();

    [Test]
    public void A_grace_that_begins_again_and_again_is_one_deadline_and_is_over_when_the_last_one_is()
    {
        _channel.Join();
        (Peer peer, RecordingSink sink) = _channel.JoinAsSession();
        peer.OnEnded(sink, default);
        for (int n = 0; n < 1000; n++)
        {
            _channel.Now++;
            peer.RenewGrace();
        }

        Assert.That(_channel.Registry.Away.Count, Is.EqualTo(1));
        foreach (long later in new[] { 1, TestChannel.Grace - 2 })
        {
            _channel.Now += later;
            _channel.Registry.OnTick();
            Assert.That(_channel.Channel.FindByCid(peer.Cid), Is.Not.Null, $"at {_channel.Now}");
        }

        _channel.Now++;
        _channel.Registry.OnTick();
        Assert.That(_channel.Channel.FindByCid(peer.Cid), Is.Null);
        Assert.That(_channel.Registry.Away.Count, Is.Zero);
    }

    [Test]
    public void A_peer_that_is_away_again_and_again_has_no_more_deadlines_than_absences_within_the_grace()
    {
        _channel.Join();
        (Peer peer, RecordingSink sink) = _channel.JoinAsSession();
        for (int n = 0; n < 100; n++)
        {
            peer.OnEnded(sink, default);
            _channel.Now += TestChannel.Grace / 2;
            _channel.Registry.OnTick();
            sink = new RecordingSink();
            Assert.That(peer.TryResume(sink, _channel.Opening, default));
            Assert.That(_channel.Registry.Away.Count, Is.LessThanOrEqualTo(2));
        }
    }

    [Test]
    public void A_peer_whose_absence_there_is_no_memory_to_remember_leaves_at_once()
    {
        (_, RecordingSink owner) = _channel.Join();
        (Peer peer, RecordingSink sink) = _channel.JoinAsSession();
        _channel.HasMemory = false;
        peer.OnEnded(sink, default);
        Assert.That(_channel.Channel.FindByCid(peer.Cid), Is.Null);
        Assert.That(owner.Text, Does.Contain("event: leave"));
    }

    [Test]
    public void A_session_that_there_is_no_memory_to_remember_as_ended_leaves_all_the_same()
    {
        (_, RecordingSink owner) = _channel.Join();
        (Peer peer, _) = _channel.JoinAsSession();
        _channel.HasMemory = false;
        Assert.That(peer.TryLeave());
        Assert.That(_channel.Channel.FindByCid(peer.Cid), Is.Null);
        Assert.That(owner.Text, Does.Contain("event: leave"));
    }

    [Test]
    public void A_leave_that_is_put_off_again_and_again_is_one_deadline_unless_it_is_to_be_sooner()
    {
        _channel.Join();
        (Peer peer, _) = _channel.JoinAsSession();
        for (int n = 0; n < 1000; n++)
            peer.LeaveLater(500 + n);
        Assert.That(_channel.Registry.Away.Count, Is.EqualTo(1));
        peer.LeaveLater(100);
        Assert.That(_channel.Registry.Away.Count, Is.EqualTo(2));
        _channel.Now += 100;
        _channel.Registry.OnTick();
        Assert.That(_channel.Channel.FindByCid(peer.Cid), Is.Null);
        _channel.Now += 400;
        _channel.Registry.OnTick();
        Assert.That(_channel.Registry.Away.Count, Is.Zero);
    }

    [Test]
    public void A_leave_that_is_put_off_ends_no_newer_stream_and_can_be_said_of_that_too()
    {
        _channel.Join();
        (Peer peer, RecordingSink first) = _channel.JoinAsSession();
        peer.LeaveLater(100);
        var second = new RecordingSink();
        Assert.That(peer.TryResume(second, _channel.Opening, default));
        Assert.That(first.HasEnded);
        peer.LeaveLater(300);
        _channel.Now += 299;
        _channel.Registry.OnTick();
        Assert.That(second.HasEnded, Is.False);
        _channel.Now++;
        _channel.Registry.OnTick();
        Assert.That(second.HasEnded);
        Assert.That(_channel.Channel.FindByCid(peer.Cid), Is.Null);
    }
}
