using System.Text;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Channels;

internal sealed class EventLogTests
{
    private const int Step = EventChain.SegmentLength;

    private readonly FramePool _frames = new();

    [Test]
    public void Every_range_of_frames_is_read_as_it_was_appended()
    {
        var log = NewLog();
        (string all, List<long> ends) = Fill(log, 40, 7_000);
        foreach (long from in ends[..^1])
        {
            foreach (long to in ends.Where(end => end > from))
                Assert.That(Read(log, from, to) == all[(int)from..(int)to], $"from {from} to {to}");
        }

        Empty(log);
    }

    [Test]
    public void Events_that_lie_together_are_shared_and_not_copied()
    {
        var log = NewLog();
        foreach (string text in new[] { "a;", "b;", "c;" })
            Append(log, text);
        EventSegment segment = log.Find(0)!;
        Assert.That(segment.TryRead(0, 6, out SharedFrame one, out _));
        Assert.That(segment.TryRead(2, 4, out SharedFrame other, out Range bytes));
        Assert.That(other, Is.SameAs(one));
        Append(log, "d;");
        Assert.That(Encoding.Latin1.GetString(other.Span[bytes]), Is.EqualTo("b;"), "what comes later changes nothing");
        Assert.That(_frames.Outstanding, Is.EqualTo(1), "the segment");
        Empty(log);
    }

    [Test]
    public void Each_event_has_the_next_number_and_those_for_one_peer_stand_in_no_segment()
    {
        var log = NewLog();
        Assert.That(Append(log, "a;"), Is.EqualTo(1));
        Assert.That(log.TakeNumber(), Is.EqualTo(2));
        Assert.That(Append(log, "b;"), Is.EqualTo(3));
        EventEntry[] both = [new(1, 0, Audience.All), new(3, 2, Audience.All)];
        Assert.That(log.Find(0)!.Entries.ToArray(), Is.EqualTo(both));
        Assert.That(log.Sequence, Is.EqualTo(3));
        Empty(log);
    }

    [Test]
    public void A_reader_gets_what_is_for_all_and_what_names_it_wherever_it_begins_and_ends()
    {
        var random = new Random(5);
        EventLog log = NewLog();
        List<(string Text, Audience[] Audiences, long Start)> all = [];
        for (int n = 0; n < 3000; n++)
        {
            Audience[] audiences = random.Next(6) switch
            {
                0 => [Audience.AllBut(random.Next(1, 4))],
                1 => [Audience.Of(1), Audience.Of(3)],
                2 => [Audience.Of(2)],
                3 => [Audience.Watchers],
                4 => [Audience.SessionsBut(random.Next(4))],
                _ => [Audience.All],
            };
            string text = new((char)('a' + n % 26), random.Next(1, n % 500 == 0 ? 20_000 : 90));
            all.Add((text, audiences, log.End));
            Append(log, text, audiences);
        }

        Assert.That(log.First!.Next?.Next, Is.Not.Null, "they fill several segments");
        for (int n = 0; n < 200; n++)
        {
            int from = random.Next(all.Count), to = random.Next(from, all.Count);
            var reader = new Reader(random.Next(4), (ReaderKind)random.Next(3));
            SharedFrame copy = log.Copy(reader, all[from].Start, all[to].Start, isChunked: true, more: 0, out _);
            Assert.That(
                Encoding.Latin1.GetString(copy.Span),
                Is.EqualTo(string.Concat(all[from..to].Where(e => e.Audiences.Any(a => a.Includes(reader))).Select(e => e.Text))));
            copy.Release();
        }

        (string lastText, _, long lastStart) = all.FindLast(e => !e.Audiences[0].IsBroadcast);
        Assert.That(log.SelectiveTo, Is.EqualTo(lastStart + lastText.Length));
        Empty(log);
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(3)]
    public void What_is_kept_is_the_newest_that_fits_and_what_a_peer_has_missed_of_it_comes_in_order(int seed)
    {
        const int Limit = 1000;
        var random = new Random(seed);
        var budget = new HistoryBudget(Limit, 10 * Limit, 1000);
        Dictionary<int, long> dropped = [];
        EventLog log = NewLog();
        List<Kept> all = [];
        log.BeginHistory(new History(log, _frames, budget, (addressee, sequence) => dropped[addressee] = sequence));
        for (int n = 0; n < 500; n++)
        {
            string text = new((char)('a' + n % 26), random.Next(1, 60));
            int named = random.Next(1, 4);
            switch (random.Next(8))
            {
                case 0:
                    Keep(Append(log, text, addressee: named), text, inLog: false, Audience.Of(named));
                    break;
                case 1:
                    Keep(Append(log, text, Audience.AllBut(named)), text, inLog: true, Audience.AllBut(named));
                    break;
                case 2:
                    Audience[] several = [.. Enumerable.Range(1, 3).Where(peer => peer != named).Select(Audience.Of)];
                    Keep(Append(log, text, several), text, inLog: true, several);
                    break;
                case 3:
                    Append(log, text, Audience.Watchers); // news is not kept
                    break;
                default:
                    Keep(Append(log, text), text, inLog: true, Audience.All);
                    break;
            }

            if (random.Next(4) > 0)
                log.Trim(log.End);
            if (random.Next(5) == 0)
                log.History!.Compact();

            // Everything that was delivered and is more than fits is gone, oldest first, and nothing else is.
            int kept = 0, first = all.Count;
            while (first > 0 && (kept += all[first - 1].Bytes + EventEntry.Size) <= Limit)
                first--;
            int gone = all.Take(first).TakeWhile(e => e.End <= log.Floor).Count();
            Assert.That(budget.Used, Is.EqualTo(all.Skip(gone).Sum(e => e.Bytes + EventEntry.Size)));
            long NewestTo(int addressee) =>
                all.Take(gone).Where(e => e.Audience.Only == addressee).Select(e => e.Sequence).DefaultIfEmpty().Max();
            long lastGone = gone == 0 ? 0 : all[gone - 1].Sequence;
            Assert.That(log.DroppedForAll, Is.EqualTo(NewestTo(0)));
            for (int peer = 1; peer < 4; peer++)
            {
                int own = peer;
                Assert.That(dropped.GetValueOrDefault(peer), Is.EqualTo(NewestTo(peer)));
                long after = random.NextInt64(lastGone, log.Sequence + 1);
                using var replay = new Replay();
                log.History!.CopyAfter(after, peer, replay);
                var sink = new RecordingSink();
                SharedFrame opening = _frames.Rent(1);
                replay.Write(sink, opening);
                opening.Release();
                IEnumerable<Kept> missed = all.Where(e => e.Sequence > after && e.Audience.Includes(Reader.OfMessages(own)));
                Assert.That(sink.Text, Is.EqualTo(string.Concat(missed.Select(e => e.Text))));
            }

            void Keep(long sequence, string bytes, bool inLog, params Audience[] audiences)
            {
                foreach (Audience audience in audiences)
                    all.Add(new Kept(sequence, audience, bytes, audience == audiences[^1] ? bytes.Length : 0, inLog ? log.End : 0));
            }
        }

        log.EndHistory();
        Empty(log);
        Assert.That(budget.Used, Is.Zero);
    }

