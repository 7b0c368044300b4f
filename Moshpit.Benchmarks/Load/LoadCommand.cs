using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Moshpit.Benchmarks.Servers;

namespace Moshpit.Benchmarks.Load;

/// <summary>The command line of <c>load</c>: options, what they mean, and one line for each mistake.</summary>
internal static class LoadCommand
{
    private const int MaxPeers = 19_000;
    private const int MaxSize = 10_000;

    private static readonly Argument<string> Url = new("url") { Description = "The server, as http://HOST:PORT" };
    private static readonly Option<int> Peers = Number("--peers", "Streams in all", 1000, MaxPeers);
    private static readonly Option<int> Channels = Number("--channels", "Channels that the peers are spread over", 1, MaxPeers);
    private static readonly Option<int> Messages = Number("--messages", "Messages to publish", 1000, int.MaxValue);
    private static readonly Option<int> Window = Number("--window", "Messages published and not yet delivered everywhere", 1, 100_000);
    private static readonly Option<int> Size = Number("--size", "Bytes of data in a message", 64, MaxSize);

    private static readonly Option<double?> Rate = new("--rate")
    {
        Description = "Messages a second, instead of a window; latencies count from when a message was due",
    };

    private static readonly Option<bool> Direct = new("--direct")
    {
        Description = "Send each message to one peer of its channel instead of all",
    };

    private static readonly Option<int?> Publishers = new("--publishers")
    {
        Description = "Kept-alive connections that POST [default: 1, or up to 64 with --direct]",
    };

    private static readonly Option<int?> ProcessId = new("--pid") { Description = "The server's process, to report its CPU time and memory" };

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
        Rate.Validators.Add(result => Require(result, result.GetValue(Rate) is null or (> 0 and <= 10_000_000), "a positive number"));
        Publishers.Validators.Add(result => Require(result, result.GetValue(Publishers) is null or (> 0 and <= 1000), "a number from 1 to 1000"));
        ProcessId.Validators.Add(result => Require(
            result, result.GetValue(ProcessId) is not { } id || ProcessFiles.Exists(id), "the id of a running process"));
        var command = new Command("load", "Put load on a running server and tell how it bears it")
        {
            Url, Peers, Channels, Messages, Window, Rate, Size, Direct, Publishers, ProcessId, Plot, SubscribePath, PublishPath,
        };
        command.Validators.Add(CheckTogether);
        command.SetAction(parsed => new LoadSession(Read(parsed)).Run());
        return command;
    }

    private static Option<int> Number(string name, string description, int value, int most)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value };
        option.Validators.Add(result => Require(
            result, result.GetValue(option) >= 1 && result.GetValue(option) <= most,
            string.Create(CultureInfo.InvariantCulture, $"a number from 1 to {most}")));
        return option;
    }

    private static void Require(OptionResult result, bool condition, string wanted)
    {
        if (!condition)
            result.AddError($"{result.Option.Name} must be {wanted}.");
    }

    private static void CheckTogether(CommandResult result)
    {
        // What does not parse, or is out of range by itself, has been complained about already.
        if (result.Children.OfType<OptionResult>().Any(option => option.Errors.Any()))
            return;
        int peers = Value(result, Peers);
        int channels = Value(result, Channels);
        if (channels > peers)
            result.AddError("--channels must not be more than --peers: each channel has an owner.");
        if (Value(result, Size) < Payload.MinLength)
            result.AddError($"--size must be at least {Payload.MinLength}: a message carries its number.");
        if (result.GetValue(Rate) is not null && result.GetResult(Window) is { Implicit: false })
            result.AddError("--rate and --window exclude each other.");
        if ((result.GetValue(SubscribePath) is null) != (result.GetValue(PublishPath) is null))
            result.AddError("--subscribe-path and --publish-path belong together.");
        if (result.GetValue(SubscribePath) is { } path && result.GetValue(Direct) && !path.Contains("{peer}", StringComparison.Ordinal))
            result.AddError("--direct with --subscribe-path needs {peer} in it: there is no other way to speak to one peer.");
    }

    /// <summary>Defaults are not yet filled in when a command is validated.</summary>
    private static int Value(CommandResult result, Option<int> option) =>
        result.GetResult(option) is null ? (int)option.GetDefaultValue()! : result.GetValue(option);

    private static LoadOptions Read(ParseResult parsed)
    {
        bool direct = parsed.GetValue(Direct);
        int window = parsed.GetValue(Window);
        double? rate = parsed.GetValue(Rate);
        return new LoadOptions
        {
            Server = Resolve(parsed.GetValue(Url)!),
            Peers = parsed.GetValue(Peers),
            Channels = parsed.GetValue(Channels),
            Publishers = parsed.GetValue(Publishers) ?? (direct ? (rate is null ? Math.Min(window, 64) : 64) : 1),
            Dialect = parsed.GetValue(SubscribePath) is { } path ? new PathDialect(path, parsed.GetValue(PublishPath)!) : new MoshpitDialect(),
            ProcessId = parsed.GetValue(ProcessId),
            PlotPath = parsed.GetValue(Plot),
            Plan = new RunPlan
            {
                Messages = parsed.GetValue(Messages),
                Window = window,
                Rate = rate,
                Direct = direct,
                Size = parsed.GetValue(Size),
                RecordLatency = true,
            },
        };
    }

    private static IPEndPoint Resolve(string url)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? uri) || uri.Scheme != Uri.UriSchemeHttp || uri.Host.Length == 0)
            throw new LoadException($"'{url}' is not of the form http://HOST:PORT.");
        try
        {
            IPAddress[] addresses = Dns.GetHostAddresses(uri.DnsSafeHost);
            return new IPEndPoint(addresses.FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork) ?? addresses[0], uri.Port);
        }
        catch (SocketException e)
        {
            throw new LoadException($"No such host, {uri.Host}: {e.Message}.");
        }
    }
}
