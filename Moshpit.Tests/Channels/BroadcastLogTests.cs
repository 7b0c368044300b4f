using System.Text;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;

namespace Moshpit.Tests.Channels;

internal sealed class BroadcastLogTests
{
    private const int Step = BroadcastLog.SegmentLength;

    private readonly FramePool _frames = new();

    [Test]
    public void Every_range_of_frames_is_read_as_it_was_appended()
    {
        var log = new BroadcastLog(_frames);
        (string all, List<long> ends) = Fill(log, 40, 7_000);
        foreach (long from in ends[..^1])
        {
            foreach (long to in ends.Where(end => end > from))
                Assert.That(Read(log, from, to) == all[(int)from..(int)to], $"from {from} to {to}");
        }

        Empty(log);
    }

    [Test]
    public void What_follows_stands_behind_what_is_read()
    {
        var log = new BroadcastLog(_frames);
        Append(log, "a;");
        Append(log, "b;");
        Assert.That(Read(log, 2, 4, "direct;"), Is.EqualTo("b;direct;"));
        Assert.That(Read(log, 0, 2, "direct;"), Is.EqualTo("a;direct;"));
        Assert.That(Read(log, 0, 4), Is.EqualTo("a;b;"), "it is not in the log");
        Empty(log);
    }

    [Test]
    public void Frames_that_lie_together_are_shared_and_not_copied()
    {
        var log = new BroadcastLog(_frames);
        foreach (string text in new[] { "a;", "b;", "c;" })
            Append(log, text);
        SharedFrame one = log.Read(0, 6, default, out _);
        SharedFrame other = log.Read(2, 4, default, out Range bytes);
        Assert.That(other, Is.SameAs(one));
        Append(log, "d;");
        Assert.That(Encoding.Latin1.GetString(other.Span[bytes]), Is.EqualTo("b;"), "what comes later changes nothing");
        Assert.That(_frames.Outstanding, Is.EqualTo(1), "the segment");
        one.Release();
        other.Release();
        Empty(log);
    }

    [Test]
    public void A_reader_may_keep_what_it_holds_when_the_log_forgets_it()
    {
        var log = new BroadcastLog(_frames);
        Append(log, "a;");
        SharedFrame frame = log.Read(0, 2, default, out Range bytes);
        Empty(log, held: 1);
        Append(log, "b;");
        Assert.That(Encoding.Latin1.GetString(frame.Span[bytes]), Is.EqualTo("a;"));
        Assert.That(Read(log, 2, 4), Is.EqualTo("b;"));
        frame.Release();
        Empty(log);
    }

    [TestCase(300)]
    [TestCase(BroadcastLog.SegmentLength / 4)]
    [TestCase(BroadcastLog.SegmentLength / 4 + 1)]
    [TestCase(BroadcastLog.SegmentLength)]
    [TestCase(BroadcastLog.SegmentLength + 1)]
    [TestCase(5 * BroadcastLog.SegmentLength)]
    public void Steps_lead_to_the_end_over_ends_of_frames_and_are_no_longer_than_allowed_unless_a_frame_is(int longest)
    {
        var log = new BroadcastLog(_frames);
        (_, List<long> ends) = Fill(log, 60, longest);
        foreach (long start in ends)
        {
            for (long from = start; from < log.End;)
            {
                long to = log.StepFrom(from, Step);
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
        var log = new BroadcastLog(_frames);
        (_, List<long> ends) = Fill(log, 30, 9_000);
        long near = ends.First(end => log.End - end <= Step);
        Assert.That(log.StepFrom(near, Step), Is.EqualTo(log.End), "though it crosses the end of a segment");
        Empty(log);
    }

    [Test]
    public void A_trimmed_log_holds_no_more_than_what_is_needed()
    {
        var log = new BroadcastLog(_frames);
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

    /// <summary>Fills the log with frames of all lengths up to <paramref name="longest"/>; what it holds, and where frames end, 0 included.</summary>
    private (string All, List<long> Ends) Fill(BroadcastLog log, int frames, int longest)
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

    private void Append(BroadcastLog log, string text)
    {
        SharedFrame frame = _frames.Rent(text.Length);
        frame.Append(Encoding.Latin1.GetBytes(text));
        log.Append(frame, 0..frame.Length);
        frame.Release();
    }

    private static string Read(BroadcastLog log, long from, long to, string more = "")
    {
        SharedFrame frame = log.Read(from, to, Encoding.Latin1.GetBytes(more), out Range bytes);
        string text = Encoding.Latin1.GetString(frame.Span[bytes]);
        frame.Release();
        return text;
    }

    private void Empty(BroadcastLog log, int held = 0)
    {
        log.Trim(log.End);
        Assert.That(_frames.Outstanding, Is.EqualTo(held));
    }
}
