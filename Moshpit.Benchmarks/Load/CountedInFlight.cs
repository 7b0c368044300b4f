namespace Moshpit.Benchmarks.Load;

/// <summary>
/// Counts bytes instead of looking at them: all events are equally long, so bytes are deliveries. That costs the receiving side next to
/// nothing for each delivery, where reading them would cost more than a server that joins them. What it can't see, order and
/// intactness, a checked run before and one after it must show.
/// </summary>
internal sealed class CountedInFlight : InFlight
{
    /// <summary>The audience of each message by number, modulo the length, until it is answered.</summary>
    private readonly Audience?[] _ring;

    private readonly uint _mask;
    private readonly int _eventLength;

    /// <param name="window">How many messages may be in flight.</param>
    /// <param name="firstNumber">Continues the numbers of earlier runs.</param>
    /// <param name="eventLength">Bytes of every event.</param>
    public CountedInFlight(int window, uint firstNumber, int eventLength)
        : base(firstNumber)
    {
        _ring = new Audience?[RingLength(window)];
        _mask = (uint)_ring.Length - 1;
        _eventLength = eventLength;
    }

    public override bool HasPlace => _ring[NextNumber & _mask] is null;

    /// <summary>A peer that is not to be spoken to in this run is looked at, and was spoken to.</summary>
    public override void OnDelivery(StreamPeer peer, uint number, long now) => Misplaced++;

    public override void OnBytes(StreamPeer peer, long bytes)
    {
        Audience audience = peer.CountedWith!;
        peer.Bytes += bytes;

        // What is more than was published is found at the end; here it must not pass for messages to come.
        long position = Math.Min(peer.Bytes / _eventLength, audience.Published);
        if (position == peer.Position)
            return;
        Delivered += position - peer.Position;
        long completed = audience.Completed;
        audience.Move(peer.Position, position);
        Completed += audience.Completed - completed;
        peer.Position = position;
    }

    /// <summary>Each peer must stand at the end of the last event that it was to get. One that is not there yet counts as lost.</summary>
    public override void Finish(IEnumerable<StreamPeer> peers)
    {
        foreach (StreamPeer peer in peers)
        {
            if (peer.CountedWith is { } audience && (peer.Bytes > audience.Published * _eventLength || peer.Bytes % _eventLength != 0))
                Misplaced++;
        }
    }

    protected override void Settle(uint number)
    {
        ref Audience? audience = ref _ring[number & _mask];
        long completed = audience!.Completed;
        audience.Answered++;
        Completed += audience.Completed - completed;
        audience = null;
    }

    protected override void Enter(uint number, Audience audience, int lane, long timestamp)
    {
        audience.Published++;
        _ring[number & _mask] = audience;
    }
}
