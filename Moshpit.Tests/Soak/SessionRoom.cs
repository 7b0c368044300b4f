using System.Globalization;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// One channel of session peers that are cut all the time: an owner, guests that stay, one that comes late, and one that leaves and joins
/// anew. They send broadcasts and messages to one peer, and what each of them hears is checked. A plain peer with an unharmed stream
/// witnesses the order of the broadcasts.
/// </summary>
internal sealed class SessionRoom
{
    /// <summary>Peers that are there from the beginning to the end; the owner is one of them.</summary>
    private const int Stayers = 5;

    private const int Leaver = Stayers, Successor = Leaver + 1, Latecomer = Successor + 1, All = Latecomer + 1;

    /// <summary>Messages of each stayer, and of the leaver.</summary>
    private const int Messages = 25;

    /// <summary>Bytes of an event besides its data, at most.</summary>
    private const int EventOverhead = 160;

    /// <summary>Padding of a message that makes a history too short for an absence.</summary>
    private const int ShortestPadding = 200, LongestPadding = 1300;

    private readonly SessionRooms _rooms;
    private readonly int _seed;
    private readonly Random _random;
    private readonly bool _ownerIsWhole;
    private readonly Participant[] _participants;
    private readonly TaskCompletionSource _failed = new();
    private readonly List<Letter> _witnessed = [];

    public SessionRoom(SessionRooms rooms, int seed)
    {
        (_rooms, _seed, _random) = (rooms, seed, new Random(seed));
        HasShortHistory = _random.Next(2) == 0;
        _ownerIsWhole = _random.Next(2) == 0;
        string address = $"10.{_random.Next(256)}.{_random.Next(256)}.{_random.Next(256)}";
        Fields = Asking.From(address);
        _participants = new Participant[All];
        for (int i = 0; i < All; i++)
        {
            string secret = i == Successor ? _participants[Leaver].Secret : SessionPeer.NewSecret();
            int cuts = i == 0 && _ownerIsWhole ? 0 : _rooms.ChooseCuts(_random);
            _participants[i] = new Participant(this, i, secret, new Random(_random.Next()), cuts);
            _participants[i].Sender = new Sender(this, _participants[i], new Random(_random.Next()));
        }
    }

    public Relay Relay => _rooms.Relay;

    public CutWalk Walk => _rooms.Walk;

    public SessionCounts Counts => _rooms.Counts;

    public Ledger Ledger { get; } = new();

    /// <summary>More is sent in an absence than the server keeps.</summary>
    public bool HasShortHistory { get; }

    /// <summary>Of each request: its client has limits of its own.</summary>
    public string Fields { get; }

    public string Id => _participants[0].Inbox.Id;

    /// <summary>The last message; null before it is sent.</summary>
    public Letter? Last { get; private set; }

    /// <summary>The owner is about to leave, and the channel to end.</summary>
    public bool IsClosing { get; private set; }

    /// <summary>
    /// A request was refused for now, and is to be sent again: waits as long as the refusal says. A request of which only a part came
    /// through is refused too.
    /// </summary>
    public async Task OnRefusedAsync(RawResponse answer, Cut cut)
    {
        Interlocked.Increment(ref Counts.Refusals);
        if (answer.Status == 400 && cut is { Kind: CutKind.HalfClose, OfRequest: true })
            return;
        Assert.That(answer.Status is 429 or 503, $"{cut}: {answer.Header}{answer.Body}");
        await Task.Delay(TimeSpan.FromSeconds(int.Parse(answer["Retry-After"]!, CultureInfo.InvariantCulture)));
    }

    /// <summary>Opens the channel, uses, closes and checks it.</summary>
    public async Task RunAsync()
    {
        try
        {
            await await Task.WhenAny(DirectAsync(), _failed.Task);
            Check();
        }
        catch (Exception e)
        {
            throw new AssertionException($"{this}: {e}", e);
        }

        Interlocked.Increment(ref Counts.Rounds);
    }

    public string CidOf(int index) => _participants[index].Inbox.Cid;

    /// <summary>The server says truly which peer sent <paramref name="signal"/>.</summary>
    public void CheckSender(SessionEvent signal, Letter letter)
    {
        Inbox sender = _participants[letter.Sender].Inbox;
        Assert.That((signal.From, signal.Id), Is.EqualTo((sender.Cid, $"{signal.Sequence}.{sender.Number}")));
    }

