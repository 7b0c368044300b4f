namespace Moshpit.Tests.Soak;

/// <summary>What a relay does to one connection, once so many bytes of one direction have passed.</summary>
/// <param name="Kind">What it does.</param>
/// <param name="OfStream">The connection is to carry a stream; otherwise POSTs.</param>
/// <param name="OfRequest">The bytes of the client count; otherwise those of the server.</param>
/// <param name="After">So many bytes pass unharmed.</param>
/// <param name="Milliseconds">How long a silence lasts, or each piece is delayed.</param>
internal sealed record Cut(CutKind Kind, bool OfStream = false, bool OfRequest = false, int After = 0, int Milliseconds = 0)
{
    public static readonly Cut None = new(CutKind.None);

    /// <summary>It breaks the connection, so that the client has to open another one.</summary>
    public bool Breaks => Kind is CutKind.Reset or CutKind.Finish or CutKind.HalfClose or CutKind.Silence;

    public override string ToString() =>
        Kind == CutKind.None ? "no cut" : $"{Kind} after {After} bytes of the {(OfRequest ? "request" : "response")}";
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