    [TestCase(16, 1100)]
    [TestCase(128, 190)]
    [TestCase(2, 20_000)]
    [TestCase(3000, 30)]
    public void A_history_takes_no_more_than_its_bytes_once_it_is_compact(int events, int length)
    {
        EventLog log = NewLog(new HistoryBudget(limit: long.MaxValue, total: long.MaxValue, time: 1000));
        for (int n = 0; n < events; n++)
        {
            Append(log, new string((char)('a' + n % 26), length), addressee: n % 2);
            if (n == events / 2)
            {
                log.Trim(log.End);
                log.History!.Compact();
            }
        }

        log.Trim(log.End);
        log.History!.Compact();
        Assert.That(_frames.OutstandingBytes, Is.EqualTo((long)events * length));
        Assert.That(_frames.Outstanding, Is.LessThanOrEqualTo(2 + 4 * events * length / EventChain.SegmentLength));
        using var replay = new Replay();
        log.History.CopyAfter(0, 1, replay);
        Assert.That(replay.Length, Is.EqualTo(events * length));
        replay.Dispose();
        log.EndHistory();
        Assert.That((_frames.Outstanding, _frames.OutstandingBytes), Is.EqualTo((0, 0L)));
    }

    [Test]
    public void When_all_channels_keep_too_much_those_with_more_than_an_even_share_lose()
    {
        var budget = new HistoryBudget(limit: 250, total: 150, time: 1000);
        EventLog little = NewLog(budget), much = NewLog(budget);
        Append(little, new string('a', 20), addressee: 1);
        for (int n = 0; n < 5; n++)
            Append(much, new string('b', 10), addressee: 1);
        Assert.That(budget.Used, Is.LessThanOrEqualTo(150));
        using var replay = new Replay();
        little.History!.CopyAfter(0, 1, replay);
        Assert.That(replay.Length, Is.EqualTo(20), "it has less than a share");
        replay.Dispose();
        little.EndHistory();
        much.EndHistory();
        Assert.That(_frames.Outstanding, Is.Zero);
    }

    [Test]
    public void What_is_older_than_a_number_is_dropped_by_its_age()
    {
        EventLog log = NewLog(new HistoryBudget(limit: 1000, total: 1000, time: 1000));
        long old = Append(log, "a;");
        Append(log, "b;", addressee: 1);
        log.History!.DropUpTo(old);
        Assert.That(log.DroppedForAll, Is.Zero, "not every reader has had it");
        log.Trim(log.End);
        log.History!.DropUpTo(old);
        Assert.That(log.DroppedForAll, Is.EqualTo(old));
        using var replay = new Replay();
        log.History!.CopyAfter(0, 1, replay);
        Assert.That(replay.Length, Is.EqualTo(2));
        replay.Dispose();
        log.EndHistory();
        Empty(log);
    }

