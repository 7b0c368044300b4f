using System.Net.Sockets;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// A session peer that reads through a relay, is cut, and comes back, as PROTOCOL.md (3.1, 3.2) tells a program to; but without waiting
/// between streams.
/// </summary>
/// <param name="room">Where it is.</param>
/// <param name="index">Its index there; 0: the owner.</param>
/// <param name="secret">Of its session.</param>
/// <param name="random">Its choices.</param>
/// <param name="cuts">So many of its streams are cut.</param>
internal sealed class Participant(SessionRoom room, int index, string secret, Random random, int cuts)
{
    /// <summary>A last id that is of no event.</summary>
    public const string WrongId = "7.0";

    /// <summary>Messages that an absence outlasts where history is short: more than is kept.</summary>
    private const int LongAbsence = 60;

    /// <summary>Streams that are told of where a check fails.</summary>
    private const int NotedStreams = 4;

    /// <summary>Milliseconds until it asks again whether the stream that replaced its own is still there.</summary>
    private const int ReplacedRetry = 50;

    private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _heardLast = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<List<string>> _notes = new();
    private readonly OwnerView? _view = index == 0 ? new OwnerView(isWhole: cuts == 0) : null;
    private readonly bool _isWhole = cuts == 0;
    private int _cuts = cuts;
    private int _acceptedBefore;
    private Cut? _byeCut;

    /// <summary>A stream that goes on while the next one is asked for.</summary>
    private RawConnection? _old;

    public int Index => index;

    public string Secret => secret;

    public Inbox Inbox { get; } = new(room.Ledger, index, room.HasShortHistory);

    /// <summary>Posts in its name.</summary>
    public Sender? Sender { get; set; }

    /// <summary>It knows who it is.</summary>
    public Task Connected => _connected.Task;

    /// <summary>It has heard the last message of the room.</summary>
    public Task HeardLast => _heardLast.Task;

    /// <summary>It has said that it leaves, or is about to.</summary>
    public bool IsLeaving { get; private set; }

    /// <summary>Peers that it heard join.</summary>
    public int HeardJoins => _view!.Joined;

    /// <summary>Holds one stream after the other until its session is over.</summary>
    public async Task RunAsync()
    {
        try
        {
            while (!await StreamAsync())
            {
            }
        }
        catch (Exception e)
        {
            throw new AssertionException($"{Inbox}: {e.Message}\n{string.Join('\n', _notes.SelectMany(notes => notes))}", e);
        }
        finally
        {
            _old?.Dispose();
        }
    }

    /// <summary>What comes next on its stream is <c>bye</c>, which may be cut.</summary>
    public void ExpectBye() => _byeCut?.Arm();

    /// <summary>Says that it leaves, until it is told that it has.</summary>
    public async Task LeaveAsync()
    {
        IsLeaving = true;
        bool mayHaveLeft = false;
        while (true)
        {
            Cut cut = room.Walk.Next(CutPart.Posts);
            using RawConnection connection = room.Relay.Connect(cut);
            string body = $"{{\"token\":\"{Inbox.Token}\",\"do\":\"leave\"}}";
            TrySend(connection, PostText.WithLength("/" + room.Id, body, PostText.Json + room.Fields));
            RawResponse? answer = await connection.TryReadResponseAsync();
            if (answer is { Status: 200 } || (mayHaveLeft && answer is { Status: 401 or 404 }))
                return;
            mayHaveLeft |= answer is null;
            if (answer is not null)
                await room.OnRefusedAsync(answer, cut);
        }
    }

