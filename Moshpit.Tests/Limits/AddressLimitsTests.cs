using System.Net;
using Moshpit.Server.Limits;

namespace Moshpit.Tests.Limits;

/// <summary>Which addresses count as one client, and which as no client in particular.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class AddressLimitsTests
{
    private const string Client = "203.0.113.7";

    private readonly AddressLimits _limits = new()
    {
        RequestsPerSecond = 10,
        ChannelsPerMinute = 6,
        Streams = 3,
        Connections = 2,
        Proxies = [IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("127.0.0.1/32"), IPNetwork.Parse("2001:db8:f::/48")],
        UnixSocketIsProxy = false,
    };

    [Test]
    public void An_address_holds_as_many_connections_as_it_may_and_room_that_is_given_back_can_be_used_again()
    {
        AddressUsage? first = Hold(Client);
        Assert.That(Hold(Client), Is.SameAs(first));
        Assert.That(_limits.TryHold(IPAddress.Parse(Client), out _), Is.False);
        Assert.That(Hold("203.0.113.8"), Is.Not.SameAs(first), "another address is another client");
        _limits.Release(first);
        Assert.That(Hold(Client), Is.SameAs(first));
    }

    [TestCase("127.0.0.1")]
    [TestCase("127.200.3.4")]
    [TestCase("::1")]
    [TestCase("::ffff:127.0.0.1")]
    [TestCase("10.1.2.3")]
    [TestCase("::ffff:10.1.2.3")]
    [TestCase("2001:db8:f::1")]
    [TestCase(null, Description = "a Unix socket")]
    public void Loopback_Unix_sockets_and_named_proxies_stand_for_many_and_are_not_limited(string? address)
    {
        for (int n = 0; n < 100; n++)
            Assert.That((_limits.TryHold(address is null ? null : IPAddress.Parse(address), out AddressUsage? usage), usage),
                Is.EqualTo((true, (AddressUsage?)null)));
        Assert.That(_limits.Count, Is.Zero);
    }

    [TestCase("203.0.113.7", "::ffff:203.0.113.7", true)]
    [TestCase("203.0.113.7", "203.0.113.6", false)]
    [TestCase("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true)]
    [TestCase("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [TestCase("2001:db8:1:2::1", "2001:db9:1:2::1", false)]
    public void An_IPv4_address_is_one_client_and_so_is_an_IPv6_network_of_64_bits(string one, string other, bool same) =>
        Assert.That(ReferenceEquals(Hold(one), Hold(other)), Is.EqualTo(same));

    [TestCase("127.0.0.1")]
    [TestCase("10.1.2.3")]
    [TestCase("2001:db8:f::1")]
    [TestCase(null, Description = "a Unix socket")]
    public void What_a_proxy_sends_without_a_client_is_counted_for_the_proxy_alone(string? address)
    {
        IPAddress? proxy = address is null ? null : IPAddress.Parse(address);
        AddressUsage usage = _limits.HoldProxy(proxy);
        Assert.That(_limits.HoldProxy(proxy), Is.SameAs(usage));
        Assert.That(_limits.HoldProxy(IPAddress.Parse("10.1.2.4")), Is.Not.SameAs(usage));
        Assert.That(_limits.HoldClient(IPAddress.Parse("2001:db8:f::2")), Is.Not.SameAs(usage));
        Assert.That(Requests(usage, 0), Is.EqualTo(10));
    }

    [TestCase("203.0.113.7", "203.0.113.7")]
    [TestCase("::ffff:203.0.113.7", "203.0.113.7")]
    [TestCase("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")]
    public void A_client_has_a_name_for_logs(string address, string name) =>
        Assert.That(_limits.HoldClient(IPAddress.Parse(address)).ToString(), Is.EqualTo(name));

    [TestCase("10.1.2.3", "10.1.2.3")]
    [TestCase("2001:db8:f::1", "2001:db8:f::1")]
    [TestCase(null, "the Unix socket")]
    public void So_has_a_proxy(string? address, string name) =>
        Assert.That(_limits.HoldProxy(address is null ? null : IPAddress.Parse(address)).ToString(), Is.EqualTo(name));

    [Test]
    public void Requests_come_back_within_a_second_and_channels_within_a_minute()
    {
        AddressUsage usage = Hold(Client)!;
        Assert.That((Requests(usage, 0), Channels(usage, 0)), Is.EqualTo((10, 6)));
        Assert.That((Requests(usage, 1000), Channels(usage, 1000)), Is.EqualTo((10, 0)));
        Assert.That(Channels(usage, 10_000), Is.EqualTo(1));
        Assert.That(Channels(usage, 70_000), Is.EqualTo(6));
    }

    [Test]
    public void Streams_are_counted_until_they_are_removed()
    {
        AddressUsage usage = Hold(Client)!;
        for (int n = 0; n < 3; n++)
            Assert.That(usage.TryAddStream(), Is.True);
        Assert.That(usage.TryAddStream(), Is.False);
        usage.RemoveStream();
        Assert.That((usage.TryAddStream(), usage.TryAddStream()), Is.EqualTo((true, false)));
    }

    [Test]
    public void An_address_without_connections_is_forgotten_as_soon_as_that_changes_nothing_and_no_other_is()
    {
        AddressUsage gone = Hold(Client)!;
        AddressUsage there = Hold("203.0.113.8")!;
        gone.TryCreateChannel(0);
        Hold(Client);
        _limits.Release(gone);
        _limits.OnTick(100_000);
        Assert.That(_limits.Count, Is.EqualTo(2), "it is still held once");
        Channels(gone, 100_000);
        _limits.Release(gone);
        _limits.OnTick(159_999);
        Assert.That(_limits.Count, Is.EqualTo(2), "an address that comes back too soon is still known");
        _limits.OnTick(160_000);
        Assert.That(_limits.Count, Is.EqualTo(1));
        Assert.That(Hold("203.0.113.8"), Is.SameAs(there));
    }

    [Test]
    public void An_address_is_not_forgotten_as_long_as_a_stream_counts_against_it_even_without_a_connection()
    {
        AddressUsage usage = Hold(Client)!;
        Assert.That(usage.TryAddStream());
        _limits.Release(usage);
        _limits.OnTick(100_000);
        Assert.That(Hold(Client), Is.SameAs(usage));
        _limits.Release(usage);
        usage.RemoveStream();
        _limits.OnTick(100_000);
        Assert.That(_limits.Count, Is.Zero);
    }

    private AddressUsage? Hold(string address)
    {
        Assert.That(_limits.TryHold(IPAddress.Parse(address), out AddressUsage? usage), Is.True);
        return usage;
    }

    private static int Requests(AddressUsage usage, long now)
    {
        int count = 0;
        while (usage.TryRequest(now))
            count++;
        return count;
    }

    private static int Channels(AddressUsage usage, long now)
    {
        int count = 0;
        while (usage.TryCreateChannel(now))
            count++;
        return count;
    }
}
