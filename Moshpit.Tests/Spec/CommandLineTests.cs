using System.CommandLine;
using Microsoft.Extensions.Logging;
using Moshpit.Server;

namespace Moshpit.Tests.Spec;

/// <summary>What the limits' options of the program come to.</summary>
internal sealed class CommandLineTests
{
    private static readonly object[] OneToTwelve = [1, 2, 3, 4, 5, 6, 7, 8L, 9L, TimeSpan.FromSeconds(10.5), 11L, 12];

    [Test]
    public async Task Without_options_the_limits_are_those_of_the_library()
    {
        MoshpitServerOptions options = await ReadAsync("");
        var defaults = new MoshpitServerOptions();
        Assert.That(Limits(options), Is.EqualTo(Limits(defaults)));
        Assert.That((options.BodyLimit, options.Heartbeat, options.Port),
            Is.EqualTo((defaults.BodyLimit, defaults.Heartbeat, defaults.Port)));
        Assert.That(options.Proxies, Is.Empty);
    }

    [Test]
    public async Task Each_limit_is_set_by_its_own_option()
    {
        MoshpitServerOptions options = await ReadAsync(
            "--max-connections 1 --max-channels 2 --max-peers 3 --max-requests 4 --max-streams 5 --max-connections-per-address 6"
            + " --max-new-channels 7 --backlog 8 --total-backlog 9 --idle 10.5"
            + " --max-backlog 11 --max-bytes 12");
        Assert.That(Limits(options), Is.EqualTo(OneToTwelve));
    }

    [Test]
    public async Task Each_limit_is_set_by_its_own_variable()
    {
        MoshpitServerOptions options = await ReadAsync("", new()
        {
            ["MOSHPIT_MAX_CONNECTIONS"] = "1", ["MOSHPIT_MAX_CHANNELS"] = "2", ["MOSHPIT_MAX_PEERS"] = "3", ["MOSHPIT_MAX_REQUESTS"] = "4",
            ["MOSHPIT_MAX_STREAMS"] = "5", ["MOSHPIT_MAX_CONNECTIONS_PER_ADDRESS"] = "6", ["MOSHPIT_MAX_NEW_CHANNELS"] = "7",
            ["MOSHPIT_BACKLOG"] = "8", ["MOSHPIT_TOTAL_BACKLOG"] = "9", ["MOSHPIT_IDLE"] = "10.5", ["MOSHPIT_MAX_BACKLOG"] = "11",
            ["MOSHPIT_MAX_BYTES"] = "12",
        });
        Assert.That(Limits(options), Is.EqualTo(OneToTwelve));
    }

    [Test]
    public async Task The_other_options_have_variables_too()
    {
        CommandLine.Arguments read = await ReadAllAsync("", new()
        {
            ["MOSHPIT_PORT"] = "7", ["MOSHPIT_HOST"] = "h", ["MOSHPIT_SOCKET"] = "/s", ["MOSHPIT_LIMIT"] = "8", ["MOSHPIT_HEARTBEAT"] = "0",
            ["MOSHPIT_UID"] = "u", ["MOSHPIT_GID"] = "g", ["MOSHPIT_LOG"] = "info", ["MOSHPIT_JSON"] = "true",
            ["MOSHPIT_PROXY"] = "10.0.0.0/8, ::1,unix",
        });
        MoshpitServerOptions options = read.Options;
        Assert.That((options.Port, options.Host, options.SocketPath, options.BodyLimit), Is.EqualTo((7, "h", "/s", 8)));
        Assert.That(options.Heartbeat, Is.EqualTo(TimeSpan.Zero));
        Assert.That((read.User, read.Group, read.LogLevel, read.Json), Is.EqualTo(("u", "g", LogLevel.Information, true)));
        Assert.That(options.Proxies, Is.EqualTo(new[] { "10.0.0.0/8", "::1", "unix" }));
        Assert.That(read.Warnings, Is.Empty);
    }

    [Test]
    public async Task The_command_line_wins_over_a_variable_and_an_empty_variable_counts_as_absent()
    {
        Dictionary<string, string> variables = new()
        {
            ["MOSHPIT_PORT"] = "7", ["MOSHPIT_LIMIT"] = "x", ["MOSHPIT_PROXY"] = "10.0.0.1", ["MOSHPIT_JSON"] = "true",
                ["MOSHPIT_IDLE"] = "",
        };
        CommandLine.Arguments read = await ReadAllAsync("--port 8 --limit 9 --proxy ::1 --json false", variables);
        Assert.That((read.Options.Port, read.Options.BodyLimit, read.Json), Is.EqualTo((8, 9, false)));
        Assert.That(read.Options.Proxies, Is.EqualTo(new[] { "::1" }));
        Assert.That(read.Options.IdleTimeout, Is.EqualTo(new MoshpitServerOptions().IdleTimeout));
    }

    [TestCase("--port", "x")]
    [TestCase("--port", "65536")]
    [TestCase("--limit", "0")]
    [TestCase("--heartbeat", "never")]
    [TestCase("--idle", "0")]
    [TestCase("--log", "loud")]
    [TestCase("--log", "2")]
    [TestCase("--max-new-channels", "-1")]
    [TestCase("--backlog", "1e3")]
    public void A_variable_that_makes_no_sense_is_told_as_the_option_is(string option, string value)
    {
        string told = new CommandLine().Build(_ => Task.FromResult(0)).Parse([option, value]).Errors[0].Message;
        Assert.That(told, Does.StartWith(option + " must be ").And.EndsWith($", not '{value}'."));
        string variable = "MOSHPIT_" + option[2..].Replace('-', '_').ToUpperInvariant();
        Assert.That(
            async () => await ReadAsync("", new() { [variable] = value }),
            Throws.ArgumentException.With.Message.EqualTo($"{variable}{told[option.Length..]} Try moshpit --help."));
    }

