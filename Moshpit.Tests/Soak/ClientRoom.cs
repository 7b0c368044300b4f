using Moshpit.Tests.Client;

namespace Moshpit.Tests.Soak;

/// <summary>
/// A channel of real clients whose connections are cut at every byte. Each of them writes, hears what all write, and is the same peer to
/// the end.
/// </summary>
/// <param name="relay">The way to the server.</param>
/// <param name="walk">Chooses the cuts.</param>
/// <param name="cuts">So many connections of each client are cut, from the second on.</param>
/// <param name="counts">Of all rooms.</param>
/// <param name="random">Its choices.</param>
internal sealed class ClientRoom(Relay relay, CutWalk walk, int cuts, ClientCounts counts, Random random)
{
    private const int Participants = 4;
    private const int MessagesOfEach = 40;

    /// <summary>All of its cuts, one after the other, each with the longest time before the peer comes back.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly Conversation _conversation = new();
    private readonly MoshpitPeer[] _peers = new MoshpitPeer[Participants];

    public async Task RunAsync()
    {
        try
        {
            List<Task> reading = [];
            string? id = null;
            for (int index = 0; index < Participants; index++)
            {
                MoshpitEvent connect = await OpenAsync(index, id);
                id ??= connect.Id;
                _conversation.Join(connect.Cid!, connect.Number!.Value);
                reading.Add(ReadAsync(index, connect.Cid!));
            }

            await Task.WhenAll(Enumerable.Range(0, Participants).Select(WriteAsync));
            await WhenAllHaveHeardAllAsync(reading);
            int repeated = await _conversation.CheckReceiptsAsync(Patience);

            // The channel goes with its owner, and each of the others is told so, or finds it out.
            await _peers[0].DisposeAsync();
            await Task.WhenAll(reading).WaitAsync(Patience);
            counts.Add(_conversation.Heard, repeated);
        }
        finally
        {
            foreach (MoshpitPeer? peer in _peers)
            {
                if (peer is not null)
                    await peer.DisposeAsync();
            }
        }
    }

    /// <summary>The first stream is not cut: a peer that can't connect at first has ended.</summary>
    private async Task<MoshpitEvent> OpenAsync(int index, string? id)
    {
        int connections = 0;
        var options = new MoshpitClientOptions
        {
            ConnectCallback = (_, _) =>
            {
                int number = Interlocked.Increment(ref connections);
                bool isCut = number > 1 && number <= 1 + cuts;
                return new(relay.ConnectStream(isCut ? walk.Next(number % 2 == 0 ? CutPart.Posts : CutPart.Stream) : Cut.None));
            },
            SilenceTimeout = TimeSpan.FromSeconds(5),
        };
        var client = new MoshpitClient("http://moshpit", options);
        _peers[index] = id is null ? client.Open() : client.Open(id);
        return await _peers[index].Connected.Soon();
    }

    private async Task WriteAsync(int index)
    {
        for (int n = 0; n < MessagesOfEach; n++)
        {
            int choice;
            lock (random)
                choice = random.Next(20);
            _conversation.Write(_peers[index], index, choice < Participants ? choice : null);
            if (choice == Participants)
                _peers[index].Reconnect();
            if (choice > 2 * Participants)
                await Task.Yield();
        }
    }

    private async Task WhenAllHaveHeardAllAsync(List<Task> reading)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!Enumerable.Range(0, Participants).All(_conversation.IsUpToDate))
        {
            if (reading.Find(each => each.IsCompleted) is { } ended)
                await ended;
            await Task.Delay(10, patience.Token);
        }
    }

    private async Task ReadAsync(int index, string cid)
    {
        await foreach (MoshpitEvent e in _peers[index])
        {
            if (e.Kind == MoshpitEventKind.Signal)
                _conversation.Hear(index, e);
            if (e.Kind == MoshpitEventKind.Lost)
            {
                // Mostly at once, and sometimes when the server asks it to.
                counts.CountLoss();
                if (counts.Lost % 8 > 0)
                    _peers[index].Reconnect();
            }

            if (e.Kind == MoshpitEventKind.Connect)
                Assert.That(e.Cid, Is.EqualTo(cid));
            Assert.That(e.Kind, Is.Not.EqualTo(MoshpitEventKind.Gap));
        }
    }
}
