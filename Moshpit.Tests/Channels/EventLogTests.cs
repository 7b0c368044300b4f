using System.Text;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;

namespace Moshpit.Tests.Channels;

internal sealed class EventLogTests
{
    private const int Step = EventLog.SegmentLength;

    private readonly FramePool _frames = new();

    [Test]
    public void Every_range_of_frames_is_read_as_it_was_appended()
    {
        var log = new EventLog(_frames);
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
        var log = new EventLog(_frames);
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
        var log = new EventLog(_frames);
        Assert.That(Append(log, "a;", sender: 7), Is.EqualTo(1));
        Assert.That(log.TakeNumber(), Is.EqualTo(2));
        Assert.That(Append(log, "b;", sender: 8), Is.EqualTo(3));
        Assert.That(log.Find(0)!.Entries.ToArray(), Is.EqualTo(new[] { new EventEntry(1, 0, 7), new EventEntry(3, 2, 8) }));
        Assert.That(log.Sequence, Is.EqualTo(3));
        Empty(log);
    }

    [Test]
    public void A_reader_goes_on_after_any_event_that_the_log_knows_the_successor_of()
    {
        var log = new EventLog(_frames);
        (_, List<long> ends) = Fill(log, 40, 7_000);
        log.TakeNumber();
        for (int n = 0; n < ends.Count; n++)
        {
            Assert.That(log.TryFindAfter(n, out long offset));
            Assert.That(offset, Is.EqualTo(ends[n]));
        }

        Assert.That(log.TryFindAfter(41, out long end));
        Assert.That(end, Is.EqualTo(log.End), "the last number is of an event that is not here");
        Assert.That(log.TryFindAfter(42, out _), Is.False, "it has not happened");
        log.Trim(ends[20]);
        Assert.That(Enumerable.Range(0, 20).Select(n => log.TryFindAfter(n, out _)), Is.All.False);
        Assert.That(Enumerable.Range(20, 20).Select(n => log.TryFindAfter(n, out _)), Is.All.True);
        Empty(log);
        Assert.That(log.TryFindAfter(39, out _), Is.False);
        Assert.That(log.TryFindAfter(40, out end));
        Assert.That(end, Is.EqualTo(log.End));
    }

    [Test]
    public void A_log_with_nothing_that_a_reader_has_to_have_holds_nothing_and_goes_on_where_it_was()
    {
        var log = new EventLog(_frames);
        for (int n = 1; n <= 3; n++)
        {
            Append(log, "a;");
            Assert.That(Read(log, 2 * n - 2, 2 * n), Is.EqualTo("a;"));
            Empty(log);
            Assert.That((log.Find(log.End), log.Floor, log.Sequence), Is.EqualTo(((EventSegment?)null, 2L * n, (long)n)));
        }
    }

    [TestCase(300)]
    [TestCase(EventLog.SegmentLength / 4)]
    [TestCase(EventLog.SegmentLength / 4 + 1)]
    [TestCase(EventLog.SegmentLength)]
    [TestCase(EventLog.SegmentLength + 1)]
    [TestCase(5 * EventLog.SegmentLength)]
    public void Steps_lead_to_the_end_over_ends_of_frames_and_are_no_longer_than_allowed_unless_a_frame_is(int longest)
    {
        var log = new EventLog(_frames);
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
        var log = new EventLog(_frames);
        (_, List<long> ends) = Fill(log, 30, 9_000);
        long near = ends.First(end => log.End - end <= Step);
        Assert.That(log.Find(near)!.StepFrom(near, log.End, Step), Is.EqualTo(log.End), "though it crosses the end of a segment");
        Empty(log);
    }

    [Test]
    public void A_trimmed_log_holds_no_more_than_what_is_needed()
    {
        var log = new EventLog(_frames);
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

    private long Append(EventLog log, string text, int sender = 1)
    {
        SharedFrame frame = _frames.Rent(text.Length);
        frame.Append(Encoding.Latin1.GetBytes(text));
        long sequence = log.Append(frame, sender);
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
}
