using System.Text.RegularExpressions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Channels;

/// <summary>A session's streams begin and end while it is written to, leaves, is away for too long, or its channel ends.</summary>
internal sealed partial class SessionRaceTests
{
    private const int Rounds = 3000;

    [Test]
    public async Task Whatever_happens_at_once_every_stream_ends_and_the_owner_hears_it_in_order()
    {
        int left = 0;
        for (int round = 0; round < Rounds; round++)
            left += await RunAsync(round) ? 1 : 0;
        Assert.That(left, Is.InRange(Rounds / 20, Rounds - Rounds / 20), "if it never left first, or always, the rest would say little");
    }

    [Test]
    public async Task Of_messages_with_one_number_that_come_at_once_one_is_delivered()
    {
        const int Senders = 4;
        for (int round = 0; round < Rounds / 6; round++)
        {
            var channel = new TestChannel();
            (Peer Peer, RecordingSink Sink) sender = channel.JoinAsSession();
            (Peer Peer, RecordingSink Sink) other = channel.JoinAsSession();
            DeliveryOutcome[] outcomes = await Task.WhenAll(Enumerable.Range(0, Senders).Select(n => Task.Run(async () =>
            {
                SharedFrame frame = channel.Encode(OutletTests.Event($"{n}"));
                Peer? addressee = n % 2 == 0 ? null : other.Peer;
                Delivery delivery = await channel.Channel.PublishAsync(new Publication(sender.Peer, addressee, frame, Number: 7));
                channel.Channel.Drain();
                frame.Release();
                return delivery.Outcome;
            })));
            Assert.That(outcomes.Count(outcome => outcome == DeliveryOutcome.Delivered), Is.EqualTo(1), $"round {round}");
            Assert.That(outcomes.Count(outcome => outcome == DeliveryOutcome.Repeated), Is.EqualTo(Senders - 1), $"round {round}");
            await Eventually.AsyncTrue(() => other.Sink.Text.Contains("event: signal", StringComparison.Ordinal));
            Assert.That(other.Sink.Text.Split("event: signal"), Has.Length.EqualTo(2), $"round {round}");
            sender.Peer.TryLeave();
            await Eventually.AsyncTrue(() => channel.Frames.Outstanding == 0);
        }
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_request_that_finds_no_peer_of_a_session_that_left_or_whose_channel_ended_finds_that_it_is_over(bool leaves)
    {
        for (int round = 0; round < Rounds; round++)
        {
            var channel = new TestChannel();
            (Peer Peer, RecordingSink Sink) owner = channel.Join();
            Peer peer = channel.JoinAsSession().Peer;
            SessionKey key = peer.Session!.Key;
            Task<bool> looking = Task.Run(() =>
            {
                while (channel.Channel.FindBySession(key) is not null)
                {
                }

                return channel.Registry.Ended.Contains(key, channel.Now);
            });
            Assert.That((leaves ? peer : owner.Peer).TryLeave());
            Assert.That(await looking, $"round {round}");
        }
    }

    /// <summary>One round. True: the peer had left before all was done.</summary>
    private static async Task<bool> RunAsync(int seed)
    {
        var random = new Random(seed);
        var channel = new TestChannel();
        (Peer Peer, RecordingSink Sink) owner = channel.JoinAsSession();
        (Peer Peer, RecordingSink Sink) peer = channel.JoinAsSession();
        List<RecordingSink> sinks = [peer.Sink];
        using var start = new ManualResetEventSlim();
        int end = random.Next(3), delay = random.Next(300);
        bool refused = false;

        Task Act(Action act) => Task.Run(() =>
        {
            start.Wait();
            act();
        });

        Task[] acts =
        [
            Act(() =>
            {
                for (int n = 0; n < 4; n++)
                {
                    // The old stream may be seen to end before or after the new one comes.
                    var next = new RecordingSink();
                    RecordingSink old = sinks[^1];
                    Task ending = Task.Run(() =>
                    {
                        old.Abort(DisconnectReason.Reset);
                        peer.Peer.OnEnded(old, default);
                    });
                    bool resumed = peer.Peer.TryResume(next, channel.Opening, default);
                    ending.Wait();
                    if (!resumed)
                    {
                        refused = true;
                        return;
                    }

                    sinks.Add(next);
                }
            }),
            Act(() =>
            {
                for (int n = 0; n < 10; n++)
                {
                    channel.Send(peer.Peer, OutletTests.Event($"{n}"));
                    channel.PublishAsync(OutletTests.Event($"{n}")).Wait();
                }
            }),
            Act(() =>
            {
                Thread.SpinWait(delay * delay);
                if (end == 0)
                    peer.Peer.TryLeave();
                else if (end == 1)
                    owner.Peer.TryLeave();
                else
                    peer.Peer.EndAbsence();
            }),
        ];
        start.Set();
        await Task.WhenAll(acts);

        // Whatever stream is still open belongs to a peer that is in a channel that goes on.
        bool isHere = channel.Channel.FindByCid(peer.Peer.Cid) is not null && !channel.Channel.IsClosed;
        await Eventually.AsyncTrue(() => isHere || sinks.TrueForAll(sink => sink.HasEnded), () => $"seed {seed}: open");
        string[] told =
        [
            .. Presence().Matches(owner.Sink.Text).Where(match => match.Groups["cid"].Value == Ids.Digits(peer.Peer.Cid.Value))
                .Select(match => match.Groups["event"].Value),
        ];
        Assert.That(string.Concat(told.Select(name => name[0])), Does.Match("^j(ab)*a?l?$"), $"seed {seed}");
        owner.Peer.TryLeave();
        await Eventually.AsyncTrue(() => channel.Frames.Outstanding == 0, () => $"seed {seed}: {channel.Frames.Outstanding} frames leaked");
        Assert.That(channel.Registry.History.Used, Is.Zero);
        return refused;
    }

    [GeneratedRegex("event: (?<event>join|leave|away|back)\\ndata: .*\"cid\":\"(?<cid>[0-9a-f]{32})\"")]
    private static partial Regex Presence();
}
