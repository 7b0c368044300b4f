namespace Moshpit.Tests.Client;

/// <summary>
/// What the participants of a channel write and hear through real clients. Whatever happens to their connections, each hears each message
/// that is for it once, those of one sender in the order in which they were written, and the ids only grow.
/// </summary>
internal sealed class Conversation
{
    private readonly Lock _gate = new();
    private readonly List<Participant> _participants = [];
    private readonly List<(string Data, Task<MoshpitReceipt> Receipt)> _writes = [];
    private readonly Dictionary<string, string> _ids = [];

    /// <summary>Messages that were heard, once for each participant.</summary>
    public int Heard { get; private set; }

    /// <summary>Adds one whose peer has this cid and number.</summary>
    public void Join(string cid, int number)
    {
        lock (_gate)
            _participants.Add(new Participant(cid, number));
    }

    /// <summary>Has <paramref name="peer"/>, of the participant <paramref name="sender"/>, write to all, or to one.</summary>
    public void Write(MoshpitPeer peer, int sender, int? to = null)
    {
        lock (_gate)
        {
            string data = $"\"{sender},{_writes.Count}\"";
            for (int hearer = 0; hearer < _participants.Count; hearer++)
            {
                if (to is null || to == hearer)
                    _participants[hearer].ExpectFrom(sender).Enqueue(data);
            }

            _writes.Add((data, peer.Write(data, to is { } addressee ? _participants[addressee].Cid : null)));
        }
    }

    /// <summary>The participant <paramref name="hearer"/> hears <paramref name="signal"/>.</summary>
    public void Hear(int hearer, MoshpitEvent signal)
    {
        lock (_gate)
        {
            int sender = int.Parse(signal.Data[1..signal.Data.IndexOf(',')]);
            Assert.That(_participants[hearer].ExpectFrom(sender).TryDequeue(out string? expected), $"{signal.Data} is not for {hearer}");
            Assert.That(signal.Data, Is.EqualTo(expected), () => $"{_writes.Find(write => write.Data == expected).Receipt.Exception}");
            Assert.That((signal.From, signal.Number), Is.EqualTo((_participants[sender].Cid, _participants[sender].Number)));
            long place = long.Parse(signal.LastEventId.Split('.')[0]);
            Assert.That(place, Is.GreaterThan(_participants[hearer].Place));
            _participants[hearer].Place = place;
            if (!_ids.TryAdd(signal.Data, signal.LastEventId))
                Assert.That(signal.LastEventId, Is.EqualTo(_ids[signal.Data]));
            Heard++;
        }
    }

    /// <summary>The participant has heard everything that was written for it so far.</summary>
    public bool IsUpToDate(int hearer)
    {
        lock (_gate)
            return _participants[hearer].HasHeardAll;
    }

    /// <summary>
    /// Every message was taken, and has the id that its receipt says, if that says one: the connection may have been cut behind the status.
    /// </summary>
    /// <returns>How many had to be sent again.</returns>
    public async Task<int> CheckReceiptsAsync(TimeSpan? patience = null)
    {
        int repeated = 0;
        foreach ((string data, Task<MoshpitReceipt> written) in _writes)
        {
            MoshpitReceipt receipt = await written.WaitAsync(patience ?? RawServer.Patience);
            repeated += receipt.IsDuplicate ? 1 : 0;
            if (receipt.Event is { } id)
                Assert.That(id, Is.EqualTo(_ids[data]), data);
        }

        return repeated;
    }

    private sealed class Participant(string cid, int number)
    {
        private readonly Dictionary<int, Queue<string>> _expected = [];

        public string Cid => cid;

        public int Number => number;

        /// <summary>The number of the event that it heard last.</summary>
        public long Place { get; set; }

        public bool HasHeardAll => _expected.Values.All(queue => queue.Count == 0);

        public Queue<string> ExpectFrom(int sender)
        {
            if (!_expected.TryGetValue(sender, out Queue<string>? queue))
                _expected.Add(sender, queue = new Queue<string>());
            return queue;
        }
    }
}
