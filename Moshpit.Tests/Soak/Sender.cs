using System.Net.Sockets;
using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// Posts the messages of one session peer through a relay, with numbers of their own, until each is accepted, as PROTOCOL.md (3.4) tells a
/// program to. Some of those without an answer are posted again at once, others after newer ones.
/// </summary>
internal sealed class Sender(SessionRoom room, Participant peer, Random random)
{
    /// <summary>A number this far above the lowest that was not accepted must not be sent.</summary>
    private const int Window = 64;

    private const int LongestBatch = 4;

    private readonly SortedDictionary<int, Letter> _open = [];
    private RawConnection? _connection;
    private Cut _cut = Cut.None;
    private int _batchesLeft;
    private int _highest;
    private int _highestAccepted;

    /// <summary>The highest number that was ever sent.</summary>
    public int Highest => Volatile.Read(ref _highest);

    /// <summary>The highest number that is known to be accepted.</summary>
    public int HighestAccepted => Volatile.Read(ref _highestAccepted);

    /// <summary>Posts <paramref name="count"/> messages until all are accepted.</summary>
    /// <param name="count">How many.</param>
    /// <param name="write">Makes the message with this number.</param>
    public async Task SendAsync(int count, Func<int, Letter> write)
    {
        await peer.Connected;
        int end = _highest + count;
        try
        {
            while (_highest < end || _open.Count > 0)
                await PostAsync(ChooseBatch(end, write));
        }
        finally
        {
            _connection?.Dispose();
            _connection = null;
        }
    }

    private List<Letter> ChooseBatch(int end, Func<int, Letter> write)
    {
        List<Letter> batch = [];
        int most = random.Next(1, LongestBatch + 1);
        if (_open.Count > 0 && (_highest == end || random.Next(2) == 0))
        {
            Letter[] again = [.. _open.Values];
            random.Shuffle(again);
            batch.AddRange(again.Take(most));
        }

        while (batch.Count < most && _highest < end && (_open.Count == 0 || _highest + 1 < _open.First().Key + Window))
        {
            Letter letter = write(_highest + 1);
            Volatile.Write(ref _highest, letter.Number);
            _open.Add(letter.Number, letter);
            batch.Add(letter);
        }

        // The window is full of what is open.
        if (batch.Count == 0)
            batch.Add(_open.First().Value);
        return batch;
    }

    /// <summary>Posts all of <paramref name="batch"/> before it reads the answers.</summary>
    private async Task PostAsync(List<Letter> batch)
    {
        RawConnection connection = _connection ?? Connect();
        foreach (Letter letter in batch)
            room.Ledger.Send(letter);
        try
        {
            connection.Send(string.Concat(batch.Select(PostOf)));
        }
        catch (SocketException)
        {
            // Some may have come through, and been answered.
        }

        for (int n = 0; n < batch.Count; n++)
        {
            RawResponse? answer = await connection.TryReadResponseAsync();
            if (answer is { Status: 200 })
            {
                Take(batch[n], answer);
                continue;
            }

            Drop();
            if (answer is null)
            {
                batch[n..].ForEach(letter => letter.MayHaveArrived = true);
                Interlocked.Increment(ref room.Counts.LostAnswers);
                return;
            }

            // Nothing behind it was processed: no number of it counts as a repetition for that.
            Assert.That(answer["Connection"], Is.EqualTo("close"), answer.Header);
            await room.OnRefusedAsync(answer, _cut);
            return;
        }

        if (--_batchesLeft == 0)
            Drop();
    }

    private void Take(Letter letter, RawResponse answer)
    {
        using JsonDocument receipt = JsonDocument.Parse(answer.Body);
        long place = 0;
        if (receipt.RootElement.TryGetProperty("event", out JsonElement id))
        {
            string[] parts = id.GetString()!.Split('.');
            place = long.Parse(parts[0]);
            Assert.That(parts[1], Is.EqualTo($"{peer.Inbox.Number}"));
        }
        else
        {
            Assert.That(answer.Body, Is.EqualTo("{\"duplicate\":true}"));
            Assert.That(letter.MayHaveArrived, $"{peer.Inbox}, {letter} is no repetition");
            Interlocked.Increment(ref room.Counts.Repeats);
        }

        room.Ledger.Accept(letter, place);
        _open.Remove(letter.Number);
        Volatile.Write(ref _highestAccepted, Math.Max(_highestAccepted, letter.Number));
        Interlocked.Increment(ref room.Counts.Sent);
    }

    private RawConnection Connect()
    {
        _batchesLeft = random.Next(1, 6);
        _cut = random.Next(4) == 0 ? Cut.None : room.Walk.Next(CutPart.Posts);
        return _connection = room.Relay.Connect(_cut);
    }

    private void Drop()
    {
        _connection!.Dispose();
        _connection = null;
    }

    private string PostOf(Letter letter)
    {
        string addressee = letter.To is { } to ? $"\"cid\":\"{room.CidOf(to)}\"," : "";
        string body = $"{{\"token\":\"{peer.Inbox.Token}\",{addressee}\"seq\":{letter.Number},\"data\":{letter.Data}}}";
        return PostText.WithLength("/" + room.Id, body, PostText.Json + "Accept: application/json\r\n" + room.Fields);
    }
}
