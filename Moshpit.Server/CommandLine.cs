using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Moshpit.Server;

/// <summary>The options of the program, as the user sees them. Each has an environment variable, which holds if the option is not given.</summary>
internal sealed class CommandLine
{
    /// <summary>Follows the sentence that says what is wrong.</summary>
    public const string Hint = "Try moshpit --help.";

    /// <summary>The most bytes that an option takes; no machine has as many.</summary>
    private const long MostBytes = 1L << 50;

    /// <summary>The longest time that an option takes, in seconds.</summary>
    private const int Day = 86400;

    private static readonly MoshpitServerOptions Defaults = new();

    private readonly Func<string, string?> _environment;

    /// <param name="environment">The value of an environment variable; null if there is none. Default: those of the process.</param>
    public CommandLine(Func<string, string?>? environment = null) => _environment = environment ?? Environment.GetEnvironmentVariable;

    /// <summary>All options, in the order of the help.</summary>
    public IReadOnlyList<Setting> Settings { get; } =
    [
        new Setting<int>
        {
            Name = "--port", Alias = "-p", ValueName = "PORT", Property = nameof(MoshpitServerOptions.Port),
            Description = "listen for connections on this port; 0 picks a free one", Default = Text(Defaults.Port!.Value),
            Kind = Whole(0, 65535), Read = (text, out value) => TryReadWhole(text, 0, 65535, out value),
            Set = (arguments, port) => arguments.Port = port,
            WhyIgnored = static text => text.Contains("://", StringComparison.Ordinal)
                ? "it is no port, but what Kubernetes sets for a service named moshpit" : null,
        },
        Name("--host", null, "HOST", "listen on this name or address", "all, IPv6 and IPv4", nameof(MoshpitServerOptions.Host),
            (arguments, host) => arguments.Options.Host = host),
        Name("--socket", "-s", "PATH", "listen on a Unix socket at this path; no TCP then, unless --port or --host is given too", null,
            nameof(MoshpitServerOptions.SocketPath), (arguments, path) => arguments.Options.SocketPath = path),
        Count("--limit", "BYTES", "largest body of a POST, in bytes", MoshpitServerOptions.MostBodyLimit, Defaults.BodyLimit,
            nameof(MoshpitServerOptions.BodyLimit), (options, value) => options.BodyLimit = value),
        Seconds("--heartbeat", 0, "silence on a stream after which a comment is sent, in seconds; 0 for none", Defaults.Heartbeat,
            nameof(MoshpitServerOptions.Heartbeat), (options, value) => options.Heartbeat = value),
        Seconds("--idle", 1, "silence between two requests after which a connection is closed, in seconds", Defaults.IdleTimeout,
            nameof(MoshpitServerOptions.IdleTimeout), (options, value) => options.IdleTimeout = value),
        Name("--uid", "-u", "USER", "drop permissions to this user (number or name) after the port is bound", null, null,
            (arguments, user) => arguments.User = user),
        Name("--gid", "-g", "GROUP", "drop permissions to this group (number or name)", "the user's", null,
            (arguments, group) => arguments.Group = group),
        new Setting<LogLevel>
        {
            Name = "--log", ValueName = "LEVEL", Default = "warn",
            Description = "write logs of this level and above to standard error: trace, debug, info, warn, error, crit, none",
            Kind = "trace, debug, info (information), warn (warning), error, crit (critical) or none", Read = TryReadLevel,
            Set = (arguments, level) => arguments.LogLevel = level,
        },
        new Setting<bool>
        {
            Name = "--json", Default = "false", Description = "write each log as a line of JSON",
            Kind = "true or false", Read = TryReadFlag,
            Set = (arguments, json) => arguments.Json = json,
        },
        new Setting<string[]>
        {
            Name = "--proxy", ValueName = "ADDRESS", IsList = true, Property = nameof(MoshpitServerOptions.Proxies),
            Description = "believe X-Forwarded-For from this address, network (10.0.0.0/8) or unix; may be repeated", Read = TryReadList,
            Set = (arguments, proxies) => Array.ForEach(proxies, arguments.Options.Proxies.Add),
        },
        Count("--max-connections", "N", "most connections at once", int.MaxValue, Defaults.MaxConnections,
            nameof(MoshpitServerOptions.MaxConnections), (options, value) => options.MaxConnections = value),
        Count("--max-channels", "N", "most channels at once", int.MaxValue, Defaults.MaxChannels,
            nameof(MoshpitServerOptions.MaxChannels), (options, value) => options.MaxChannels = value),
        Count("--max-peers", "N", "most peers in a channel", int.MaxValue, Defaults.MaxPeersPerChannel,
            nameof(MoshpitServerOptions.MaxPeersPerChannel), (options, value) => options.MaxPeersPerChannel = value),
        Count("--max-connections-per-address", "N", "most connections at once from one address", int.MaxValue,
            Defaults.MaxConnectionsPerAddress, nameof(MoshpitServerOptions.MaxConnectionsPerAddress), (options, value) => options.MaxConnectionsPerAddress = value),
        Count("--max-streams", "N", "most streams at once from one address", int.MaxValue, Defaults.MaxStreamsPerAddress,
            nameof(MoshpitServerOptions.MaxStreamsPerAddress), (options, value) => options.MaxStreamsPerAddress = value),
        Count("--max-requests", "N", "most requests a second from one address", int.MaxValue, Defaults.RequestsPerSecondPerAddress,
            nameof(MoshpitServerOptions.RequestsPerSecondPerAddress), (options, value) => options.RequestsPerSecondPerAddress = value),
        Count("--max-new-channels", "N", "most new channels a minute from one address", int.MaxValue, Defaults.ChannelsPerMinutePerAddress,
            nameof(MoshpitServerOptions.ChannelsPerMinutePerAddress), (options, value) => options.ChannelsPerMinutePerAddress = value),
        Count("--max-bytes", "BYTES", "most bytes of messages a second from one peer", int.MaxValue, Defaults.BytesPerSecondPerPeer,
            nameof(MoshpitServerOptions.BytesPerSecondPerPeer), (options, value) => options.BytesPerSecondPerPeer = value),
        Bytes("--backlog", "bytes that may always wait for one slow peer", Text(Defaults.BacklogLimit),
            nameof(MoshpitServerOptions.BacklogLimit), (options, value) => options.BacklogLimit = value),
        Bytes("--max-backlog", "bytes that may wait for one slow peer while there is memory", Text(Defaults.MaxBacklog),
            nameof(MoshpitServerOptions.MaxBacklog), (options, value) => options.MaxBacklog = value),
        Bytes("--total-backlog", "bytes of memory for all messages under way", "an eighth of the memory",
            nameof(MoshpitServerOptions.TotalBacklogLimit), (options, value) => options.TotalBacklogLimit = value),
    ];

