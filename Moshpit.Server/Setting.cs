using System.CommandLine;

namespace Moshpit.Server;

/// <summary>
/// All about an option of the program in one place: its name, its environment variable, the property that it sets, its default, and what its value
/// must be. The command line, the environment and the tables of the documentation come from here.
/// </summary>
internal abstract class Setting
{
    /// <summary>Its name on the command line, with the dashes.</summary>
    public required string Name { get; init; }

    /// <summary>What it does, in the words of the help.</summary>
    public required string Description { get; init; }

    /// <summary>The property of <see cref="MoshpitServerOptions"/> that it sets; null for an option that the program alone has.</summary>
    public string? Property { get; init; }

    /// <summary>What holds without it, in words; null for nothing.</summary>
    public string? Default { get; init; }

    /// <summary>The environment variable that is read where the command line does not name the option. An empty one counts as absent.</summary>
    public string Variable => "MOSHPIT_" + Name[2..].Replace('-', '_').ToUpperInvariant();

    /// <summary>The option as the command line has it.</summary>
    public abstract Option Option { get; }

    /// <summary>Applies the value of the command line, or else of the environment, or else nothing.</summary>
    /// <exception cref="ArgumentException">The variable's value makes no sense; the message names it.</exception>
    public abstract void Apply(ParseResult parsed, Func<string, string?> environment, CommandLine.Arguments arguments);
}
