using System.CommandLine;
using System.CommandLine.Parsing;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Load;

/// <summary>The command line of <c>load</c>: options, what they mean, and one line for each mistake.</summary>
internal static class LoadCommand
{
    private const int MaxPeers = 19_000;
    private const int MaxSize = 10_000;
    private const int MaxPublishers = 1000;
    private const int MaxDirectPublishers = 64;
    private const double MaxRate = 10_000_000;

    private static readonly Argument<string> Url = new("url") { Description = $"The server, as {ServerUrl.Forms}" };
    private static readonly Option<int> Peers = Number("--peers", "Streams in all", 1000, MaxPeers);
    private static readonly Option<int> Channels = Number("--channels", "Channels that the peers are spread over", 1, MaxPeers);
    private static readonly Option<int> Messages = Number("--messages", "Messages to publish", 1000, int.MaxValue);
    private static readonly Option<int> Window = Number("--window", "Messages published and not yet delivered everywhere", 1, 100_000);
    private static readonly Option<int> Size = new Option<int>("--size")
    {
        Description = "Bytes of data in a message", DefaultValueFactory = _ => 64,
    }.MustBeWithin(Payload.MinLength, MaxSize);

    private static readonly Option<double?> Rate = new Option<double?>("--rate")
    {
        Description = "Messages a second, instead of a window; latencies count from when a message was due",
    }.MustBe("a positive number", value => value is null or (> 0 and <= MaxRate));

    private static readonly Option<bool> Direct = new("--direct")
    {
        Description = "Send each message to one peer of its channel instead of all",
    };

    private static readonly Option<bool> Sessions = new("--sessions")
    {
        Description = "Give each peer a session, and check that the ids of its events increase",
    };

    private static readonly Option<int?> Publishers = new Option<int?>("--publishers")
    {
        Description = "Kept-alive connections that POST [default: 1, or up to 64 with --direct]",
    }.MustBe("a number from 1 to 1000", value => value is null or (> 0 and <= MaxPublishers));

    private static readonly Option<int?> ProcessId = new Option<int?>("--pid")
    {
        Description = "The server's process, to report its CPU time and memory",
    }.MustBe("the id of a running process", value => value is not { } id || ProcessFiles.Exists(id));

    private static readonly Option<bool> CountOnly = new("--count-only")
    {
        Description = "Count deliveries by their bytes, which is faster than most servers, and check some messages before and after",
    };

    private static readonly Option<bool> Insecure = new("--insecure") { Description = "Accept any certificate of an https server" };

    private static readonly Option<string?> Plot = new("--plot") { Description = "Draw the latencies into this SVG file" };

    private static readonly Option<string?> SubscribePath = new("--subscribe-path")
    {
        Description = "For another SSE server: the path that a GET listens to, with {channel} and {peer} for their numbers",
    };

    private static readonly Option<string?> PublishPath = new("--publish-path")
    {
        Description = "For another SSE server: the path that a POST of the bare data goes to",
    };

    public static Command Create()
    {
        var command = new Command("load", "Put load on a running server and tell how it bears it")
        {
            Url, Peers, Channels, Messages, Window, Rate, Size, Direct, Sessions, Publishers, CountOnly, Insecure, ProcessId, Plot,
            SubscribePath, PublishPath,
        };
        command.Validators.Add(CheckTogether);
        command.SetAction(parsed => new LoadSession(Read(parsed)).Run());
        return command;
    }

    private static Option<int> Number(string name, string description, int value, int most)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value };
        return option.MustBeWithin(1, most);
    }

    private static void CheckTogether(CommandResult result)
    {
        if (result.GetResult(Url)?.GetValueOrDefault<string>() is { } url)
            CheckUrl(result, url);
        if (result.TryRead(Peers, out int peers) && result.TryRead(Channels, out int channels) && channels > peers && peers > 0)
            result.AddError("--channels must not be more than --peers: each channel has an owner.");
        if (result.GetResult(Rate) is not null && result.GetResult(Window) is not null)
            result.AddError("--rate and --window exclude each other.");
        if (result.GetResult(CountOnly) is not null && (result.GetResult(Rate) ?? result.GetResult(Plot)) is not null)
            result.AddError("--count-only excludes --rate and --plot: what is only counted has no latency.");
        if ((result.GetResult(SubscribePath) is null) != (result.GetResult(PublishPath) is null))
            result.AddError("--subscribe-path and --publish-path belong together.");
        if (result.GetResult(Sessions) is not null && result.GetResult(SubscribePath) is not null)
            result.AddError("--sessions excludes --subscribe-path: only a moshpit knows sessions.");
        string? path = result.GetResult(SubscribePath)?.GetValueOrDefault<string>();
        if (result.GetResult(Direct) is not null && path?.Contains("{peer}", StringComparison.Ordinal) == false)
            result.AddError("--direct with --subscribe-path needs {peer} in it: there is no other way to speak to one peer.");
    }

    private static void CheckUrl(CommandResult result, string text)
    {
        if (ServerUrl.TryParse(text) is not { } url)
            result.AddError($"'{text}' is not of the form {ServerUrl.Forms}.");
        else if (result.GetResult(CountOnly) is not null && (url.IsSecure || url.SocketPath is not null))
            result.AddError("--count-only needs http over TCP: TLS and Unix sockets can't tell how many bytes came unless they are read.");
        else if (result.GetResult(Insecure) is not null && !url.IsSecure)
            result.AddError("--insecure needs an https URL: without TLS there is no certificate.");
    }

    private static LoadOptions Read(ParseResult parsed)
    {
        bool direct = parsed.GetValue(Direct);
        int window = parsed.GetValue(Window);
        double? rate = parsed.GetValue(Rate);
        return new LoadOptions
        {
            Server = ServerUrl.TryParse(parsed.GetValue(Url)!)!,
            TrustsAll = parsed.GetValue(Insecure),
            Peers = parsed.GetValue(Peers),
            Channels = parsed.GetValue(Channels),
            Publishers = parsed.GetValue(Publishers)
                ?? (!direct ? 1 : rate is null ? Math.Min(window, MaxDirectPublishers) : MaxDirectPublishers),
            Sessions = parsed.GetValue(Sessions),
            Dialect = parsed.GetValue(SubscribePath) is { } path
                ? new PathDialect(path, parsed.GetValue(PublishPath)!)
                : parsed.GetValue(Sessions) ? new SessionDialect() : new MoshpitDialect(),
            ProcessId = parsed.GetValue(ProcessId),
            PlotPath = parsed.GetValue(Plot),
            Plan = new RunPlan
            {
                Messages = parsed.GetValue(Messages),
                Window = window,
                Rate = rate,
                Direct = direct,
                Size = parsed.GetValue(Size),
                CountOnly = parsed.GetValue(CountOnly),
                RecordLatency = !parsed.GetValue(CountOnly),
            },
        };
    }
}
