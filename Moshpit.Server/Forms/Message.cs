using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;

namespace Moshpit.Server.Forms;

/// <summary>What the body of a POST says, besides its data. Its text may be a form or JSON.</summary>
internal struct Message
{
    public IdField TokenField;
    public Token Token;
    public IdField CidField;
    public PeerId Cid;

    /// <summary>The peers that are named by an array; null: there is none.</summary>
    public Addressees? Several;

    /// <summary>The one peer that is named, by its cid or by an array of one; null: none is, or several are.</summary>
    public readonly PeerId? OnlyCid => CidField != IdField.Present ? null
        : Several is null ? Cid
        : Several.All is [{ Unknown: null } only] ? only.Cid
        : null;

    /// <summary>What is said of a broadcast's way back to its sender.</summary>
    public FlagField Echo;
    public bool HasData;

    /// <summary>The sender's own number for the message; 0: none; negative: what stands there is no such number.</summary>
    public long Number;

    /// <summary>What is to be done, where there is no data.</summary>
    public Verb Verb;

    /// <summary>
    /// The stream of the session that the verb is about; 0: none is named; negative: what stands there is no such number.
    /// </summary>
    public long Stream;

    /// <summary>After how many seconds it is to be done; negative: what stands there is no such number.</summary>
    public long After;

    /// <summary>The least number of the peers that the verb asks for; negative: what stands there is no such number.</summary>
    public long From;

    /// <summary>What the verb changes of the room.</summary>
    public RoomChanges Changes;

    /// <summary>One of these has a wrong value.</summary>
    public bool HasMalformedChange;

    /// <summary>The highest number that every client can hold: 2⁵³ − 1.</summary>
    private const long MostNumber = (1L << 53) - 1;

    /// <summary>Sets a <c>seq</c> that was sent as <paramref name="digits"/>.</summary>
    public void SetNumber(ReadOnlySpan<byte> digits) => Number = ReadNumber(digits) is > 0 and long number ? number : -1;

    /// <summary>Sets a <c>do</c> that was sent as the string <paramref name="text"/>.</summary>
    public void SetVerb(ReadOnlySpan<byte> text) =>
        Verb = text.SequenceEqual("leave"u8) ? Verb.Leave
            : text.SequenceEqual("peers"u8) ? Verb.Peers
            : text.SequenceEqual("kick"u8) ? Verb.Kick
            : text.SequenceEqual("owner"u8) ? Verb.Owner
            : text.SequenceEqual("room"u8) ? Verb.Room
            : text.SequenceEqual("close"u8) ? Verb.Close
            : Verb.Unknown;

    /// <summary>Sets a <c>stream</c> that was sent as <paramref name="digits"/>.</summary>
    public void SetStream(ReadOnlySpan<byte> digits) => Stream = ReadNumber(digits) is > 0 and long number ? number : -1;

    /// <summary>Sets an <c>after</c> that was sent as <paramref name="digits"/>.</summary>
    public void SetAfter(ReadOnlySpan<byte> digits) => After = ReadNumber(digits) ?? -1;

