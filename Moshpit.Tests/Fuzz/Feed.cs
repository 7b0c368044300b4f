using System.Buffers;
using Moshpit.Server.Http;

namespace Moshpit.Tests.Fuzz;

/// <summary>Some bytes on their way to a parser: in pieces, one after the other, or all at once as the segments of one sequence.</summary>
internal sealed class Feed(byte[][] pieces, bool together)
{
    private ReadOnlySequence<byte> _buffer = ReadOnlySequence<byte>.Empty;
    private int _arrived;

    /// <summary>One call of the parser under test.</summary>
    public delegate ParseOutcome Step(ref SequenceReader<byte> reader);

    /// <summary>Bytes that no step has consumed.</summary>
    public long Left => _buffer.Length + pieces.Skip(_arrived).Sum(piece => piece.Length);

    /// <summary>Cuts an input at some places, which depend on nothing but the input.</summary>
    public static byte[][] Cut(byte[] input)
    {
        var random = new Random((int)Fnv.Hash(input));
        if (input.Length <= 1 || (input.Length <= 64 && random.Next(4) == 0))
            return [.. input.Chunk(1)];
        int[] cuts = [.. Enumerable.Range(0, random.Next(1, 8)).Select(_ => random.Next(1, input.Length)).Distinct().Order(), input.Length];
        int start = 0;
        return [.. cuts.Select(end => input[start..(start = end)])];
    }

    /// <summary>Calls the parser, with more and more, until it is done, or has refused, or nothing more comes.</summary>
    public ParseOutcome Drive(Step step)
    {
        while (true)
        {
            var reader = new SequenceReader<byte>(_buffer);
            ParseOutcome outcome = step(ref reader);
            _buffer = _buffer.Slice(reader.Position);
            if (outcome != ParseOutcome.NeedMore || _arrived == pieces.Length)
                return outcome;
            int arriving = together ? pieces.Length : 1;
            Segment? first = null;
            Segment? last = null;
            foreach (ReadOnlyMemory<byte> kept in _buffer)
                Segment.Append(ref first, ref last, kept);
            for (; arriving > 0; arriving--)
                Segment.Append(ref first, ref last, pieces[_arrived++]);
            _buffer = new ReadOnlySequence<byte>(first!, 0, last!, last!.Memory.Length);
        }
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public static void Append(ref Segment? first, ref Segment? last, ReadOnlyMemory<byte> memory)
        {
            var added = new Segment { Memory = memory, RunningIndex = last is null ? 0 : last.RunningIndex + last.Memory.Length };
            first ??= added;
            if (last is not null)
                last.Next = added;
            last = added;
        }
    }
}
