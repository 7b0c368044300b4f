using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// What one session peer has heard over all its streams, as PROTOCOL.md (3.1, 3.2) tells a program to keep it: the last id is of the last
/// event that came whole. Each event is checked when it comes.
/// </summary>
/// <param name="ledger">The books of its room.</param>
/// <param name="index">Its index in the room.</param>
/// <param name="mayHaveGaps">The history of its room is too small for an absence.</param>
internal sealed class Inbox(Ledger ledger, int index, bool mayHaveGaps)
{
    private readonly List<Letter> _heard = [];
    private readonly List<(long After, long To)> _gaps = [];
    private string? _asked;
    private string? _before;
    private long _streams;

    /// <summary>Its first <c>connect</c>; null before.</summary>
    public SessionEvent? First { get; private set; }

    public string Id => First!.Text("id");

    public string Cid => First!.Text("cid");

    public string Token => First!.Text("token");

    /// <summary>Its number in the channel.</summary>
    public long Number => First!.Number("n");

    /// <summary>The number of its join.</summary>
    public long Joined => First!.Sequence;

    /// <summary>To be sent as <c>Last-Event-ID</c>; null: none.</summary>
    public string? LastId { get; private set; }

    /// <summary>The number of the last event.</summary>
    public long Last { get; private set; }

    /// <summary>A stream is asked for with <paramref name="last"/> as its last id.</summary>
    public void Ask(string? last) => (_asked, _before) = (last, null);

    /// <summary>Takes in an event of the stream. The letter, where it is a message.</summary>
    public Letter? Take(SessionEvent next)
    {
        Letter? letter = null;
        Assert.That(next.Name == "connect", Is.EqualTo(_before is null), $"{next} behind {_before ?? "nothing"}");
        switch (next.Name)
        {
            case "connect":
                TakeConnect(next);
                break;
            case "gap":
                TakeGap(next);
                break;
            case "bye":
                // Its id is taken as any other, but it is not after the one before it.
                Assert.That(next.Id, Is.EqualTo(next.Text("reason") == "replaced" ? $"-{Last}.0" : "-1"));
                Assert.That(next.Flag("again"), Is.False);
                break;
            default:
                Assert.That(_before != "connect" || LastId != "0.0", $"{next} where a gap must come");
                letter = TakeOther(next);
                break;
        }

        LastId = next.Id == "-1" ? null : next.Id;
        _before = next.Name;
        return letter;
    }

    /// <summary>
    /// It has heard every message to it from its join to its last event once, in the order of the channel, but for those of which a gap
    /// told it.
    /// </summary>
    public void Check()
    {
        Assert.That(_heard.Select(letter => letter.Place), Is.Ordered.Ascending.And.Unique);
        HashSet<Letter> heard = [.. _heard];
        int unplaced = 0;
        foreach (Letter letter in ledger.Letters.Where(letter => letter.IsFor(index) && !heard.Contains(letter)))
        {
            if (letter.Place == 0)
                unplaced++;
            else
                Assert.That(letter.Place <= Joined || letter.Place > Last || IsInGap(letter), $"{this} has not heard {letter}");
        }

        // A message whose place no participant knows was to this peer alone.
        Assert.That(unplaced, Is.LessThanOrEqualTo(_gaps.Sum(gap => gap.To - gap.After)));
        foreach ((long after, long to) in _gaps)
        {
            Letter? lost = ledger.At(to);
            Assert.That(lost is null || lost.IsFor(index) || to == Joined, $"{this} was told of a gap up to {lost}, which was not to it");
            Assert.That(_heard.Exists(letter => letter.Place > after && letter.Place <= to), Is.False, $"{this} heard what it lost");
        }
    }

    public override string ToString() =>
        $"peer {index}, joined at {First?.Sequence}, last id {LastId}, gaps {string.Join(' ', _gaps)}";

    private void TakeConnect(SessionEvent connect)
    {
        long stream = connect.Number("stream");
        Assert.That(stream, Is.GreaterThan(_streams));
        _streams = stream;
        First ??= connect;
        Assert.That((connect.Text("cid"), connect.Text("token"), connect.Number("n")), Is.EqualTo((Cid, Token, Number)), "it is the same");
        bool isUsable = _asked != Participant.WrongId && _asked != "0.0";
        Assert.That(connect.Flag("resumed"), Is.EqualTo(isUsable && stream > 1));
        if (isUsable)
        {
            // Without a last id all since the join is replayed, and nothing else was heard yet.
            Assert.That(connect.Id, Is.EqualTo($"{_asked?.TrimStart('-').Split('.')[0] ?? Joined.ToString()}.0"));
            Last = connect.Sequence;
            return;
        }

        // It forgets what it knew.
        Assert.That(connect.Id, Is.EqualTo("0.0"));
        _heard.Clear();
        _gaps.Clear();
        Last = 0;
    }

    private void TakeGap(SessionEvent gap)
    {
        Assert.That(_before, Is.EqualTo("connect"));
        Assert.That(gap.Id, Is.EqualTo($"{gap.Sequence}.0"));
        JsonElement after = gap.Data.GetProperty("after"), missed = gap.Data.GetProperty("missed");
        if (Last == 0)
        {
            Assert.That((after.ValueKind, missed.ValueKind), Is.EqualTo((JsonValueKind.Null, JsonValueKind.Null)));
            Assert.That(gap.Sequence, mayHaveGaps ? Is.GreaterThanOrEqualTo(Joined) : Is.EqualTo(Joined));
            _gaps.Add((Joined, gap.Sequence));
        }
        else
        {
            Assert.That(mayHaveGaps, $"{gap} where all is kept");
            Assert.That((after.GetInt64(), missed.GetInt64()), Is.EqualTo((Last, gap.Sequence - Last)));
            Assert.That(gap.Sequence, Is.GreaterThan(Last));
            _gaps.Add((Last, gap.Sequence));
        }

        Last = gap.Sequence;
    }

    private Letter? TakeOther(SessionEvent next)
    {
        Assert.That(next.Sequence, Is.GreaterThan(Last), $"{next} comes twice or too late");
        Last = next.Sequence;
        if (next.Name != "signal")
            return null;
        Letter letter = ledger.Hear(next.Data, next.Sequence);
        Assert.That(letter.IsFor(index), $"{letter} came to {index}");
        _heard.Add(letter);
        return letter;
    }

    private bool IsInGap(Letter letter) => _gaps.Exists(gap => letter.Place > gap.After && letter.Place <= gap.To);
}