    /// <summary>A whole number of digits alone; null: it is none, or larger than every client can hold.</summary>
    public static long? ReadNumber(ReadOnlySpan<byte> digits)
    {
        if (digits.IsEmpty || digits.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
            return null;
        long value = 0;
        foreach (byte digit in digits)
        {
            value = value * 10 + (digit - '0');
            if (value > MostNumber)
                return null;
        }

        return value;
    }

    /// <summary>Sets a <c>token</c> that was sent as the string <paramref name="text"/>; empty for one that is no string.</summary>
    public void SetToken(ReadOnlySpan<byte> text) => TokenField = Token.TryParse(text, out Token) ? IdField.Present : IdField.Malformed;

    /// <summary>Sets a <c>cid</c> that was sent as the string <paramref name="text"/>. An empty one counts as absent.</summary>
    public void SetCid(ReadOnlySpan<byte> text)
    {
        bool parsed = PeerId.TryParse(text, out Cid);
        CidField = parsed ? IdField.Present : text.IsEmpty ? IdField.Absent : IdField.Malformed;
        Several = null;
    }

    /// <summary>
    /// Sets a <c>cid</c> that was sent as an array of strings. An empty array, or one of empty strings, names no peer: if it counted as
    /// absent, a message for a few would go to all.
    /// </summary>
    public void SetCids(Addressees several)
    {
        CidField = IdField.Present;
        Several = several;
    }

    /// <summary>Sets a <c>cid</c> that was sent as something else than a string or an array of strings.</summary>
    public void SetMalformedCid()
    {
        CidField = IdField.Malformed;
        Several = null;
    }

    /// <summary>Sets a <c>from</c> that was sent as <paramref name="digits"/>.</summary>
    public void SetFrom(ReadOnlySpan<byte> digits) => From = ReadNumber(digits) ?? -1;

    /// <summary>Sets a <c>max</c> that was sent as <paramref name="digits"/>.</summary>
    public void SetMax(ReadOnlySpan<byte> digits)
    {
        if (ReadNumber(digits) is { } max)
            Changes = Changes with { Max = (int)Math.Min(max, int.MaxValue) };
        else
            HasMalformedChange = true;
    }

    /// <summary>Sets a <c>publish</c> that was sent as the string <paramref name="text"/>.</summary>
    public void SetPublish(ReadOnlySpan<byte> text)
    {
        Changes = Changes with { OwnerPublishes = text.SequenceEqual("owner"u8) };
        HasMalformedChange |= !text.SequenceEqual("owner"u8) && !text.SequenceEqual("all"u8);
    }

    /// <summary>Sets a <c>locked</c> that was sent as <paramref name="text"/>.</summary>
    public void SetLocked(ReadOnlySpan<byte> text)
    {
        FlagField locked = ReadFlag(text);
        Changes = Changes with { IsLocked = locked == FlagField.Yes };
        HasMalformedChange |= locked == FlagField.Malformed;
    }

    /// <summary>Sets a <c>keep</c> that was sent as <paramref name="text"/>.</summary>
    public void SetKeep(ReadOnlySpan<byte> text)
    {
        FlagField keep = ReadFlag(text);
        Changes = Changes with { IsKept = keep == FlagField.Yes };
        HasMalformedChange |= keep == FlagField.Malformed;
    }

    /// <summary>Sets an <c>echo</c> that was sent as <paramref name="text"/>.</summary>
    public void SetEcho(ReadOnlySpan<byte> text) => Echo = ReadFlag(text);

    private static FlagField ReadFlag(ReadOnlySpan<byte> text)
    {
        bool isYes = text.SequenceEqual("true"u8) || text.SequenceEqual("1"u8);
        bool isNo = text.SequenceEqual("false"u8) || text.SequenceEqual("0"u8);
        return isYes ? FlagField.Yes : isNo ? FlagField.No : FlagField.Malformed;
    }
}

/// <summary>What a POST asks for that is no message.</summary>
internal enum Verb : byte
{
    None,
    Unknown,

    /// <summary>The peer leaves its channel.</summary>
    Leave,

    /// <summary>It asks for the peers of its channel.</summary>
    Peers,

    /// <summary>The owner throws a peer out.</summary>
    Kick,

    /// <summary>The owner hands over to a peer.</summary>
    Owner,

    /// <summary>The owner changes the settings of the channel.</summary>
    Room,

    /// <summary>The owner ends the channel.</summary>
    Close,
}

/// <summary>What stood in a field that should name a peer.</summary>
internal enum IdField : byte
{
    /// <summary>There is no such field, or, for <c>cid</c>, the field is empty.</summary>
    Absent,

    /// <summary>
    /// The field is there, but is no string of 32 lower-case hex digits, nor, for <c>cid</c>, an array of strings. Such a field can name no
    /// peer.
    /// </summary>
    Malformed,

    /// <summary>The field is there, and well formed.</summary>
    Present,
}

/// <summary>What stood in a field that is true or false.</summary>
internal enum FlagField : byte
{
    Absent,
    Yes,
    No,
    Malformed,
}