    [Test]
    public void A_log_with_nothing_that_a_reader_has_to_have_holds_nothing_and_goes_on_where_it_was()
    {
        var log = NewLog();
        for (int n = 1; n <= 3; n++)
        {
            Append(log, "a;");
            Assert.That(Read(log, 2 * n - 2, 2 * n), Is.EqualTo("a;"));
            Empty(log);
            Assert.That((log.Find(log.End), log.Floor, log.Sequence), Is.EqualTo(((EventSegment?)null, 2L * n, (long)n)));
        }
    }

    [TestCase(300)]
    [TestCase(EventChain.SegmentLength / 4)]
    [TestCase(EventChain.SegmentLength / 4 + 1)]
    [TestCase(EventChain.SegmentLength)]
    [TestCase(EventChain.SegmentLength + 1)]
    [TestCase(5 * EventChain.SegmentLength)]
    public void Steps_lead_to_the_end_over_ends_of_frames_and_are_no_longer_than_allowed_unless_a_frame_is(int longest)
    {
        var log = NewLog();
        (_, List<long> ends) = Fill(log, 60, longest);
        foreach (long start in ends)
        {
            for (long from = start; from < log.End;)
            {
                long to = log.Find(from)!.StepFrom(from, log.End, Step);
                Assert.That(to, Is.GreaterThan(from));
                Assert.That(ends, Does.Contain(to));
                if (to - from > Step)
                    Assert.That(ends.IndexOf(to), Is.EqualTo(ends.IndexOf(from) + 1), "a single frame");
                from = to;
            }
        }

        Empty(log);
    }

    [Test]
    public void To_the_end_is_one_step_when_it_is_near()
    {
        var log = NewLog();
        (_, List<long> ends) = Fill(log, 30, 9_000);
        long near = ends.First(end => log.End - end <= Step);
        Assert.That(log.Find(near)!.StepFrom(near, log.End, Step), Is.EqualTo(log.End), "though it crosses the end of a segment");
        Empty(log);
    }

    [Test]
    public void A_trimmed_log_holds_no_more_than_what_is_needed()
    {
        var log = NewLog();
        (string all, List<long> ends) = Fill(log, 200, 9_000);
        foreach (long position in ends)
        {
            log.Trim(position);
            if (position < log.End)
                Assert.That(Read(log, position, log.End) == all[(int)position..], $"from {position}");
            long needed = (log.End - position) / (Step - 9_000) + 2;
            Assert.That(_frames.Outstanding, Is.LessThanOrEqualTo(needed));
        }

        Assert.That(_frames.Outstanding, Is.Zero);
    }

    /// <summary>
    /// Fills the log with frames of all lengths up to <paramref name="longest"/>; what it holds, and where frames end, 0 included.
    /// </summary>
    private (string All, List<long> Ends) Fill(EventLog log, int frames, int longest)
    {
        var all = new StringBuilder();
        List<long> ends = [0];
        for (int n = 0; n < frames; n++)
        {
            string text = new((char)('a' + n % 26), 1 + n * 7919 % longest);
            if (n % 20 == 19)
                text = new('X', longest);
            Append(log, text);
            all.Append(text);
            ends.Add(all.Length);
            Assert.That(log.End, Is.EqualTo(all.Length));
        }

        return (all.ToString(), ends);
    }

    private EventLog NewLog() => new(_frames);

    private EventLog NewLog(HistoryBudget budget)
    {
        EventLog log = NewLog();
        log.BeginHistory(new History(log, _frames, budget, (_, _) => { }));
        return log;
    }

    private long Append(EventLog log, string text) => Append(log, text, Audience.All);

    private long Append(EventLog log, string text, params Audience[] audiences) =>
        Append(log, text, (frame, sequence) => log.Append(frame, sequence, audiences));

    private long Append(EventLog log, string text, int addressee) => addressee == 0
        ? Append(log, text)
        : Append(log, text, (frame, sequence) => log.AppendAddressed(frame, sequence, addressee));

    private long Append(EventLog log, string text, Action<SharedFrame, long> append)
    {
        SharedFrame frame = _frames.Rent(text.Length);
        frame.Append(Encoding.Latin1.GetBytes(text));
        long sequence = log.Sequence + 1;
        append(frame, sequence);
        frame.Release();
        return sequence;
    }

    /// <summary>Reads as a shard does: in place if the bytes lie together, otherwise by a copy.</summary>
    private string Read(EventLog log, long from, long to)
    {
        EventSegment segment = log.Find(from)!;
        if (segment.TryRead(from, to, out SharedFrame frame, out Range bytes))
            return Encoding.Latin1.GetString(frame.Span[bytes]);
        SharedFrame copy = _frames.Rent((int)(to - from));
        segment.CopyTo(copy, from, to, isChunked: true);
        string text = Encoding.Latin1.GetString(copy.Span);
        copy.Release();
        return text;
    }

    private void Empty(EventLog log)
    {
        log.Trim(log.End);
        Assert.That(_frames.Outstanding, Is.Zero);
    }

    /// <summary>An entry of the log: of an event to several peers the last one has the bytes.</summary>
    private sealed record Kept(long Sequence, Audience Audience, string Text, int Bytes, long End);
}
