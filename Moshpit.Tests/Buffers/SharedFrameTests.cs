using System.Text;
using Moshpit.Server.Buffers;

namespace Moshpit.Tests.Buffers;

internal sealed class SharedFrameTests
{
    [Test]
    public void A_frame_is_back_when_its_last_holder_releases_it()
    {
        var pool = new FramePool();
        SharedFrame frame = pool.Rent(10);
        frame.AddReference();
        frame.Append("abc"u8);
        frame.Release();
        Assert.That(pool.Outstanding, Is.EqualTo(1));
        Assert.That(Encoding.Latin1.GetString(frame.Span), Is.EqualTo("abc"));
        frame.Release();
        Assert.That(pool.Outstanding, Is.Zero);
    }

    [Test]
    public void Releasing_too_often_throws_and_returns_nothing_twice()
    {
        var pool = new FramePool();
        SharedFrame frame = pool.Rent(10);
        frame.Release();
        Assert.That(frame.Release, Throws.InvalidOperationException);
        Assert.That(pool.Outstanding, Is.Zero);
        SharedFrame next = pool.Rent(10);
        Assert.That(pool.Rent(10), Is.Not.SameAs(next));
    }

    [Test]
    public void A_frame_that_is_rented_again_is_empty()
    {
        var pool = new FramePool();
        SharedFrame frame = pool.Rent(10);
        frame.Append("abc"u8);
        frame.Release();
        SharedFrame again = pool.Rent(10);
        Assert.That(again, Is.SameAs(frame), "it is kept, or this test says nothing");
        Assert.That(again.Length, Is.Zero);
        again.Release();
    }

    [Test]
    public void A_frame_grows_however_it_is_written_to()
    {
        var pool = new FramePool();
        SharedFrame frame = pool.Rent(1);
        var expected = new StringBuilder();
        for (int n = 0; n < 3000; n++)
        {
            string text = $"{n},";
            expected.Append(text);
            byte[] bytes = Encoding.Latin1.GetBytes(text);
            switch (n % 3)
            {
                case 0:
                    frame.Append(bytes);
                    break;
                case 1:
                    bytes.CopyTo(frame.GetSpan(bytes.Length));
                    frame.Advance(bytes.Length);
                    break;
                default:
                    bytes.CopyTo(frame.GetMemory(bytes.Length));
                    frame.Advance(bytes.Length);
                    break;
            }
        }

        Assert.That(Encoding.Latin1.GetString(frame.Span), Is.EqualTo(expected.ToString()));
        Assert.That(frame.Memory.Span.SequenceEqual(frame.Span), Is.True);
        Assert.That(frame.GetSpan().Length, Is.Positive);
        frame.Release();
    }

    [TestCase(-1)]
    [TestCase(100_000)]
    public void Advancing_past_what_was_offered_throws(int count)
    {
        var pool = new FramePool();
        SharedFrame frame = pool.Rent(10);
        Assert.That(() => frame.Advance(count), Throws.InstanceOf<ArgumentOutOfRangeException>());
        frame.Release();
    }

    [Test]
    public async Task Many_holders_may_release_at_once()
    {
        var pool = new FramePool();
        for (int round = 0; round < 200; round++)
        {
            SharedFrame frame = pool.Rent(10);
            for (int i = 0; i < 7; i++)
                frame.AddReference();
            await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(frame.Release)));
            Assert.That(pool.Outstanding, Is.Zero);
        }
    }
}
