using System.Numerics;
using HdrHistogram;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// The messages of one run that are not everywhere yet. A message is complete when its POST was answered and each peer has it. A peer
/// gets its deliveries either one by one, each checked, or as bytes, which are only counted.
/// </summary>
internal abstract class InFlight
{
    private const int MinRingLength = 1024;

    /// <param name="firstNumber">Continues the numbers of earlier runs, so that what was left over from them is noticed.</param>
    protected InFlight(uint firstNumber) => NextNumber = firstNumber;

    public uint NextNumber { get; private set; }

    public long Published { get; private set; }

    /// <summary>Messages whose POST was answered.</summary>
    public long Answered { get; private set; }

    public long Completed { get; protected set; }

    /// <summary>Deliveries that the published messages must lead to.</summary>
    public long Expected { get; private set; }

    /// <summary>Deliveries of messages that are in flight.</summary>
    public long Delivered { get; protected set; }

    /// <summary>What arrived and was not the next message for its peer: early, late, twice, or of another run.</summary>
    public long Misplaced { get; protected set; }

    /// <summary>
    /// From when a message was, or should have been, published to each of its deliveries, in nanoseconds; null: not recorded.
    /// </summary>
    public LongHistogram? Latency { get; init; }

    /// <summary>There is a place for one more message.</summary>
    public abstract bool HasPlace { get; }

    /// <summary>Takes note of a message that is about to be sent; its number.</summary>
    /// <param name="audience">The peers that must get it.</param>
    /// <param name="lane">Which of the channel's publishers sends it.</param>
    /// <param name="timestamp">When it is, or was due to be, published.</param>
    public uint Begin(Audience audience, int lane, long timestamp)
    {
        uint number = NextNumber++;
        Published++;
        Expected += audience.Size;
        Enter(number, audience, lane, timestamp);
        return number;
    }

    /// <summary><paramref name="peer"/> got message <paramref name="number"/>.</summary>
    public abstract void OnDelivery(StreamPeer peer, uint number, long now);

    /// <summary><paramref name="peer"/>, whose deliveries are counted, got that many bytes.</summary>
    public abstract void OnBytes(StreamPeer peer, long bytes);

    /// <summary>The POST of message <paramref name="number"/> was answered.</summary>
    public void OnAnswer(uint number)
    {
        Answered++;
        Settle(number);
    }

    /// <summary>Nothing more is waited for: a peer that stands elsewhere than it must is a fault.</summary>
    public abstract void Finish(IEnumerable<StreamPeer> peers);

    /// <summary>How many messages a ring of them holds, more than are in flight: one may be overtaken by many others.</summary>
    protected static int RingLength(int window) =>
        Math.Max(MinRingLength, (int)BitOperations.RoundUpToPowerOf2((uint)window * 4));

    /// <summary>Message <paramref name="number"/> was answered, and waits for nothing but deliveries.</summary>
    protected abstract void Settle(uint number);

    protected abstract void Enter(uint number, Audience audience, int lane, long timestamp);
}
