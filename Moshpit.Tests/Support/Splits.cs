using System.Buffers;
using Moshpit.Server.Http;

namespace Moshpit.Tests.Support;

/// <summary>
/// Feeds one input to a parser in every way it may come in: whole, in two at every byte, one byte at a time; the pieces arriving one
/// after another, or all at once as segments of one sequence. The parser must not be able to tell.
/// </summary>
internal static class Splits
{
    /// <summary>A longer input is cut at some bytes only, and into small pieces instead of bytes: time is quadratic.</summary>
    private const int Exhaustive = 600;

    /// <summary>One call of the parser under test.</summary>
    public delegate ParseOutcome Step(ref SequenceReader<byte> reader);

    /// <summary>Asserts that all ways give the same, and returns it.</summary>
    /// <param name="input">The bytes.</param>
    /// <param name="start">Makes a parser as new, and a function that tells what it made of the input (given outcome and bytes left
    /// over).</param>
    public static T SameForAll<T>(byte[] input, Func<(Step Step, Func<ParseOutcome, byte[], T> Result)> start)
    {
        T whole = Run([input], together: true, start);
        foreach (byte[][] pieces in Cuts(input))
        {
            foreach (bool together in new[] { false, true })
            {
                T cut = Run(pieces, together, start);
                if (Equals(cut, whole))
                    continue;

                // Thrown, so that one difference is enough within Assert.Multiple as well.
                string sizes = string.Join('+', pieces.Take(3).Select(piece => piece.Length));
                throw new AssertionException($"Cut into {sizes} {(together ? "segments" : "arrivals")}: {cut}; whole: {whole}");
            }
        }

        return whole;
    }

    private static IEnumerable<byte[][]> Cuts(byte[] input)
    {
        int stride = input.Length <= Exhaustive ? 1 : input.Length / 50;
        for (int cut = 1; cut < input.Length; cut += stride)
            yield return [input[..cut], input[cut..]];
        yield return [.. input.Chunk(stride)];
    }

    private static T Run<T>(byte[][] pieces, bool together, Func<(Step Step, Func<ParseOutcome, byte[], T> Result)> start)
    {
        (Step step, Func<ParseOutcome, byte[], T> result) = start();
        ReadOnlySequence<byte> buffer = default;
        ParseOutcome outcome = ParseOutcome.NeedMore;
        int arrived = 0;
        do
        {
            int arriving = together ? pieces.Length : 1;
            buffer = Join([.. Segments(buffer), .. pieces.Skip(arrived).Take(arriving).Select(piece => (ReadOnlyMemory<byte>)piece)]);
            arrived += arriving;
            SequenceReader<byte> reader = new(buffer);
            outcome = step(ref reader);
            buffer = buffer.Slice(reader.Position);
        }
        while (outcome == ParseOutcome.NeedMore && arrived < pieces.Length);

        // What was refused is of no more use, and the reader may stand anywhere.
        byte[] rest = outcome == ParseOutcome.Rejected ? [] : [.. buffer.ToArray(), .. pieces.Skip(arrived).SelectMany(piece => piece)];
        return result(outcome, rest);
    }

    private static IEnumerable<ReadOnlyMemory<byte>> Segments(ReadOnlySequence<byte> buffer)
    {
        foreach (ReadOnlyMemory<byte> segment in buffer)
            yield return segment;
    }

    private static ReadOnlySequence<byte> Join(ReadOnlyMemory<byte>[] memories)
    {
        Segment first = new(memories[0], 0);
        Segment last = first;
        foreach (ReadOnlyMemory<byte> memory in memories.AsSpan(1))
            last = last.Append(memory);
        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, long index)
        {
            Memory = memory;
            RunningIndex = index;
        }

        public Segment Append(ReadOnlyMemory<byte> memory)
        {
            Segment next = new(memory, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }
}
