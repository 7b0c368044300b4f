using System.Text;
using Moshpit.Server.Buffers;
using Moshpit.Server.Transport;

namespace Moshpit.Tests.Transport;

internal sealed class SendQueueTests
{
    private readonly FramePool _frames = new();

    [Test]
    public void What_was_added_comes_out_in_order_whatever_is_shared_and_whatever_copied()
    {
        var random = new Random(1);
        var queue = new SendQueue(_frames, new ReadProgress(() => 0, TimeProvider.System));
        var added = new StringBuilder();
        var taken = new StringBuilder();
        for (int n = 0; n < 3000; n++)
        {
            if (random.Next(3) > 0)
            {
                SharedFrame frame = Frame(random.Next(4) == 0 ? 100 : 9000, n);
                int start = random.Next(frame.Length);
                Range bytes = start..random.Next(start + 1, frame.Length + 1);
                queue.Add(frame, bytes);
                added.Append(Encoding.Latin1.GetString(frame.Span[bytes]));
                frame.Release();
            }
            else if (!queue.IsEmpty)
            {
                taken.Append(Encoding.Latin1.GetString(queue.Head.Span));
                queue.RemoveHead();
            }

            Assert.That(queue.Length, Is.EqualTo(added.Length - taken.Length));
        }

        while (!queue.IsEmpty)
        {
            taken.Append(Encoding.Latin1.GetString(queue.Head.Span));
            queue.RemoveHead();
        }

        Assert.That(taken.ToString() == added.ToString());
        Assert.That((queue.Length, _frames.Outstanding), Is.EqualTo((0, 0)));
    }

    [Test]
    public void Exempt_bytes_do_not_count_until_they_are_gone_and_others_always_do()
    {
        var queue = new SendQueue(_frames, new ReadProgress(() => 0, TimeProvider.System));
        Add(queue, 64 * 1024, 0..40_000, isExempt: true);
        Add(queue, 64 * 1024, 0..50, isExempt: true);
        Add(queue, 64 * 1024, 0..7);
        Assert.That((queue.Length, queue.Exempt), Is.EqualTo((40_057L, 40_050L)));
        queue.RemoveHead();
        Assert.That((queue.Length, queue.Exempt), Is.EqualTo((57L, 50L)));
        Assert.That(queue.Head.Length, Is.EqualTo(57), "they were copied together");
        queue.RemoveHead();
        Assert.That((queue.Length, queue.Exempt), Is.EqualTo((0L, 0L)));
        Add(queue, 64 * 1024, 0..9);
        Assert.That((queue.Length, queue.Exempt), Is.EqualTo((9L, 0L)));
        queue.Clear();
    }

    [Test]
    public void The_head_stays_as_it_is_while_more_is_added()
    {
        var queue = new SendQueue(_frames, new ReadProgress(() => 0, TimeProvider.System));
        Add(queue, 64 * 1024, 0..5);
        ReadOnlyMemory<byte> head = queue.Head;
        Add(queue, 64 * 1024, 0..7);
        Assert.That((head.Length, queue.Head.Length, queue.Length), Is.EqualTo((5, 5, 12)));
        queue.RemoveHead();
        Assert.That((queue.Head.Length, queue.Length), Is.EqualTo((7, 7)));
        queue.Clear();
        Assert.That((queue.IsEmpty, queue.Length, _frames.Outstanding), Is.EqualTo((true, 0, 0)));
    }

    [TestCase(23, 64 * 1024)]
    [TestCase(32 * 1024 - 1, 64 * 1024)]
    [TestCase(32 * 1024, 64 * 1024)]
    [TestCase(23, 16 * 1024)]
    [TestCase(4096, 4096)]
    [TestCase(4095, 4096)]
    [TestCase(4097, 4097)]
    [TestCase(23, 23)]
    [TestCase(1, 16)]
    [TestCase(1, 16, 4096, 8192)]
    [TestCase(32 * 1024, 64 * 1024, 1, 64 * 1024)]
    [TestCase(23, 32, 46, 64)]
    public void It_keeps_no_more_than_about_three_times_its_length_alive(params int[] lengthsAndCapacities)
    {
        const int Enough = 256 * 1024;
        var queue = new SendQueue(_frames, new ReadProgress(() => 0, TimeProvider.System));
        long shared = 0;
        int sharedFrames = 0;
        for (int n = 0; queue.Length < Enough; n += 2)
        {
            int length = lengthsAndCapacities[n % lengthsAndCapacities.Length];
            SharedFrame frame = _frames.Rent(lengthsAndCapacities[(n + 1) % lengthsAndCapacities.Length]);
            frame.Append(new byte[length]);
            int capacity = frame.Capacity;
            queue.Add(frame, 0..length);
            int outstanding = _frames.Outstanding;
            frame.Release();
            if (_frames.Outstanding < outstanding)
                continue;
            shared += capacity;
            sharedFrames++;
        }

        long alive = shared + (_frames.Outstanding - sharedFrames) * 4096L;
        Assert.That(alive, Is.LessThanOrEqualTo(3 * queue.Length + 8192));
        queue.Clear();
        Assert.That(_frames.Outstanding, Is.Zero);
    }

    private void Add(SendQueue queue, int capacity, Range bytes, bool isExempt = false)
    {
        SharedFrame frame = _frames.Rent(capacity);
        frame.Append(new byte[bytes.End.Value]);
        queue.Add(frame, bytes, isExempt);
        frame.Release();
    }

    private SharedFrame Frame(int length, int seed)
    {
        SharedFrame frame = _frames.Rent(length);
        for (int i = 0; i < length; i++)
            frame.Append([(byte)('a' + (seed + i) % 26)]);
        return frame;
    }
}
