using System.CommandLine;

namespace Moshpit.Server;

/// <summary>
/// An option, declared once: the property that it sets, its name on the command line, its environment variable, its default, and what its
/// value must be. The command line, the environment, the checks of <see cref="MoshpitServerOptions"/> and the tables of the documentation
/// come from here.
/// </summary>
internal abstract class Setting
{
    /// <summary>Its name on the command line, with the dashes; null if the command line does not have it.</summary>
    public string? Name { get; init; }

    /// <summary>A second name on the command line.</summary>
    public string? Alias { get; init; }

    /// <summary>What its value is called in the help; null for an option that needs none.</summary>
    public string? ValueName { get; init; }

    /// <summary>What it does, in the words of the help.</summary>
    public string? Description { get; init; }

    /// <summary>The property of <see cref="MoshpitServerOptions"/> that it sets; null for an option that the program alone has.</summary>
    public string? Property { get; init; }

    /// <summary>
    /// The environment variable that is read if the command line does not name the option. An empty one counts as absent.
    /// </summary>
    public string? Variable => Name is null ? null : "MOSHPIT_" + Name[2..].Replace('-', '_').ToUpperInvariant();

    /// <summary>What holds without it, in words; null for nothing. Times are in seconds.</summary>
    /// <param name="defaults">New options, which hold the defaults.</param>
    public abstract string? Default(MoshpitServerOptions defaults);

    /// <summary>The option as the command line has it. It must have a <see cref="Name"/>.</summary>
    public abstract Option CreateOption(MoshpitServerOptions defaults);

    /// <summary>Applies the value of the command line, or else of the environment, or else nothing.</summary>
    /// <param name="option">What <see cref="CreateOption"/> returned.</param>
    /// <param name="parsed">The command line.</param>
    /// <param name="environment">The value of an environment variable; null if there is none.</param>
    /// <param name="arguments">What the value is applied to.</param>
    /// <exception cref="ArgumentException">The variable's value makes no sense; the message names it.</exception>
    public abstract void Apply(Option option, ParseResult parsed, Func<string, string?> environment, CommandLine.Arguments arguments);

    /// <summary>Checks the value of the <see cref="Property"/>.</summary>
    /// <exception cref="ArgumentException">The value makes no sense; the message names the property and says what is allowed.</exception>
    public abstract void Check(MoshpitServerOptions options);
}
