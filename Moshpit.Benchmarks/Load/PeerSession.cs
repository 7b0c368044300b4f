using System.Buffers.Text;
using System.Security.Cryptography;

namespace Moshpit.Benchmarks.Load;

/// <summary>The session of a peer: what outlives its streams.</summary>
internal sealed class PeerSession
{
    private const int SecretBytes = 18;

    /// <summary>What the server knows the peer by.</summary>
    public string Secret { get; } = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(SecretBytes));

    /// <summary>Streams that have begun.</summary>
    public int Streams { get; private set; }

    /// <summary>The sequence number of the join.</summary>
    public long Joined { get; private set; }

    /// <summary>
    /// The sequence number of the last event that was looked at. Events that are only counted by their bytes do not move it.
    /// </summary>
    public long Last { get; private set; }

    /// <summary>Events that were looked at since the join.</summary>
    public int Events { get; private set; }

    /// <summary>The stream that the peer asked for has begun with the event <paramref name="sequence"/>.</summary>
    /// <exception cref="BenchmarkException">It does not go on where the last one stopped.</exception>
    public void Begin(long sequence)
    {
        if (Streams++ == 0)
            Joined = Last = sequence;
        else if (sequence != Last)
            throw new BenchmarkException($"A session that had event {Last} last was resumed at {sequence}.");
    }

    /// <summary>An event came.</summary>
    /// <exception cref="BenchmarkException">It is not newer than the one before.</exception>
    public void Advance(long sequence)
    {
        if (sequence <= Last)
            throw new BenchmarkException($"Ids do not increase: {sequence} came after {Last}.");
        Last = sequence;
        Events++;
    }

    /// <summary>Forgets everything since the join, so that the next stream replays it.</summary>
    public void Rewind()
    {
        Last = Joined;
        Events = 0;
    }
}