    [Test]
    public void A_flag_in_a_variable_is_true_or_false() => Assert.That(
        async () => await ReadAsync("", new() { ["MOSHPIT_JSON"] = "yes" }),
        Throws.ArgumentException.With.Message.StartsWith("MOSHPIT_JSON must be true or false, not 'yes'."));

    [Test]
    public async Task What_Kubernetes_sets_for_a_service_of_that_name_is_ignored_with_a_warning()
    {
        CommandLine.Arguments read = await ReadAllAsync("", new() { ["MOSHPIT_PORT"] = "tcp://10.0.0.1:5000" });
        Assert.That(read.Options.Port, Is.EqualTo(new MoshpitServerOptions().Port));
        Assert.That(read.Warnings.Single(), Does.StartWith("MOSHPIT_PORT is 'tcp://10.0.0.1:5000' and is ignored: "));
    }

    [TestCase("", "", 5000)]
    [TestCase("--socket /s", "", null)]
    [TestCase("--socket /s --port 7", "", 7)]
    [TestCase("--socket /s --host h", "", 5000)]
    [TestCase("--socket /s", "7", 7)]
    [TestCase("--socket /s", "tcp://10.0.0.1:5000", null)]
    public async Task A_Unix_socket_takes_the_place_of_TCP_unless_both_are_asked_for(string arguments, string variable, int? port) =>
        Assert.That((await ReadAsync(arguments, new() { ["MOSHPIT_PORT"] = variable })).Port, Is.EqualTo(port));

    [TestCase("info", LogLevel.Information)]
    [TestCase("INFORMATION", LogLevel.Information)]
    [TestCase("warn", LogLevel.Warning)]
    [TestCase("Warning", LogLevel.Warning)]
    [TestCase("crit", LogLevel.Critical)]
    [TestCase("critical", LogLevel.Critical)]
    [TestCase("trace", LogLevel.Trace)]
    [TestCase("debug", LogLevel.Debug)]
    [TestCase("error", LogLevel.Error)]
    [TestCase("none", LogLevel.None)]
    public async Task A_level_has_a_long_and_a_short_name(string name, LogLevel level) =>
        Assert.That((await ReadAllAsync("--log " + name)).LogLevel, Is.EqualTo(level));

    [Test]
    public async Task Proxies_may_be_named_again_and_again()
    {
        MoshpitServerOptions options = await ReadAsync("--proxy 10.0.0.0/8 --proxy ::1 --proxy unix");
        Assert.That(options.Proxies, Is.EqualTo(new[] { "10.0.0.0/8", "::1", "unix" }));
    }

    [TestCase("--max-connections")]
    [TestCase("--max-channels")]
    [TestCase("--max-peers")]
    [TestCase("--max-requests")]
    [TestCase("--max-streams")]
    [TestCase("--max-connections-per-address")]
    [TestCase("--max-new-channels")]
    [TestCase("--backlog")]
    [TestCase("--max-backlog")]
    [TestCase("--max-bytes")]
    [TestCase("--total-backlog")]
    public void A_limit_that_makes_no_sense_is_named(string option)
    {
        foreach (string value in new[] { "0", "-1", "x", "1.5", "99999999999999999" })
        {
            ParseResult parsed = new CommandLine().Build(_ => Task.FromResult(0)).Parse([option, value]);
            Assert.That(parsed.Errors.Select(error => error.Message), Has.Some.Contains(option).And.Contains($"'{value}'"), value);
        }
    }

    [TestCase("10.0.0.0/33")]
    [TestCase("10/8/8")]
    [TestCase("10.1")]
    [TestCase("10.1/8")]
    [TestCase("167772161")]
    [TestCase("proxy.example")]
    [TestCase("")]
    public void A_proxy_that_is_neither_an_address_nor_a_network_is_named(string proxy)
    {
        var options = new MoshpitServerOptions();
        options.Proxies.Add(proxy);
        Assert.That(options.ReadProxies, Throws.ArgumentException.With.Message.Contains($"'{proxy}'"));
    }

    private static object Limits(MoshpitServerOptions options) => new object[]
    {
        options.MaxConnections, options.MaxChannels, options.MaxPeersPerChannel, options.RequestsPerSecondPerAddress,
            options.MaxStreamsPerAddress,
        options.MaxConnectionsPerAddress, options.ChannelsPerMinutePerAddress, options.BacklogLimit, options.TotalBacklogLimit,
            options.IdleTimeout,
        options.MaxBacklog, options.BytesPerSecondPerPeer,
    };

    private static async Task<MoshpitServerOptions> ReadAsync(string arguments, Dictionary<string, string>? variables = null) =>
        (await ReadAllAsync(arguments, variables)).Options;

    private static async Task<CommandLine.Arguments> ReadAllAsync(string arguments, Dictionary<string, string>? variables = null)
    {
        CommandLine.Arguments? read = null;
        RootCommand command = new CommandLine(name => variables?.GetValueOrDefault(name)).Build(asked =>
        {
            read = asked;
            return Task.FromResult(0);
        });
        ParseResult parsed = command.Parse(arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.That(parsed.Errors, Is.Empty);
        await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        return read!;
    }
}
