using System.Diagnostics;

namespace Moshpit.Benchmarks.Load;

/// <summary>Checks that every delivery is the next one that its peer must get, message by message.</summary>
internal sealed class CheckedInFlight : InFlight
{
    /// <summary>Messages by number, modulo the length. A message that is overtaken by that many others holds up the run.</summary>
    private readonly Message[] _ring;

    private readonly uint _mask;

    /// <param name="window">How many messages may be in flight.</param>
    /// <param name="firstNumber">Continues the numbers of earlier runs.</param>
    public CheckedInFlight(int window, uint firstNumber)
        : base(firstNumber)
    {
        _ring = new Message[RingLength(window)];
        _mask = (uint)_ring.Length - 1;
    }

    public override bool HasPlace => _ring[NextNumber & _mask].IsComplete;

    public override void OnDelivery(StreamPeer peer, uint number, long now)
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

    public override void OnBytes(StreamPeer peer, long bytes) => throw new InvalidOperationException("Here every delivery is looked at.");

    /// <summary>Nothing to do: every delivery was looked at when it came.</summary>
    public override void Finish(IEnumerable<StreamPeer> peers)
    {
    }

    protected override void Settle(uint number)
    {
        ref Message message = ref _ring[number & _mask];
        message.Unanswered = false;
        if (message.Missing == 0)
            Completed++;
    }

    protected override void Enter(uint number, Audience audience, int lane, long timestamp) => _ring[number & _mask] = new Message
    {
        Number = number,
        Missing = audience.Size,
        Unanswered = true,
        Lane = lane,
        Sequence = audience.Sent[lane]++,
        Timestamp = timestamp,
    };

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
