using System.Diagnostics;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// Fuzzes one target: changes an input of the corpus, runs the target on it, and keeps it for further changes if it took a new branch,
/// or an old one another number of times (in powers of two), or shows something that none did before.
/// </summary>
internal sealed class FuzzRun(FuzzTarget target, int seed)
{
    /// <summary>Bytes that any input may make its target allocate: an exception, the buffers of a reader, arrays new to the pool.</summary>
    public const int FreeBytes = 64 * 1024;

    private static readonly TimeSpan TooLong = TimeSpan.FromSeconds(1);

    private readonly Random _random = new(seed);
    private readonly Func<byte[], string> _check = Coverage.Instance.CheckOf(target);
    private readonly Action<byte[]> _probe = Coverage.Instance.ProbeOf(target);
    private readonly byte[] _branches = Coverage.NothingSeen();
    private readonly HashSet<string> _observations = [];
    private readonly List<byte[]> _corpus = [];
    private readonly RentedArrays _arrays = new();
    private double _slowest;
    private byte[] _slowestInput = [];

    /// <summary>Receives each input that is kept and is not of <paramref name="corpus"/>; null at the end of the time.</summary>
    /// <returns>One line about the run.</returns>
    public string Run(IEnumerable<byte[]> corpus, TimeSpan time, Action<byte[]>? found)
    {
        foreach (byte[] input in corpus)
            Try(input);
        int known = _corpus.Count;
        var mutator = new Mutator(_random, target.Dictionary, target.MaxLength);
        long executions = 0;
        var clock = Stopwatch.StartNew();
        for (; clock.Elapsed < time; executions++)
        {
            byte[] input = mutator.Mutate(Pick(), Pick());
            if (Try(input))
                found?.Invoke(input);
        }

        _arrays.Dispose();
        if (executions == 0 || _corpus.Count == 0 || !_branches.Any(bits => bits != 0))
            throw new FuzzException($"{target.Name}: {executions} executions took no branch; nothing was fuzzed.");
        return $"{target.Name}: seed {seed}, {executions / clock.Elapsed.TotalSeconds:N0} executions/s, " +
            $"corpus {known} + {_corpus.Count - known}, " +
            $"{_observations.Count} observations, {_branches.Count(bits => bits != 0)} branches, " +
            $"slowest {_slowest:N0} ns/byte at {_slowestInput.Length} bytes";
    }

    /// <summary>Late finds are changed more often: what they lead to is less known.</summary>
    private byte[] Pick() => _corpus.Count == 0 ? [] : _corpus[^(1 + (int)(_corpus.Count * _random.NextDouble() * _random.NextDouble()))];

    private bool Try(byte[] input)
    {
        Coverage.Instance.Clear();
        string observed;
        try
        {
            observed = _check(input);
            bool isNew = Coverage.Instance.AddTo(_branches);
            foreach (string observation in observed.Split('\n'))
                isNew |= _observations.Add(observation);
            Measure(input);
            if (!isNew)
                return false;
            RequireArraysReturned(input);
        }
        catch (Exception e)
        {
            byte[] smaller = Minimize(input, e.GetType());
            throw new FuzzException($"{FuzzCorpus.SaveFailure(target, smaller)}\nseed {seed}, target {target.Name}: {e}");
        }

        _corpus.Add(input);
        return true;
    }

    private void RequireArraysReturned(byte[] input) => _arrays.RequireReturned(() =>
    {
        if (target.CountsArraysInCheck)
            _check(input);
        else
            _probe(input);
    });

    private void Measure(byte[] input)
    {
        long bound = FreeBytes + (long)target.AllocationFactor * input.Length;
        long allocated = 0;
        double nanoseconds = double.MaxValue;
        int runs = 1;
        for (int run = 0; run < runs; run++)
        {
            allocated = GC.GetAllocatedBytesForCurrentThread();
            long start = Stopwatch.GetTimestamp();
            _probe(input);
            nanoseconds = Math.Min(nanoseconds, Stopwatch.GetElapsedTime(start).TotalNanoseconds);
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;

            // Once may be bad luck: an empty pool, or another process on this core.
            if (allocated > bound || nanoseconds / (input.Length + 256) > _slowest)
                runs = 3;
        }

        if (allocated > bound)
            throw new FuzzException($"{allocated} bytes were allocated for an input of {input.Length} bytes, at most {bound} may be.");
        if (nanoseconds > TooLong.TotalNanoseconds)
            throw new FuzzException($"An input of {input.Length} bytes took {nanoseconds / 1e6:N0} ms, three times.");
        if (nanoseconds / (input.Length + 256) > _slowest)
            (_slowest, _slowestInput) = (nanoseconds / (input.Length + 256), input);
    }

    /// <summary>Leaves out what is not needed for the failure, for a second at most.</summary>
    private byte[] Minimize(byte[] input, Type failure)
    {
        var clock = Stopwatch.StartNew();
        for (int length = Math.Max(1, input.Length / 2); length > 0; length /= 2)
        {
            for (int at = 0; at + length <= input.Length && clock.Elapsed < TooLong;)
            {
                byte[] smaller = [.. input[..at], .. input[(at + length)..]];
                if (Fails(smaller, failure))
                    input = smaller;
                else
                    at += length;
            }
        }

        return input;
    }

    private bool Fails(byte[] input, Type failure)
    {
        try
        {
            _check(input);
            RequireArraysReturned(input);
            Measure(input);
            return false;
        }
        catch (Exception e)
        {
            return e.GetType() == failure;
        }
    }
}
