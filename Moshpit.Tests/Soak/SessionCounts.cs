namespace Moshpit.Tests.Soak;

/// <summary>What happened in all session rooms. Counted with <see cref="Interlocked"/>.</summary>
internal sealed class SessionCounts
{
    /// <summary>Messages that were accepted.</summary>
    public int Sent;

    /// <summary>Messages that were heard, once for each participant.</summary>
    public int Delivered;

    /// <summary>Streams that led to a peer that was there before.</summary>
    public int Resumes;

    /// <summary>Streams that were told that a newer one took their place.</summary>
    public int Replaced;

    /// <summary>Times that a participant came with a last id that is of no event.</summary>
    public int Confusions;

    public int Gaps;

    /// <summary>POSTs without an answer.</summary>
    public int LostAnswers;

    /// <summary>POSTs of messages that had been accepted before.</summary>
    public int Repeats;

    /// <summary>Requests that were refused for now.</summary>
    public int Refusals;

    /// <summary>News of absences that owners got.</summary>
    public int Aways;

    /// <summary>Rooms that were opened, used, checked and closed.</summary>
    public int Rounds;

    public override string ToString() =>
        $"{Rounds} rooms, {Sent} messages sent, {Delivered} delivered, {Resumes} resumes, {Replaced} replaced, {Gaps} gaps, "
        + $"{Confusions} confusions, {LostAnswers} answers lost, {Repeats} repeats, {Refusals} refusals, {Aways} absences told";
}
