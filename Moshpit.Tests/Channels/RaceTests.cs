using System.Text.RegularExpressions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Channels;

/// <summary>
/// Everything that can happen to a channel happens at once, thousands of times, with nothing in between that would slow it down.
/// </summary>
internal sealed class RaceTests
{
    private const int Rounds = 5000;
    private const int Residents = 3;
    private const int Visitors = 4;
    private const int Messages = 6;

    [Test]
    public async Task Joins_leaves_messages_and_the_end_at_once_never_break_a_promise()
    {
        int cutShort = 0;
        for (int round = 0; round < Rounds; round++)
        {
            if (!await RunAsync(new Random(round), endsLast: round % 20 == 0))
                cutShort++;
        }

        // If the end always came first, or never, the rest would say little.
        Assert.That(cutShort, Is.InRange(Rounds / 100, Rounds - Rounds / 20));
    }

    /// <summary>One round. False: the channel ended before all was done.</summary>
    private static async Task<bool> RunAsync(Random random, bool endsLast)
    {
        var channel = new TestChannel(pendingLimit: random.Next(3) == 0 ? 8 : 1024 * 1024);
        (Peer Peer, RecordingSink Sink) owner = channel.Join("hello;");
        (Peer Peer, RecordingSink Sink)[] residents = [.. Enumerable.Range(0, Residents).Select(_ => channel.Join("hello;"))];
        (Peer Peer, RecordingSink Sink)[] visitors = [.. Enumerable.Range(0, Visitors).Select(_ => channel.Prepare())];
        bool[] joined = new bool[Visitors];
        int[] published = new int[2];
        bool byOwner = random.Next(2) == 0;
        int patience = random.Next(400);
        var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        Task Act(Func<Task> act) => Task.Run(async () =>
        {
            await start.Task;
            await act();
        });

        List<Task> acts =
        [
            Act(() => PublishAsync(0)),
            Act(() => PublishAsync(1)),
            Act(() =>
            {
                for (int n = 0; n < Messages; n++)
                    channel.Send(n % 2 == 0 ? residents[0].Peer : visitors[n % Visitors].Peer, $"direct{n};");
                return Task.CompletedTask;
            }),
        ];
        for (int i = 0; i < Visitors; i++)
        {
            int visitor = i;
            acts.Add(Act(() =>
            {
                joined[visitor] = channel.TryJoin(visitors[visitor], "hello;") == JoinOutcome.Joined;
                if (joined[visitor])
                    visitors[visitor].Peer.TryLeave();
                return Task.CompletedTask;
            }));
        }

        Task end = Act(async () =>
        {
            if (endsLast)
                await Task.WhenAll(acts);
            Thread.SpinWait(patience * 20);
            if (byOwner)
                owner.Peer.TryLeave();
            else
                channel.Registry.CloseAll();
        });
        start.SetResult();
        await Task.WhenAll([.. acts, end]).WaitAsync(RawConnection.Patience);
        await Eventually.AsyncTrue(() => channel.Frames.Outstanding == 0, () => "a frame leaked");
        if (byOwner)
            await Eventually.AsyncTrue(() => residents.All(resident => resident.Sink.HasEnded), () => "a stream goes on");
        CheckOwner();
        foreach ((Peer Peer, RecordingSink Sink) resident in residents)
            CheckResident(resident.Sink);
        for (int i = 0; i < Visitors; i++)
            CheckVisitor(visitors[i], joined[i]);
        return joined.All(came => came) && published.All(count => count == Messages);

        async Task PublishAsync(int sender)
        {
            while (published[sender] < Messages && await channel.PublishAsync($"{sender}.{published[sender]};"))
                published[sender]++;
        }

        // It is told once of each peer that came, and then once of the leave of the same peer.
        void CheckOwner()
        {
            string[] told = [.. Regex.Matches(owner.Sink.Text, "event: (join|leave)\n.*\"cid\":\"([0-9a-f]+)\"")
                .Select(match => $"{match.Groups[1]} {match.Groups[2]}")];
            Assert.That(told, Is.Unique);
            for (int i = 0; i < Visitors; i++)
            {
                string cid = Ids.Digits(visitors[i].Peer.Cid.Value);
                string[] own = [.. told.Where(text => text.EndsWith(cid))];
                if (!byOwner)
                    Assert.That(own, Is.EqualTo(joined[i] ? new[] { $"join {cid}", $"leave {cid}" } : []));
                else
                    Assert.That(own, Is.EqualTo(new[] { $"join {cid}", $"leave {cid}" }[..own.Length]));
            }
        }

        // What was published while it was there is heard once, in order, and nothing after the end.
        void CheckResident(RecordingSink sink)
        {
            Assert.That(sink.Text, Does.StartWith("hello;"));
            Assert.That(sink.Text, Does.Not.Contain("("), "it was called without the lock or after its end");
            for (int sender = 0; sender < published.Length; sender++)
            {
                string own = string.Concat(Regex.Matches(sink.Text, $@"{sender}\.[0-9]+;").Select(match => match.Value));
                Assert.That(own, Is.EqualTo(string.Concat(Enumerable.Range(0, published[sender]).Select(n => $"{sender}.{n};"))));
            }

            if (byOwner)
                Assert.That(sink.Completed, Is.EqualTo(DisconnectReason.ChannelClosed));
        }

        void CheckVisitor((Peer Peer, RecordingSink Sink) visitor, bool came)
        {
            Assert.That(visitor.Sink.Text, came ? Does.StartWith("hello;") : Is.Empty);
            Assert.That(visitor.Sink.Text, Does.Not.Contain("("));
            Assert.That(channel.Channel.FindByToken(visitor.Peer.Token), Is.Null, "its token died with it");
            Assert.That(channel.Channel.FindByCid(visitor.Peer.Cid), Is.Null);
        }
    }
}
