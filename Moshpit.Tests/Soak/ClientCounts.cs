namespace Moshpit.Tests.Soak;

/// <summary>What happened in all rooms of clients.</summary>
internal sealed class ClientCounts
{
    private int _rooms, _heard, _repeated, _lost;

    public int Rooms => _rooms;

    /// <summary>Messages that were heard, once for each participant.</summary>
    public int Heard => _heard;

    /// <summary>Messages that had to be sent again.</summary>
    public int Repeated => _repeated;

    /// <summary>Streams that were lost.</summary>
    public int Lost => _lost;

    /// <summary>A room is over.</summary>
    public void Add(int heard, int repeated)
    {
        Interlocked.Increment(ref _rooms);
        Interlocked.Add(ref _heard, heard);
        Interlocked.Add(ref _repeated, repeated);
    }

    public void CountLoss() => Interlocked.Increment(ref _lost);

    public override string ToString() => $"{_rooms} rooms, {_heard} messages heard, {_repeated} sent again, {_lost} streams lost";
}
