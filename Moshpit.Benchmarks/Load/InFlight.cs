using System.Diagnostics;
using System.Numerics;
using HdrHistogram;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// The messages of one run that are not everywhere yet, and the check that every delivery is the next one that its peer must get.
/// A message is complete when its POST was answered and each peer has it.
/// </summary>
internal sealed class InFlight
{
    /// <summary>Messages by number, modulo the length. A message that is overtaken by that many others holds up the run.</summary>
    private readonly Message[] _ring;

    private readonly uint _mask;

    /// <param name="window">How many messages may be in flight.</param>
    /// <param name="firstNumber">Continues the numbers of earlier runs, so that what was left over from them is noticed.</param>
    public InFlight(int window, uint firstNumber)
    {
        int length = Math.Max(1024, (int)BitOperations.RoundUpToPowerOf2((uint)window * 4));
        _ring = new Message[length];
        _mask = (uint)length - 1;
        NextNumber = firstNumber;
    }

    public uint NextNumber { get; private set; }

    public long Published { get; private set; }

    public long Completed { get; private set; }

    /// <summary>Deliveries that the published messages must lead to.</summary>
    public long Expected { get; private set; }

    /// <summary>Deliveries of messages that are in flight.</summary>
    public long Delivered { get; private set; }

    /// <summary>What arrived and was not the next message for its peer: early, late, twice, or of another run.</summary>
    public long Misplaced { get; private set; }

    /// <summary>From when a message was, or should have been, published to each of its deliveries, in nanoseconds; null: not recorded.</summary>
    public LongHistogram? Latency { get; init; }

    /// <summary>There is a place for one more message.</summary>
    public bool HasPlace => _ring[NextNumber & _mask].IsComplete;

    /// <summary>Takes note of a message that is about to be sent; its number.</summary>
    /// <param name="deliveries">How many peers must get it.</param>
    /// <param name="lane">Which of the channel's publishers sends it.</param>
    /// <param name="sequence">How many it sent to the same peers before.</param>
    /// <param name="timestamp">When it is, or was due to be, published.</param>
    public uint Begin(int deliveries, int lane, int sequence, long timestamp)
    {
        uint number = NextNumber++;
        _ring[number & _mask] = new Message
        {
            Number = number, Missing = deliveries, Unanswered = true, Lane = lane, Sequence = sequence, Timestamp = timestamp,
        };
        Published++;
        Expected += deliveries;
        return number;
    }

    public void OnDelivery(StreamPeer peer, uint number, long now)
    {
        ref Message message = ref _ring[number & _mask];
        if (message.Number != number || message.Missing == 0)
        {
            Misplaced++;
            return;
        }

        Delivered++;
        if (peer.Next[message.Lane] != message.Sequence)
            Misplaced++;
        peer.Next[message.Lane] = message.Sequence + 1;
        long nanoseconds = (now - message.Timestamp) * (1_000_000_000 / Stopwatch.Frequency);
        Latency?.RecordValue(Math.Clamp(nanoseconds, 1, Latency.HighestTrackableValue));
        if (--message.Missing == 0 && !message.Unanswered)
            Completed++;
    }

    public void OnAnswer(uint number)
    {
        ref Message message = ref _ring[number & _mask];
        message.Unanswered = false;
        if (message.Missing == 0)
            Completed++;
    }

    private struct Message
    {
        public uint Number;
        public int Missing;
        public int Lane;
        public int Sequence;
        public long Timestamp;
        public bool Unanswered;

        public readonly bool IsComplete => Missing == 0 && !Unanswered;
    }
}
