namespace Moshpit.Tests.Soak;

/// <summary>One message of a session room, and what became of it. The room's <see cref="Ledger"/> guards it.</summary>
/// <param name="sender">The index of the participant that sends it.</param>
/// <param name="number">The sender's own number for it.</param>
/// <param name="to">The index of the one participant that is to get it; null: all are.</param>
/// <param name="data">JSON text that names sender, number and addressee.</param>
internal sealed class Letter(int sender, int number, int? to, string data)
{
    public int Sender => sender;

    public int Number => number;

    public int? To => to;

    public string Data => data;

    /// <summary>When it was first sent, on the clock of the ledger; 0: not yet.</summary>
    public int FirstSent { get; set; }

    /// <summary>When its sender was told that it is accepted; 0: not yet.</summary>
    public int Accepted { get; set; }

    /// <summary>Its place in the order of the channel; 0: no participant knows it.</summary>
    public long Place { get; set; }

    /// <summary>It was sent, and no answer came.</summary>
    public bool MayHaveArrived { get; set; }

    public bool IsFor(int participant) => to is null || to == participant;

    public override string ToString() => $"message {number} of {sender} to {(to is null ? "all" : to)}, at {Place}";
}