    private static bool TrySend(RawConnection connection, string text)
    {
        try
        {
            connection.Send(text);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Holds one stream. True: the session is over.</summary>
    private async Task<bool> StreamAsync()
    {
        bool isThere = Connected.IsCompleted && !HeardLast.IsCompleted && !_isWhole;
        if (isThere && room.HasShortHistory && random.Next(4) == 0)
            await room.Ledger.WhenAcceptedAsync(room.Ledger.Accepted + LongAbsence);
        bool isConfused = isThere && random.Next(20) == 0;
        string? last = isConfused ? WrongId : Inbox.LastId;
        Cut cut = ChooseCut();
        bool handsOver = cut.Kind is CutKind.Delay or CutKind.SingleBytes && _old is null;
        int handsOverAfter = handsOver ? random.Next(1, 10) : int.MaxValue;

        RawConnection stream = room.Relay.Connect(cut);
        try
        {
            _acceptedBefore = Sender!.HighestAccepted;
            BeginNotes($"== {cut}; last id {last}");
            TrySend(stream, Asking.Text("GET", Target, SessionPeer.FieldsOf(secret, last) + room.Fields));
            if (await stream.TryReadHeadAsync() is not { } head)
                return false;
            Note(head.Header);
            if (head.Status != 200)
                return await OnRefusedAsync(head, last, cut);
            Inbox.Ask(last);
            _view?.Restart();
            for (int events = 0; await stream.TryReadUntilAsync("\n\n") is { } text; events++)
            {
                Note(text);
                if (!text.StartsWith(':') && await TakeAsync(SessionEvent.Parse(text), cut) is { } isOver)
                    return isOver;
                if (events < handsOverAfter)
                    continue;
                _old = stream;
                return false;
            }

            return false;
        }
        finally
        {
            if (_old != stream)
                stream.Dispose();
        }
    }

    private Cut ChooseCut()
    {
        if (_cuts-- > 0)
            return room.Walk.Next(CutPart.Stream);
        if (_isWhole || _byeCut is { IsArmed: true })
            return Cut.None;
        return _byeCut ??= random.Next(2) == 0 ? Cut.None : room.Walk.Next(CutPart.Bye);
    }

    private string Target => index == 0 && (!Connected.IsCompleted || random.Next(2) == 0) ? "/" : "/" + room.Id;

    /// <summary>Null: the stream goes on. True: the session is over.</summary>
    private async Task<bool?> TakeAsync(SessionEvent next, Cut cut)
    {
        Letter? letter = Inbox.Take(next);
        switch (next.Name)
        {
            case "connect":
                Interlocked.Add(ref room.Counts.Resumes, next.Number("stream") > 1 ? 1 : 0);
                Interlocked.Add(ref room.Counts.Confusions, next.Id == "0.0" ? 1 : 0);
                Assert.That(next.Number("seq"), Is.InRange(_acceptedBefore, Sender!.Highest));
                Assert.That(next.Text("owner"), Is.EqualTo(room.CidOf(0)));
                _connected.TrySetResult();

                // A stream that the server saw die at once has replaced none: the next one does that.
                if (!cut.Breaks || !cut.IsArmed)
                    await EndOldAsync();
                return null;
            case "gap":
                Interlocked.Increment(ref room.Counts.Gaps);
                return null;
            case "signal":
                Interlocked.Increment(ref room.Counts.Delivered);
                room.CheckSender(next, letter!);
                if (letter == room.Last)
                    _heardLast.TrySetResult();
                return null;
            case "bye":
                bool isReplaced = next.Text("reason") == "replaced";
                Interlocked.Add(ref room.Counts.Replaced, isReplaced ? 1 : 0);
                Assert.That(isReplaced || (next.Text("reason") == "left" ? IsLeaving : room.IsClosing), $"{next}");
                return !isReplaced;
            default:
                Assert.That(_view, Is.Not.Null, $"{next} to a guest");
                _view!.Take(next);
                Interlocked.Add(ref room.Counts.Aways, next.Name == "away" ? 1 : 0);
                return null;
        }
    }

    /// <summary>True: the session is over.</summary>
    private async Task<bool> OnRefusedAsync(RawResponse answer, string? last, Cut cut)
    {
        if ((answer.Status == 204 && IsLeaving) || (answer.Status is 204 or 404 && room.IsClosing))
            return true;
        if (answer.Status != 204 || last?[0] != '-')
            await room.OnRefusedAsync(answer, cut);
        else
            await Task.Delay(ReplacedRetry); // A request that came late has replaced its stream, and the server has not seen it die yet.
        return false;
    }

    /// <summary>Reads the stream before the present one, which was never cut, to the end that it must have.</summary>
    private async Task EndOldAsync()
    {
        if (_old is null)
            return;
        using RawConnection old = _old;
        string? end = null;
        long last = 0;
        while (await old.TryReadUntilAsync("\n\n") is { } text)
        {
            if (text.StartsWith(':'))
                continue;
            Note($"old: {text}");
            end = text;
            var next = SessionEvent.Parse(text);
            if (next.Name == "bye")
                Assert.That((next.Text("reason"), last == 0 || next.Id == $"-{last}.0"), Is.EqualTo(("replaced", true)), text);
            last = next.Sequence;
        }

        Assert.That(end, Does.StartWith("event: bye"));
        Assert.That(old.SawLastChunk, "it ended in good order");
        Interlocked.Increment(ref room.Counts.Replaced);
        _old = null;
    }

    private void BeginNotes(string note)
    {
        if (_notes.Count == NotedStreams)
            _notes.Dequeue();
        _notes.Enqueue([note]);
    }

    private void Note(string text) => _notes.Last().Add(text.TrimEnd('\n'));
}