    public override string ToString() =>
        $"room with seed {_seed}, {(HasShortHistory ? "short" : "whole")} history, owner {(_ownerIsWhole ? "whole" : "cut")}";

    /// <summary>What was sent is what was received, and in one order.</summary>
    private void Check()
    {
        Ledger.Check(HasShortHistory);
        foreach (Participant participant in _participants)
        {
            participant.Inbox.Check();
            if (participant.Index < Stayers)
                Assert.That(participant.Inbox.Last, Is.GreaterThanOrEqualTo(Last!.Place));
        }

        Letter[] broadcasts = [.. Ledger.Letters.Where(letter => letter.To is null).OrderBy(letter => letter.Place)];
        Assert.That(_witnessed, Is.EqualTo(broadcasts));
        if (!HasShortHistory)
            Assert.That(Ledger.Letters.Sum(letter => letter.Data.Length + EventOverhead), Is.LessThan(SessionRooms.HistoryLimit));
        if (_ownerIsWhole)
            Assert.That(_participants[0].HeardJoins, Is.EqualTo(All), "all but itself, and the witness");
    }

    private async Task DirectAsync()
    {
        Participant owner = _participants[0];
        List<Task> running = [Start(owner.RunAsync)];
        await owner.Connected;
        using RawPeer witness = await RawPeer.OpenAsync(RawConnection.Connect(_rooms.Port), "/" + Id, Fields);
        Task witnessing = Start(() => WitnessAsync(witness));
        running.AddRange(_participants[1..Leaver].Select(guest => Start(guest.RunAsync)));
        running.Add(Start(() => LeaveAndComeAnewAsync(_participants[Leaver], _participants[Successor])));
        running.Add(Start(ComeLateAsync));
        await Task.WhenAll(_participants[..Leaver].Select(sender => Start(() => SendAsync(sender, Messages))));
        Ledger.Complete();
        await Task.WhenAll(_participants.Select(participant => participant.Connected));

        await owner.Sender!.SendAsync(1, number => Last = Ledger.Write(owner.Index, number, null, 0));
        await Task.WhenAll(_participants.Where(participant => participant.Index != Leaver).Select(participant => participant.HeardLast));
        foreach (Participant participant in _participants)
            participant.ExpectBye();
        await Task.WhenAll(_participants[1..Leaver].Where(_ => _random.Next(2) == 0).Select(guest => Start(guest.LeaveAsync)));
        IsClosing = true;
        await owner.LeaveAsync();
        await Task.WhenAll([.. running, witnessing]);
    }

    private Task SendAsync(Participant sender, int count) => sender.Sender!.SendAsync(count, number => Write(sender.Index, number));

    private Letter Write(int sender, int number)
    {
        lock (_random)
        {
            int to = _random.Next(2 * Stayers);
            int padding = HasShortHistory ? _random.Next(ShortestPadding, LongestPadding) : 0;
            return Ledger.Write(sender, number, to < Stayers && _participants[to].Connected.IsCompleted ? to : null, padding);
        }
    }

    private async Task LeaveAndComeAnewAsync(Participant leaver, Participant successor)
    {
        Task reading = Start(leaver.RunAsync);
        await SendAsync(leaver, Messages);
        await leaver.LeaveAsync();
        await reading;
        await successor.RunAsync();
    }

    private async Task ComeLateAsync()
    {
        int accepted;
        lock (_random)
            accepted = _random.Next(Stayers * Messages);
        await Ledger.WhenAcceptedAsync(accepted);
        await _participants[Latecomer].RunAsync();
    }

    private async Task WitnessAsync(RawPeer witness)
    {
        while (await witness.Stream.TryReadUntilAsync("\n\n") is { } text)
        {
            if (text.StartsWith(':'))
                continue;
            var signal = SessionEvent.Parse(text);
            Assert.That(signal.Name, Is.EqualTo("signal"));
            Letter letter = Ledger.Hear(signal.Data, signal.Sequence);
            CheckSender(signal, letter);
            _witnessed.Add(letter);
        }
    }

    private async Task Start(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception e)
        {
            _failed.TrySetException(e);
            throw;
        }
    }
}
