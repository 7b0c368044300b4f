namespace Moshpit.Server.Channels;

/// <summary>
/// Which of a peer's own numbers of messages were accepted: the highest, and those of the 63 below it. A number that was not accepted may
/// still come, even after a higher one.
/// </summary>
internal struct SequenceWindow
{
    private const int Width = 64;

    /// <summary>Bit n: the number <see cref="Highest"/> − n was accepted.</summary>
    private ulong _accepted;

    /// <summary>The highest number accepted so far; 0: none.</summary>
    public long Highest { get; private set; }

    /// <summary>What is to be done with a message that bears <paramref name="number"/>, which is at least 1.</summary>
    public readonly SequenceVerdict Judge(long number)
    {
        long below = Highest - number;
        if (below < 0)
            return SequenceVerdict.New;
        if (below >= Width)
            return SequenceVerdict.TooOld;
        return (_accepted >> (int)below & 1) == 0 ? SequenceVerdict.New : SequenceVerdict.Repeated;
    }

    /// <summary>Takes in <paramref name="number"/>, which is new.</summary>
    public void Accept(long number)
    {
        long above = number - Highest;
        if (above <= 0)
        {
            _accepted |= 1UL << (int)-above;
            return;
        }

        _accepted = above >= Width ? 1 : _accepted << (int)above | 1;
        Highest = number;
    }
}

/// <summary>What is to be done with a message that bears a number of its sender's.</summary>
internal enum SequenceVerdict : byte
{
    New,

    /// <summary>It was accepted before.</summary>
    Repeated,

    /// <summary>It is so far below the highest that nothing is known of it.</summary>
    TooOld,
}
