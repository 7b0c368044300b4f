using System.Text.Json;

namespace Moshpit.Tests.Soak;

/// <summary>The books of one room: all its messages, and the one order of the channel in which participants say they heard them.</summary>
internal sealed class Ledger
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(int Sender, int Number), Letter> _letters = [];
    private readonly SortedDictionary<long, Letter> _places = [];
    private readonly PriorityQueue<TaskCompletionSource, int> _waiting = new();
    private int _clock;
    private int _accepted;
    private bool _isComplete;

    /// <summary>Messages that were accepted.</summary>
    public int Accepted
    {
        get
        {
            lock (_gate)
                return _accepted;
        }
    }

    /// <summary>All messages, once the room is over.</summary>
    public IReadOnlyCollection<Letter> Letters => _letters.Values;

    /// <summary>The message at <paramref name="place"/>; null: it is another event, or no participant knows.</summary>
    public Letter? At(long place) => _places.GetValueOrDefault(place);

    /// <summary>A new message, with <paramref name="padding"/> bytes that mean nothing.</summary>
    public Letter Write(int sender, int number, int? to, int padding)
    {
        var letter = new Letter(sender, number, to, $"\"{sender},{number},{(to is null ? "-" : to)},{new string('.', padding)}\"");
        lock (_gate)
            _letters.Add((sender, number), letter);
        return letter;
    }

    /// <summary><paramref name="letter"/> is about to be sent, perhaps once more.</summary>
    public void Send(Letter letter)
    {
        lock (_gate)
            letter.FirstSent = letter.FirstSent == 0 ? ++_clock : letter.FirstSent;
    }

    /// <summary><paramref name="letter"/> was accepted. <paramref name="place"/> is 0 if the answer does not tell it.</summary>
    public void Accept(Letter letter, long place)
    {
        lock (_gate)
        {
            Assert.That(letter.Accepted, Is.Zero);
            letter.Accepted = ++_clock;
            _accepted++;
            if (place > 0)
                Put(letter, place);
            while (_waiting.TryPeek(out TaskCompletionSource? waiting, out int count) && count <= _accepted)
            {
                waiting.SetResult();
                _waiting.Dequeue();
            }
        }
    }

    /// <summary>A participant heard <paramref name="data"/> at <paramref name="place"/>.</summary>
    public Letter Hear(JsonElement data, long place)
    {
        string[] parts = data.GetString()!.Split(',');
        lock (_gate)
        {
            Letter letter = _letters[(int.Parse(parts[0]), int.Parse(parts[1]))];
            Assert.That('"' + data.GetString() + '"', Is.EqualTo(letter.Data));
            Put(letter, place);
            return letter;
        }
    }

    /// <summary>Completes when so many messages were accepted, or no more are to come.</summary>
    public Task WhenAcceptedAsync(int count)
    {
        lock (_gate)
        {
            if (_isComplete || _accepted >= count)
                return Task.CompletedTask;
            var waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Enqueue(waiting, count);
            return waiting.Task;
        }
    }

    /// <summary>All but the last message were accepted.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _isComplete = true;
            while (_waiting.TryDequeue(out TaskCompletionSource? waiting, out _))
                waiting.SetResult();
        }
    }

    /// <summary>
    /// Every message was accepted, and has its place unless only participants with gaps might know it. A message that was accepted before
    /// another one of its sender was first sent stands before that one.
    /// </summary>
    public void Check(bool mayHaveGaps)
    {
        foreach (Letter letter in _letters.Values)
        {
            Assert.That(letter.Accepted, Is.Positive, $"{letter}");
            Assert.That(letter.Place > 0 || (mayHaveGaps && letter.To is not null), $"no participant heard {letter}");
        }

        Dictionary<int, int> newest = [];
        foreach (Letter letter in _places.Values)
        {
            int before = newest.GetValueOrDefault(letter.Sender);
            Assert.That(letter.Accepted, Is.GreaterThan(before), $"{letter} stands behind a message that was sent after it");
            newest[letter.Sender] = Math.Max(before, letter.FirstSent);
        }
    }

    /// <summary>All say the same of the order, and a message has one place in it.</summary>
    private void Put(Letter letter, long place)
    {
        Assert.That(letter.Place == 0 || letter.Place == place, $"{letter} is at {place} too");
        if (!_places.TryAdd(place, letter))
            Assert.That(_places[place], Is.SameAs(letter), $"{_places[place]} and {letter} are at {place}");
        letter.Place = place;
    }
}
