namespace Moshpit.Server.Channels;

/// <summary>
/// What a client names as the last event that it has had: digits, or digits, a dot and digits, of which those before the dot count. After a
/// minus sign it stands for a stream that was replaced.
/// </summary>
/// <param name="IsGiven">There is one.</param>
/// <param name="IsNegative">A minus sign stands before it.</param>
/// <param name="Sequence">The number of the event; meaningless unless <paramref name="IsNumber"/>.</param>
/// <param name="IsNumber">It has that form.</param>
internal readonly record struct LastEventId(bool IsGiven, bool IsNegative, long Sequence, bool IsNumber)
{
    private const long TooLarge = 100_000_000_000_000_000;

    /// <summary>The session is over, and the client knows it.</summary>
    public bool IsOver => IsNegative && IsNumber && Sequence == 1 && !HasFraction;

    private bool HasFraction { get; init; }

    /// <summary>Understands <paramref name="text"/>; an empty one is none.</summary>
    public static LastEventId Parse(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
            return default;
        bool isNegative = text[0] == '-';
        if (isNegative)
            text = text[1..];
        int dot = text.IndexOf((byte)'.');
        ReadOnlySpan<byte> whole = dot < 0 ? text : text[..dot];
        bool isNumber = TryRead(whole, out long sequence) && (dot < 0 || TryRead(text[(dot + 1)..], out _));
        return new LastEventId(true, isNegative, sequence, isNumber) { HasFraction = dot >= 0 };
    }

    /// <summary>Reads digits; a number that is too large stays one, and is higher than any.</summary>
    private static bool TryRead(ReadOnlySpan<byte> digits, out long value)
    {
        value = 0;
        if (digits.IsEmpty || digits.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
            return false;
        foreach (byte digit in digits)
            value = value >= TooLarge ? TooLarge : value * 10 + (digit - '0');
        return true;
    }
}

/// <summary>How a session peer goes on.</summary>
/// <param name="IsUsable">It goes on where it stopped; false: the client is to forget what it knew.</param>
/// <param name="After">The last event that the client has had, if <paramref name="IsUsable"/>.</param>
/// <param name="GapId">The newest event that was lost, or the join; 0: there is no gap.</param>
/// <param name="Last">The last event that it has been given when all that it missed was written.</param>
internal readonly record struct Resumption(bool IsUsable, long After, long GapId, long Last)
{
    /// <summary>The id of its <c>connect</c>: only a gap moves it on.</summary>
    public long ConnectId => IsUsable ? After : 0;
}
