using System.CommandLine;
using Moshpit.Server;

namespace Moshpit.Tests.Spec;

/// <summary>What the limits' options of the program come to.</summary>
internal sealed class CommandLineTests
{
    [Test]
    public async Task Without_options_the_limits_are_those_of_the_library()
    {
        MoshpitServerOptions options = await ReadAsync("");
        var defaults = new MoshpitServerOptions();
        Assert.That(Limits(options), Is.EqualTo(Limits(defaults)));
        Assert.That((options.BodyLimit, options.Heartbeat, options.Port), Is.EqualTo((defaults.BodyLimit, defaults.Heartbeat, defaults.Port)));
        Assert.That(options.Proxies, Is.Empty);
    }

    [Test]
    public async Task Each_limit_is_set_by_its_own_option()
    {
        MoshpitServerOptions options = await ReadAsync("--max-connections 1 --max-channels 2 --max-peers 3 --max-requests 4 --max-streams 5");
        Assert.That(Limits(options), Is.EqualTo((1, 2, 3, 4, 5)));
    }

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
    public void A_limit_that_makes_no_sense_is_named(string option)
    {
        foreach (string value in new[] { "0", "-1", "x", "1.5", "99999999999" })
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

    private static (int Connections, int Channels, int Peers, int Requests, int Streams) Limits(MoshpitServerOptions options) => (
        options.MaxConnections, options.MaxChannels, options.MaxPeersPerChannel,
        options.RequestsPerSecondPerAddress, options.MaxStreamsPerAddress);

    private static async Task<MoshpitServerOptions> ReadAsync(string arguments)
    {
        MoshpitServerOptions? read = null;
        RootCommand command = new CommandLine().Build(asked =>
        {
            read = asked.Options;
            return Task.FromResult(0);
        });
        ParseResult parsed = command.Parse(arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.That(parsed.Errors, Is.Empty);
        await parsed.InvokeAsync();
        return read!;
    }
}
