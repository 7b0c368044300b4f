using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Moshpit.Server;

/// <summary>The options of the program, as the user sees them.</summary>
internal sealed class CommandLine
{
    private const int DefaultPort = 5000;

    private readonly Option<int?> _port = new("--port", "-p")
    {
        Description = $"listen for connections on this port; 0 picks a free one [default: {DefaultPort}]",
        HelpName = "PORT",
        CustomParser = result => (int?)ReadNumber(result, "a whole number", 0, 65535),
    };

    private readonly Option<string?> _host = new("--host")
    {
        Description = "listen on this name or address [default: all, IPv6 and IPv4]",
        HelpName = "HOST",
    };

    private readonly Option<string?> _socket = new("--socket", "-s")
    {
        Description = "listen on a Unix socket at this path; no TCP then, unless --port or --host is given too",
        HelpName = "PATH",
    };

    private readonly Option<int> _limit = new("--limit")
    {
        Description = "largest body of a POST, in bytes",
        HelpName = "BYTES",
        DefaultValueFactory = _ => 10 * 1024,
        CustomParser = result => (int)ReadNumber(result, "a whole number", 1, MoshpitServerOptions.MostBodyLimit),
    };

    private readonly Option<double> _heartbeat = new("--heartbeat")
    {
        Description = "silence on a stream after which a comment is sent, in seconds; 0 for none",
        HelpName = "SECONDS",
        DefaultValueFactory = _ => 25,
        CustomParser = result => ReadNumber(result, "a number", 0, 86400),
    };

    private readonly Option<string?> _uid = new("--uid", "-u")
    {
        Description = "drop permissions to this user (number or name) after the port is bound",
        HelpName = "USER",
    };

    private readonly Option<string?> _gid = new("--gid", "-g")
    {
        Description = "drop permissions to this group (number or name) [default: the user's]",
        HelpName = "GROUP",
    };

    private readonly Option<string[]> _proxy = new("--proxy")
    {
        Description = "believe X-Forwarded-For from this address, network (10.0.0.0/8) or unix; may be repeated",
        HelpName = "ADDRESS",
    };

    private readonly Option<int> _maxConnections = Maximum("--max-connections", "connections at once", 100_000);

    private readonly Option<int> _maxChannels = Maximum("--max-channels", "channels at once", 100_000);

    private readonly Option<int> _maxPeers = Maximum("--max-peers", "peers in a channel", 100_000);

    private readonly Option<int> _maxRequests = Maximum("--max-requests", "requests a second from one address", 1_000);

    private readonly Option<int> _maxStreams = Maximum("--max-streams", "streams at once from one address", 1_000);

    private readonly Option<LogLevel> _log = new("--log")
    {
        Description = "write logs of this level and above to standard error: trace, debug, information, warning, error, critical, none",
        HelpName = "LEVEL",
        DefaultValueFactory = _ => LogLevel.Warning,
        CustomParser = ReadLogLevel,
    };

    private readonly Option<bool> _json = new("--json")
    {
        Description = "write each log as a line of JSON",
    };

    /// <summary>The command, which calls <paramref name="run"/> with what was asked for and ends with its exit status.</summary>
    public RootCommand Build(Func<Arguments, Task<int>> run)
    {
        var root = new RootCommand("Lets programs exchange messages over plain HTTP: an event stream for each, and POST to send.")
        {
            _port, _host, _socket, _limit, _heartbeat, _uid, _gid, _log, _json,
            _proxy, _maxConnections, _maxChannels, _maxPeers, _maxRequests, _maxStreams,
        };
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
        int? port = parsed.GetValue(_port);
        string? host = parsed.GetValue(_host);
        string? socket = parsed.GetValue(_socket);
        bool tcp = socket is null || port is not null || host is not null;
        var options = new MoshpitServerOptions
        {
            Port = tcp ? port ?? DefaultPort : null,
            Host = host,
            SocketPath = socket,
            BodyLimit = parsed.GetValue(_limit),
            Heartbeat = TimeSpan.FromSeconds(parsed.GetValue(_heartbeat)),
            MaxConnections = parsed.GetValue(_maxConnections),
            MaxChannels = parsed.GetValue(_maxChannels),
            MaxPeersPerChannel = parsed.GetValue(_maxPeers),
            RequestsPerSecondPerAddress = parsed.GetValue(_maxRequests),
            MaxStreamsPerAddress = parsed.GetValue(_maxStreams),
        };
        foreach (string proxy in parsed.GetValue(_proxy) ?? [])
            options.Proxies.Add(proxy);
        return new Arguments(options, parsed.GetValue(_uid), parsed.GetValue(_gid), parsed.GetValue(_log), parsed.GetValue(_json));
    }

    private static Option<int> Maximum(string name, string what, int value) => new(name)
    {
        Description = $"most {what}",
        HelpName = "N",
        DefaultValueFactory = _ => value,
        CustomParser = result => (int)ReadNumber(result, "a whole number", 1, int.MaxValue),
    };

    private static double ReadNumber(ArgumentResult result, string kind, double least, double most)
    {
        string text = result.Tokens[0].Value;
        NumberStyles style = kind == "a number" ? NumberStyles.AllowDecimalPoint : NumberStyles.None;
        if (double.TryParse(text, style, CultureInfo.InvariantCulture, out double number) && number >= least && number <= most)
            return number;
        result.AddError($"{Name(result)} must be {kind} from {least} to {most}, not '{text}'.");
        return default;
    }

    private static LogLevel ReadLogLevel(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (Enum.TryParse(text, ignoreCase: true, out LogLevel level) && Enum.IsDefined(level) && !char.IsAsciiDigit(text[0]))
            return level;
        result.AddError($"{Name(result)} must be trace, debug, information, warning, error, critical or none, not '{text}'.");
        return default;
    }

    private static string Name(ArgumentResult result) => ((OptionResult)result.Parent!).Option.Name;

    /// <summary>What was asked for.</summary>
    internal sealed record Arguments(MoshpitServerOptions Options, string? User, string? Group, LogLevel LogLevel, bool Json);
}
