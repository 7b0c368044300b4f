namespace Moshpit.Tests.Properties;

/// <summary>
/// One thing that a peer does. The numbers of the peers are taken modulo the count of those that are there, so any numbers make sense.
/// </summary>
internal readonly record struct Step(StepKind Kind, int Sender, int Addressee)
{
    public override string ToString() => Kind switch
    {
        StepKind.Create => "Create",
        StepKind.Direct or StepKind.Burst => $"{Kind}({Sender}, {Addressee})",
        _ => $"{Kind}({Sender})",
    };
}
