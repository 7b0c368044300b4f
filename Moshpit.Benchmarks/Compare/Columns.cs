using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Compare;

/// <summary>
/// The columns of a table of figures. Targets are those of the first. To each of the others there is a ratio.
/// </summary>
/// <param name="First">Its heading.</param>
/// <param name="Others">Their headings.</param>
internal sealed record Columns(string First, params string[] Others)
{
    public const string Moshpit = "moshpit";
    public const string Kestrel = "Kestrel";
    public const string Bare = "bare loop";
    public const string Floor = "C floor";
    public const string Plain = "plain";

    /// <summary>Moshpit beside other servers.</summary>
    public static Columns Servers { get; } = new(Moshpit, Kestrel, Bare, Floor);

    /// <summary>Moshpit with session peers beside moshpit with plain peers.</summary>
    public static Columns Sessions { get; } = new("sessions", Plain);

    /// <summary>One figure.</summary>
    public static Columns Median { get; } = new("median");

    /// <summary>The first lines of the table, as Markdown.</summary>
    public string MarkdownHead
    {
        get
        {
            string[] headings = [First, .. Others, .. Others.Select(other => $"{First}/{other}")];
            return $"| what | {string.Join(" | ", headings)} | target |\n|---|{string.Concat(headings.Select(_ => "---:|"))}---|";
        }
    }

    /// <summary>The column of <paramref name="server"/>.</summary>
    public static string Of(ServerKind server) => server switch
    {
        ServerKind.Kestrel => Kestrel,
        ServerKind.Bare => Bare,
        ServerKind.Floor => Floor,
        _ => Moshpit,
    };
}
