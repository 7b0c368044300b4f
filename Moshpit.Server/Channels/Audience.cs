namespace Moshpit.Server.Channels;

/// <summary>
/// Which peers of a channel get an event of its log. A message to several peers has one for each of them. News of the channel is for
/// session peers, or for watchers alone, but for one.
/// </summary>
internal readonly record struct Audience
{
    /// <summary>The highest number of a peer.</summary>
    public const int MaxNumber = (1 << KindShift) - 1;

    private const int KindShift = 30;

    /// <summary>
    /// The kind, and behind it the number of the peer that alone gets the event, or that does not get it (0: there is none).
    /// </summary>
    private readonly uint _code;

    private Audience(Kind kind, int number) => _code = ((uint)kind << KindShift) | (uint)number;

    private enum Kind : byte
    {
        All,
        One,
        Sessions,
        Watchers,
    }

    public static Audience All => default;

    public static Audience Watchers => new(Kind.Watchers, 0);

    /// <summary>The number of the one peer that gets it; 0: more than one may.</summary>
    public int Only => What == Kind.One ? Number : 0;

    /// <summary>A message for all, as far as its sender wants it.</summary>
    public bool IsBroadcast => What == Kind.All;

    /// <summary>News of the channel: it is not kept.</summary>
    public bool IsNews => What >= Kind.Sessions;

    private Kind What => (Kind)(_code >> KindShift);

    private int Number => (int)(_code & MaxNumber);

    public static Audience Of(int number) => new(Kind.One, number);

    public static Audience AllBut(int number) => new(Kind.All, number);

    public static Audience SessionsBut(int number) => new(Kind.Sessions, number);

    /// <summary>It is a broadcast, and <paramref name="reader"/> gets it.</summary>
    public bool IsBroadcastFor(Reader reader) => IsBroadcast && Includes(reader);

    /// <summary>Whether <paramref name="reader"/> is among them.</summary>
    public bool Includes(Reader reader) => What switch
    {
        Kind.All => Number == 0 || Number != reader.Number,
        Kind.One => Number == reader.Number,
        Kind.Sessions => reader.Kind != ReaderKind.Plain && (Number == 0 || Number != reader.Number),
        _ => reader.Kind == ReaderKind.Watcher,
    };
}

/// <summary>A peer, as far as an <see cref="Audience"/> tells it from others.</summary>
/// <param name="Number">Its number; 0 stands for all peers of the kind that no event names.</param>
/// <param name="Kind">What it is.</param>
internal readonly record struct Reader(int Number, ReaderKind Kind)
{
    /// <summary>One that comes back: it gets the messages that it has missed, and no news of then.</summary>
    public static Reader OfMessages(int number) => new(number, ReaderKind.Plain);
}

/// <summary>What a peer hears of the others.</summary>
internal enum ReaderKind : byte
{
    /// <summary>Messages.</summary>
    Plain,

    /// <summary>It has a session, and hears of changes of the room too.</summary>
    Session,

    /// <summary>It hears of all other peers too.</summary>
    Watcher,
}
