namespace Moshpit.Tests.Soak;

/// <summary>What a relay does to one connection, once so many bytes of one direction have passed.</summary>
/// <param name="kind">What it does.</param>
/// <param name="part">Of what.</param>
/// <param name="ofRequest">The bytes of the client count; otherwise those of the server.</param>
/// <param name="after">So many bytes pass unharmed.</param>
/// <param name="milliseconds">How long a silence lasts, or each piece is delayed.</param>
internal sealed class Cut(CutKind kind, CutPart part = default, bool ofRequest = false, int after = 0, int milliseconds = 0)
{
    public static readonly Cut None = new(CutKind.None);

    private volatile bool _isArmed = part != CutPart.Bye;

    public CutKind Kind => kind;

    public CutPart Part => part;

    public bool OfRequest => ofRequest;

    public int After => after;

    public int Milliseconds => milliseconds;

    /// <summary>The bytes count from now on.</summary>
    public bool IsArmed => _isArmed;

    /// <summary>It breaks the connection, so that the client has to open another one.</summary>
    public bool Breaks => kind is CutKind.Reset or CutKind.Finish or CutKind.HalfClose or CutKind.Silence;

    /// <summary>What comes next is <c>bye</c>, and counts.</summary>
    public void Arm() => _isArmed = true;

    public override string ToString() =>
        kind == CutKind.None ? "no cut" : $"{kind} after {after} bytes of the {(ofRequest ? "request" : "response")} ({part})";
}

/// <summary>Where a <see cref="Cut"/> is.</summary>
internal enum CutPart
{
    /// <summary>A connection with POSTs.</summary>
    Posts,

    /// <summary>A stream, from its beginning on.</summary>
    Stream,

    /// <summary>The end of a stream that is told why it ends.</summary>
    Bye,
}

/// <summary>Kinds of <see cref="Cut"/>.</summary>
internal enum CutKind
{
    None,

    /// <summary>Resets the connections to the client and to the server.</summary>
    Reset,

    /// <summary>Closes both in good order.</summary>
    Finish,

    /// <summary>Closes only the direction whose bytes were counted; the other one goes on.</summary>
    HalfClose,

    /// <summary>Drops all that comes, and later resets the connection to the client, and still later the one to the server.</summary>
    Silence,

    /// <summary>Forwards each piece some milliseconds late.</summary>
    Delay,

    /// <summary>Forwards each byte for itself.</summary>
    SingleBytes,
}
