using System.Text.RegularExpressions;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Channels;

/// <summary>The peers of a kept room lose their streams, come back, hand over, throw each other out and leave, all at once.</summary>
internal sealed partial class RoomRaceTests
{
    private const int Rounds = 400;
    private const int Peers = 5;
    private const int Acts = 12;

    /// <summary>In one of so many rounds all peers leave at last.</summary>
    private const int RoundsPerEnd = 40;

    [Test]
    public async Task A_kept_room_has_an_owner_while_a_session_peer_is_here_and_every_peer_knows_which()
    {
        int ended = 0, handed = 0;
        for (int round = 0; round < Rounds; round++)
        {
            (bool hasEnded, int handOvers) = await RunAsync(round);
            ended += hasEnded ? 1 : 0;
            handed += handOvers;
        }

        Assert.That(ended, Is.InRange(Rounds / RoundsPerEnd, Rounds / 2), "in most rounds the room does not end");
        Assert.That(handed, Is.GreaterThan(Rounds / 2), "rooms are handed over");
    }

    private static async Task<(bool HasEnded, int HandOvers)> RunAsync(int seed)
    {
        var channel = new TestChannel(settings: new RoomSettings(IsKept: true));
        var all = new Participant[Peers];
        for (int n = 0; n < Peers; n++)
            all[n] = new Participant(channel, hearsAll: n % 2 == 0);
        int handOvers = 0;
        await Task.WhenAll(all.Select((participant, n) => Task.Run(() =>
        {
            var random = new Random(seed * Peers + n);
            for (int act = 0; act < Acts; act++)
            {
                Participant other = all[random.Next(Peers)];
                switch (random.Next(20))
                {
                    case < 8:
                        participant.Lose();
                        break;
                    case < 15:
                        participant.ComeBack();
                        break;
                    case < 18 when channel.Channel.Owner == participant.Peer && other.Peer.TryTakeOver(participant.Peer):
                        Interlocked.Increment(ref handOvers);
                        break;
                    case 18 when channel.Channel.Owner == participant.Peer:
                        other.Peer.TryKick();
                        break;
                    case 19 when random.Next(3) == 0:
                        participant.Peer.TryLeave();
                        break;
                }
            }

            if (seed % RoundsPerEnd == 0)
                participant.Peer.TryLeave();
            else
                participant.ComeBack();
        }))).WaitAsync(TimeSpan.FromSeconds(30));

        Participant[] here = [.. all.Where(each => channel.Channel.FindByCid(each.Peer.Cid) is not null)];
        if (here.Length == 0)
            await Eventually.AsyncTrue(() => channel.Channel.IsClosed);
        foreach (Participant each in here)
            await Eventually.AsyncTrue(() => channel.Channel.Owner is { } owner && each.KnownOwner == Ids.Digits(owner.Cid.Value));
        foreach (Participant each in here)
            each.Peer.TryLeave();
        Assert.That(channel.Channel.IsClosed, "with the last session peer a room ends");
        await Eventually.AsyncTrue(() => channel.Frames.Outstanding == 0);
        return (here.Length == 0, handOvers);
    }

    /// <summary>A session peer, of which one thread changes the streams.</summary>
    private sealed partial class Participant
    {
        private readonly TestChannel _channel;
        private RecordingSink? _sink;

        public Participant(TestChannel channel, bool hearsAll)
        {
            _channel = channel;
            (Peer, _sink) = channel.JoinAsSession(hearsAll);
        }

        public Peer Peer { get; }

        /// <summary>What its stream said last of the owner.</summary>
        public string? KnownOwner => Owners().Matches(_sink!.Text).LastOrDefault()?.Groups["cid"].Value;

        public void Lose()
        {
            if (_sink is not { } sink)
                return;
            _sink = null;
            sink.Abort(DisconnectReason.Reset);
            Peer.OnEnded(sink, default);
        }

        public void ComeBack()
        {
            var next = new RecordingSink();
            if (!Peer.TryResume(next, _channel.Opening, default))
                return;
            RecordingSink? replaced = _sink;
            _sink = next;
            if (replaced is not null)
                Peer.OnEnded(replaced, default);
        }

        [GeneratedRegex("\"owner\":\"(?<cid>[0-9a-f]+)\"|event: owner\ndata: {\"id\":\"[0-9a-f]+\",\"cid\":\"(?<cid>[0-9a-f]+)\"")]
        private static partial Regex Owners();
    }
}
