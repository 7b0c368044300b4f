using System.CommandLine;
using Microsoft.Extensions.Logging;

namespace Moshpit.Server;

/// <summary>
/// The options of the program, as the user sees them. Each has an environment variable, which holds if the option is not given.
/// </summary>
internal sealed class CommandLine
{
    /// <summary>Follows the sentence that says what is wrong.</summary>
    public const string Hint = "Try moshpit --help.";

    private static readonly MoshpitServerOptions Defaults = new();

    /// <summary>The program's options that set no property.</summary>
    private static readonly Setting[] OwnSettings =
    [
        new Setting<string>
        {
            Name = "--uid", Alias = "-u", ValueName = "USER",
            Description = "drop permissions to this user (number or name) after the port is bound", Read = SettingKinds.TryReadText,
            Set = (arguments, user) => arguments.User = user,
        },
        new Setting<string>
        {
            Name = "--gid", Alias = "-g", ValueName = "GROUP", DefaultText = "the user's",
            Description = "drop permissions to this group (number or name)", Read = SettingKinds.TryReadText,
            Set = (arguments, group) => arguments.Group = group,
        },
        new Setting<LogLevel>
        {
            Name = "--log", ValueName = "LEVEL", DefaultText = "warn",
            Description = "write logs of this level and above to standard error: trace, debug, info, warn, error, crit, none",
            Kind = "trace, debug, info (information), warn (warning), error, crit (critical) or none", Read = TryReadLevel,
            Set = (arguments, level) => arguments.LogLevel = level,
        },
        new Setting<bool>
        {
            Name = "--json", DefaultText = "false", Description = "write each log as a line of JSON",
            Kind = "true or false", Read = TryReadFlag,
            Set = (arguments, json) => arguments.Json = json,
        },
    ];

    private readonly Func<string, string?> _environment;

    /// <param name="environment">The value of an environment variable; null if there is none. Default: those of the process.</param>
    public CommandLine(Func<string, string?>? environment = null) => _environment = environment ?? Environment.GetEnvironmentVariable;

    /// <summary>All options of the command line, in the order of the help.</summary>
    public static IReadOnlyList<Setting> Settings { get; } =
        [.. MoshpitServerOptions.Settings.Where(setting => setting.Name is not null), .. OwnSettings];

    /// <summary>The command, which calls <paramref name="run"/> with what was asked for and ends with its exit status.</summary>
    public RootCommand Build(Func<Arguments, Task<int>> run)
    {
        var root = new RootCommand("Lets programs exchange messages over plain HTTP: an event stream for each, and POST to send.");
        (Setting Setting, Option Option)[] options = [.. Settings.Select(setting => (setting, setting.CreateOption(Defaults)))];
        foreach ((_, Option option) in options)
            root.Options.Add(option);
        foreach (Option option in root.Options)
        {
            if (option is VersionOption)
                option.Aliases.Add("-V");
        }

        root.Directives.Clear();
        root.SetAction((parsed, _) => run(Read(parsed, options)));
        return root;
    }

    private Arguments Read(ParseResult parsed, (Setting Setting, Option Option)[] options)
    {
        // Null until a port is given: a Unix socket takes the place of TCP unless a port or a host is given too.
        var arguments = new Arguments { Options = { Port = null } };
        foreach ((Setting setting, Option option) in options)
            setting.Apply(option, parsed, _environment, arguments);
        MoshpitServerOptions asked = arguments.Options;
        if (asked.SocketPath is null || asked.Host is not null)
            asked.Port ??= Defaults.Port;
        return arguments;
    }

    private static bool TryReadLevel(string text, out LogLevel level)
    {
        (bool isLevel, level) = text.ToLowerInvariant() switch
        {
            "trace" => (true, LogLevel.Trace),
            "debug" => (true, LogLevel.Debug),
            "info" or "information" => (true, LogLevel.Information),
            "warn" or "warning" => (true, LogLevel.Warning),
            "error" => (true, LogLevel.Error),
            "crit" or "critical" => (true, LogLevel.Critical),
            "none" => (true, LogLevel.None),
            _ => (false, LogLevel.None),
        };
        return isLevel;
    }

    private static bool TryReadFlag(string text, out bool flag)
    {
        flag = text is "1" || text.Equals("true", StringComparison.OrdinalIgnoreCase);
        return flag || text is "0" || text.Equals("false", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>What was asked for.</summary>
    internal sealed class Arguments
    {
        public MoshpitServerOptions Options { get; } = new();

        public string? User { get; set; }

        public string? Group { get; set; }

        public LogLevel LogLevel { get; set; } = LogLevel.Warning;

        public bool Json { get; set; }

        /// <summary>What was ignored, and why, in sentences.</summary>
        public List<string> Warnings { get; } = [];
    }
}