    /// <summary>The command, which calls <paramref name="run"/> with what was asked for and ends with its exit status.</summary>
    public RootCommand Build(Func<Arguments, Task<int>> run)
    {
        var root = new RootCommand("Lets programs exchange messages over plain HTTP: an event stream for each, and POST to send.");
        foreach (Setting setting in Settings)
            root.Options.Add(setting.Option);
        foreach (Option option in root.Options)
        {
            if (option is VersionOption)
                option.Aliases.Add("-V");
        }

        root.Directives.Clear();
        root.SetAction((parsed, _) => run(Read(parsed)));
        return root;
    }

    private Arguments Read(ParseResult parsed)
    {
        var arguments = new Arguments();
        foreach (Setting setting in Settings)
            setting.Apply(parsed, _environment, arguments);
        MoshpitServerOptions options = arguments.Options;
        bool tcp = options.SocketPath is null || arguments.Port is not null || options.Host is not null;
        options.Port = tcp ? arguments.Port ?? Defaults.Port : null;
        return arguments;
    }

    private static Setting<string> Name(
        string name, string? alias, string valueName, string description, string? standard, string? property,
        Action<Arguments, string> set) => new()
    {
        Name = name, Alias = alias, ValueName = valueName, Description = description, Default = standard, Property = property, Set = set,
        Read = TryReadText,
    };

    private static Setting<int> Count(
        string name, string valueName, string description, int most, int standard, string property,
        Action<MoshpitServerOptions, int> set) => new()
    {
        Name = name, ValueName = valueName, Description = description, Default = Text(standard), Property = property,
        Kind = Whole(1, most), Read = (text, out value) => TryReadWhole(text, 1, most, out value),
        Set = (arguments, value) => set(arguments.Options, value),
    };

    private static Setting<long> Bytes(
        string name, string description, string standard, string property, Action<MoshpitServerOptions, long> set) => new()
    {
        Name = name, ValueName = "BYTES", Description = description, Default = standard, Property = property,
        Kind = Whole(1, MostBytes), Read = static (text, out value) => TryReadWhole(text, 1, MostBytes, out value),
        Set = (arguments, value) => set(arguments.Options, value),
    };

    private static Setting<double> Seconds(
        string name, int least, string description, TimeSpan standard, string property, Action<MoshpitServerOptions, TimeSpan> set) => new()
    {
        Name = name, ValueName = "SECONDS", Description = description, Default = Text((long)standard.TotalSeconds), Property = property,
        Kind = $"a number from {least} to {Day}",
        Read = (text, out value) => double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value)
            && value >= least && value <= Day,
        Set = (arguments, value) => set(arguments.Options, TimeSpan.FromSeconds(value)),
    };

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Whole(long least, long most) => $"a whole number from {least} to {most}";

    private static bool TryReadWhole(string text, long least, long most, out long value) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= least && value <= most;

    private static bool TryReadWhole(string text, int least, int most, out int value) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= least && value <= most;

    private static bool TryReadText(string text, out string value)
    {
        value = text;
        return true;
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

    private static bool TryReadList(string text, out string[] items)
    {
        items = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return true;
    }

    /// <summary>What was asked for.</summary>
    internal sealed class Arguments
    {
        public MoshpitServerOptions Options { get; } = new();

        /// <summary>The port, if one was given.</summary>
        public int? Port { get; set; }

        public string? User { get; set; }

        public string? Group { get; set; }

        public LogLevel LogLevel { get; set; } = LogLevel.Warning;

        public bool Json { get; set; }

        /// <summary>What was ignored, and why, in sentences.</summary>
        public List<string> Warnings { get; } = [];
    }
}
