using System.Net;
using System.Text;
using Moshpit.Server.Api;
using Moshpit.Server.Limits;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Api;

/// <summary>For which client a named proxy speaks.</summary>
internal sealed class ForwardedClientTests
{
    private readonly AddressLimits _limits = new()
    {
        RequestsPerSecond = 10,
        ChannelsPerMinute = 6,
        Streams = 3,
        Connections = 2,
        Proxies = [IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("127.0.0.1/32"), IPNetwork.Parse("2001:db8:f::/48")],
        UnixSocketIsProxy = false,
    };

    [TestCase("203.0.113.7", "203.0.113.7")]
    [TestCase("198.51.100.1, 203.0.113.7", "203.0.113.7")]
    [TestCase("198.51.100.1,203.0.113.7 , 10.2.0.1,10.1.2.3", "203.0.113.7")]
    [TestCase("203.0.113.7:4711", "203.0.113.7")]
    [TestCase("[2001:db8:1:2::1]:4711", "2001:db8:1:2::1")]
    [TestCase("[2001:db8:1:2::1]", "2001:db8:1:2::1")]
    [TestCase("2001:db8:1:2::1, 2001:db8:f::9", "2001:db8:1:2::1")]
    [TestCase("2001:db8:1:2::1%eth0", "2001:db8:1:2::1")]
    [TestCase("::ffff:203.0.113.7", "::ffff:203.0.113.7")]
    [TestCase("nonsense, 203.0.113.7", "203.0.113.7")]
    [TestCase("\", 203.0.113.7", "203.0.113.7")]
    [TestCase("203.0.113.7,", "203.0.113.7")]
    [TestCase(", 203.0.113.7, , 10.1.2.3 ,,", "203.0.113.7")]
    [TestCase("127.0.0.1, 203.0.113.7, 127.0.0.1", "203.0.113.7")]
    public void In_XForwardedFor_it_is_the_last_address_that_is_not_a_proxy(string field, string client) =>
        Assert.That(Find(forwardedFor: field), Is.EqualTo(IPAddress.Parse(client)));

    [TestCase("")]
    [TestCase("   ")]
    [TestCase(",")]
    [TestCase("203.0.113.7, unknown")]
    [TestCase("203.0.113.7, _hidden")]
    [TestCase("203.0.113.7, 300.1.1.1")]
    [TestCase("203.0.113.7, 203.0.113")]
    [TestCase("203.0.113.7, 203.0.113.7.1")]
    [TestCase("203.0.113.7, 203.0.113.")]
    [TestCase("203.0.113.7, 203.0..7")]
    [TestCase("203.0.113.7, 0313.0.113.7")]
    [TestCase("203.0.113.7, 0xcb.0.113.7")]
    [TestCase("203.0.113.7, 3405803783")]
    [TestCase("203.0.113.7, 203.0.113.7 203.0.113.8")]
    [TestCase("203.0.113.7, 203.0.113.7:")]
    [TestCase("203.0.113.7, 203.0.113.7:99999")]
    [TestCase("203.0.113.7, 203.0.113.7:123456")]
    [TestCase("203.0.113.7, 203.0.113.7:-1")]
    [TestCase("203.0.113.7, [2001:db8:1:2::1")]
    [TestCase("203.0.113.7, [2001:db8:1:2::1]4711")]
    [TestCase("203.0.113.7, [203.0.113.7]")]
    [TestCase("203.0.113.7, []")]
    [TestCase("203.0.113.7, 2001:db8:1:2::1/64")]
    [TestCase("203.0.113.7, 2001:db8::1::2")]
    [TestCase("203.0.113.7, ::1.0.0.01")]
    [TestCase("203.0.113.7, 2001:db8:1:2:3:4:5:6:7")]
    [TestCase("203.0.113.7, ÿþ\u0001")]
    [TestCase("10.0.0.1, 10.0.0.2")]
    [TestCase("127.0.0.1")]
    [TestCase("::1")]
    [TestCase("::ffff:127.0.0.1")]
    public void What_names_no_client_is_not_put_on_one_that_is_named_before_it(string field) =>
        Assert.That(Find(forwardedFor: field), Is.Null);

