namespace Moshpit.Server.Http;

/// <summary>
/// What a parser says of the bytes it was shown. Bad input is an outcome and no exception: it is cheap to send, so it must be cheap to
/// refuse.
/// </summary>
internal enum ParseOutcome : byte
{
    /// <summary>Good so far. Whole lines are consumed, what is left must be shown again together with what follows it.</summary>
    NeedMore,
    Done,
    Rejected,
}
