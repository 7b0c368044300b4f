namespace Moshpit.Tests.Properties;

/// <summary>
/// One thing that somebody does. Who is meant is a number that is taken modulo those who are there, so that any numbers make sense.
/// </summary>
internal readonly record struct Step(StepKind Kind, int Who, int Whom)
{
    public override string ToString() => Kind switch
    {
        StepKind.Create => "Create",
        StepKind.Direct or StepKind.Burst => $"{Kind}({Who}, {Whom})",
        _ => $"{Kind}({Who})",
    };
}