    // The first five are those of RFC 7239 section 4.
    [TestCase("for=\"_gazonk\"", null)]
    [TestCase("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17")]
    [TestCase("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60")]
    [TestCase("for=192.0.2.43, for=198.51.100.17", "198.51.100.17")]
    [TestCase("for=192.0.2.43, for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17")]
    [TestCase("for=\"192.0.2.43:47011\"", "192.0.2.43")]
    [TestCase("for=\"192.0.2.43:_port\"", "192.0.2.43")]
    [TestCase("for=\"192.0.2.43\" ; proto=http , by=_x;;host=\"a,b;for=1.2.3.4\";for=192.0.2.44;", "192.0.2.44")]
    [TestCase(",, for=192.0.2.43,,", "192.0.2.43")]
    [TestCase("for=192.0.2.43, for=10.0.0.1, for=\"[2001:db8:f::1]:80\"", "192.0.2.43")]
    [TestCase("for=unknown, for=192.0.2.43", "192.0.2.43")]
    [TestCase("for=192.0.2.43, for=unknown", null)]
    [TestCase("for=192.0.2.43, for=_hidden", null)]
    [TestCase("for=192.0.2.43, proto=http", null, Description = "a proxy that does not name its client")]
    [TestCase("for=192.0.2.43, for=\"\"", null)]
    [TestCase("for=192.0.2.43, for=", null)]
    [TestCase("for=192.0.2.43, for", null)]
    [TestCase("for=192.0.2.43, =192.0.2.44", null)]
    [TestCase("for=192.0.2.43;for=192.0.2.44", null)]
    [TestCase("for=192.0.2.43:80", null, Description = "a colon must be quoted")]
    [TestCase("for=[2001:db8:cafe::17]", null)]
    [TestCase("for=\"2001:db8:cafe::17\"", null, Description = "without brackets")]
    [TestCase("for=\"\\192.0.2.43\"", null, Description = "no address needs a backslash")]
    [TestCase("for=\"192.0.2.43", null)]
    [TestCase("for=192.0.2.43\"", null)]
    [TestCase("for = 192.0.2.43", null)]
    [TestCase("for=10.0.0.1", null)]
    [TestCase("for=127.0.0.1", null)]
    [TestCase("x=\", for=192.0.2.43", null, Description = "a client's quote would hide what its proxy wrote")]
    [TestCase("for=192.0.2.1;x=\", for=192.0.2.43;host=\"a\"", null, Description = "a client's quote that the proxy closes")]
    [TestCase("for=192.0.2.1;x=\", for=192.0.2.43;host=\"\";proto=http", null)]
    [TestCase("nonsense, for=192.0.2.43", null, Description = "where an element begins is not known behind what is malformed")]
    public void In_Forwarded_it_is_the_last_element_that_is_not_a_proxys(string field, string? client) =>
        Assert.That(Find(forwarded: field), Is.EqualTo(client is null ? null : IPAddress.Parse(client)));

    [TestCase("203.0.113.7", "for=203.0.113.7", "203.0.113.7")]
    [TestCase("198.51.100.1, 203.0.113.7:80, 10.0.0.1", "for=198.51.100.2, for=\"203.0.113.7:81\"", "203.0.113.7")]
    [TestCase("2001:db8:1:2::1", "for=\"[2001:db8:1:2::2]\"", "2001:db8:1:2::1", Description = "one network is one client")]
    [TestCase("203.0.113.7", "for=203.0.113.8", null)]
    [TestCase("203.0.113.7", "for=unknown", null)]
    [TestCase("unknown", "for=203.0.113.7", null)]
    [TestCase("203.0.113.7", ",", null)]
    [TestCase("203.0.113.7", "\"", null)]
    public void Both_must_name_the_same_client(string forwardedFor, string forwarded, string? client) =>
        Assert.That(Find(forwardedFor, forwarded), Is.EqualTo(client is null ? null : IPAddress.Parse(client)));

    [Test]
    public void A_list_as_long_as_a_header_section_is_understood()
    {
        Assert.That(Find("203.0.113.7" + string.Concat(Enumerable.Repeat(",10.0.0.1", 1800))), Is.EqualTo(IPAddress.Parse("203.0.113.7")));
        Assert.That(Find(new string(',', 16_000)), Is.Null);
        Assert.That(
            Find(forwarded: "for=203.0.113.7" + string.Concat(Enumerable.Repeat(",for=10.0.0.1", 1200))),
            Is.EqualTo(IPAddress.Parse("203.0.113.7")));
        foreach (string hostile in new[] { ",", ";", "\"", "\"\"", "=", "x=\"\\", "x=\"\"," })
            Assert.That(Find(forwarded: string.Concat(Enumerable.Repeat(hostile, 16_000 / hostile.Length))), Is.Null, hostile);
    }

    [Test]
    public void The_fields_may_come_on_several_lines_and_in_any_pieces()
    {
        ParsedHead head = ParsedHead.OfFields(
            "forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\nFORWARDED: for=\"[2001:db8::1]\"\r\nX-Forwarded-For: 192.0.2.2\r\n");
        Assert.That((head.Forwarded, head.ForwardedFor), Is.EqualTo(("for=192.0.2.1, for=\"[2001:db8::1]\"", "192.0.2.1, 192.0.2.2")));
    }

    [TestCase("X-Forwarded-For: 192.0.2.1\r\n", true)]
    [TestCase("X-Forwarded-For:\r\n", true)]
    [TestCase("Forwarded: for=192.0.2.1\r\n", true)]
    [TestCase("via: 1.1 proxy\r\n", true)]
    [TestCase("X-Real-Ip: 192.0.2.1\r\n", true)]
    [TestCase("X-Real-Id: 192.0.2.1\r\nVie: 1\r\n", false)]
    [TestCase("", false)]
    public void A_request_that_came_through_a_proxy_is_known_by_its_fields(string fields, bool isForwarded) =>
        Assert.That(ParsedHead.OfFields(fields).IsForwarded, Is.EqualTo(isForwarded));

    private IPAddress? Find(string forwardedFor = "", string forwarded = "") =>
        ForwardedClient.Find(_limits, Encoding.Latin1.GetBytes(forwardedFor), Encoding.Latin1.GetBytes(forwarded));
}
