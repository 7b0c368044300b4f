namespace Moshpit.Benchmarks.Load;

/// <summary>Peers that get the same messages in one run: all of a channel, or one that is spoken to alone.</summary>
internal sealed class Audience
{
    private const int FirstStandingLength = 128;

    /// <summary>How many peers have got how many messages, modulo the length; not used where there is one peer at most.</summary>
    private int[] _standing = [];

    private long _slowest;

    /// <param name="size">How many peers.</param>
    /// <param name="lanes">How many publishers speak to them.</param>
    public Audience(int size, int lanes)
    {
        Size = size;
        Sent = new int[lanes];
        if (size == 0)
            _slowest = long.MaxValue;
    }

    /// <summary>How many peers.</summary>
    public int Size { get; }

    /// <summary>Messages sent to them by each of the channel's publishers, where each delivery is checked.</summary>
    public int[] Sent { get; }

    /// <summary>Messages sent to them, where bytes are counted.</summary>
    public long Published { get; set; }

    /// <summary>Of these, how many were answered.</summary>
    public long Answered { get; set; }

    /// <summary>
    /// Messages that were answered and that even the slowest peer has. Where several publishers speak, the answered ones may be others
    /// than those that all have, and this runs ahead by as many; in the end it is exact.
    /// </summary>
    public long Completed => Math.Min(_slowest, Answered);

    /// <summary>A peer that had got <paramref name="from"/> messages has got <paramref name="to"/>.</summary>
    public void Move(long from, long to)
    {
        if (Size == 1)
        {
            _slowest = to;
            return;
        }

        if (to - _slowest >= _standing.Length)
            Grow(to);
        int mask = _standing.Length - 1;
        _standing[from & mask]--;
        _standing[to & mask]++;

        // The slowest passes each message once, so that this costs a step a message, not one a delivery.
        while (_standing[_slowest & mask] == 0)
            _slowest++;
    }

    /// <summary>Makes room for a peer that has got <paramref name="fastest"/>: a place for each number from the slowest's to it.</summary>
    private void Grow(long fastest)
    {
        int[] old = _standing;
        int length = Math.Max(FirstStandingLength, old.Length * 2);
        while (length <= fastest - _slowest)
            length *= 2;
        _standing = new int[length];
        for (long position = _slowest; position < _slowest + old.Length; position++)
            _standing[position & (length - 1)] = old[position & (old.Length - 1)];
        if (old.Length == 0)
            _standing[0] = Size;
    }
}
