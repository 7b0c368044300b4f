using System.Text;
using Moshpit.Benchmarks;
using Moshpit.Benchmarks.Load;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The chunks that <c>load</c> reads.</summary>
public sealed class ChunkTests
{
    [TestCase("5\r\nhello\r\n", "hello")]
    [TestCase("1A\r\nabcdefghijklmnopqrstuvwxyz\r\n", "abcdefghijklmnopqrstuvwxyz")]
    [TestCase("2\r\n\r\n\r\n", "\r\n")]
    [TestCase("0\r\n\r\n", "")]
    public void A_chunk_is_read_when_it_is_there_whole_and_not_before(string chunk, string data)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(chunk + "next");
        for (int length = 0; length <= bytes.Length; length++)
        {
            bool isThere = Chunk.TryRead(bytes.AsSpan(0, length), out ReadOnlySpan<byte> read, out int whole);
            Assert.That(isThere, Is.EqualTo(length >= chunk.Length), $"{length} bytes");
            if (isThere)
                Assert.That((Encoding.ASCII.GetString(read), whole), Is.EqualTo((data, chunk.Length)));
        }
    }

    [TestCase("\r\nhello\r\n")]
    [TestCase("x\r\nhello\r\n")]
    [TestCase("5 \r\nhello\r\n")]
    [TestCase("-5\r\nhello\r\n")]
    [TestCase("FFFFFFFF\r\nhello\r\n")]
    [TestCase("4\r\nhello\r\n")]
    public void What_is_no_chunk_is_refused(string bytes)
    {
        Assert.That(
            () => Chunk.TryRead(Encoding.ASCII.GetBytes(bytes), out ReadOnlySpan<byte> _, out int _), Throws.TypeOf<BenchmarkException>());
    }
}
