using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server;
using Moshpit.Server.Api;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// What an operator learns from the log: what is refused, which peers are cut, how streams end. A flood of cases is no flood of lines.
/// </summary>
[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class OperatorTests
{
    private const string Client = "203.0.113.7";
    private const int Period = (int)(OperatorWarnings.Interval / 1000);

    private readonly FakeTimeProvider _clock = new();
    private readonly ErrorLog _log = new(LogLevel.Information);

    [Test]
    public async Task Refusals_at_a_limit_are_counted_in_one_warning_a_period()
    {
        await using TestServer server = await StartAsync(options => options.MaxChannels = 1);
        using RawPeer owner = await server.CreateAsync();
        await RefusedAsync(server, 5);
        _clock.Pass(1);
        await LinesAsync(210, "At a limit: refused 5 times with 503 too-many-channels, last loopback or a Unix socket.");
        await RefusedAsync(server, 2);
        _clock.Pass(Period - 2);
        await RefusedAsync(server, 1);
        await Eventually.AsyncTrue(() => Lines(210).Count == 1);
        _clock.Pass(3);
        await LinesAsync(
            210,
            "At a limit: refused 5 times with 503 too-many-channels, last loopback or a Unix socket.",
            "At a limit: refused 3 times with 503 too-many-channels, last loopback or a Unix socket.");
        _clock.Pass(3 * Period);
        Assert.That(Lines(210), Has.Count.EqualTo(2), "nothing was refused since");
    }

    [Test]
    public async Task Refusals_by_address_name_the_reason_and_an_address_of_each_kind()
    {
        await using TestServer server = await StartAsync(options =>
        {
            BoundsTests.Strict(options);
            options.Proxies.Add("127.0.0.1");
        });
        using RawPeer owner = await RawPeer.OpenAsync(server.Connect(), "/", Asking.From(Client));
        using RawPeer guest = await RawPeer.OpenAsync(server.Connect(), "/" + owner.Id, Asking.From(Client));
        for (int n = 0; n < 10; n++)
            await server.AskAsync("GET", "/" + owner.Id, Asking.From(Client));
        _clock.Pass(1);
        await LinesAsync(
            210,
            "At a limit: refused 2 times with 429 too-many-requests, last 203.0.113.7.",
            "At a limit: refused 8 times with 429 too-many-streams, last 203.0.113.7.");
    }

    [Test]
    public async Task Connections_that_are_refused_are_counted_whether_they_are_told_or_not()
    {
        const int Told = 100;
        await using TestServer server = await StartAsync(options => options.MaxConnections = 1);
        using RawPeer owner = await server.CreateAsync();
        RawConnection[] refused = [.. Enumerable.Range(0, Told + 20).Select(_ => server.Connect())];
        for (int n = Told; n < refused.Length; n++)
            await refused[n].ReadToEndOrResetAsync();
        refused[0].Send(Asking.Text("GET", "/"));
        Assert.That((await refused[0].ReadResponseAsync()).Status, Is.EqualTo(503));
        _clock.Pass(1);
        await LinesAsync(210, "At a limit: refused 120 times with 503 too-many-connections, last 127.0.0.1.");
        foreach (RawConnection connection in refused)
            connection.Dispose();
    }

    [Test]
    public async Task What_a_client_may_be_refused_for_anyway_is_no_warning()
    {
        await using TestServer server = await StartAsync();
        foreach (string method in new[] { "GET", "PUT", "POST" })
            await server.AskAsync(method, "/nowhere");
        _clock.Pass(2 * Period);
        await server.Server.StopAsync();
        Assert.That(Lines(210), Is.Empty);
    }

    [Test]
    public async Task Streams_that_are_cut_are_counted_by_reason_and_the_end_of_the_server_forgets_none()
    {
        await using (TestServer server = await StartAsync(options => options.StreamInputLimit = 1))
        {
            using RawPeer owner = await server.CreateAsync();
            RawPeer guest = await server.JoinAsync(owner.Id);
            guest.Stream.Send("abc");
            await guest.Stream.ReadToEndOrResetAsync();
            (await server.JoinAsync(owner.Id)).Dispose();
            await Eventually.AsyncTrue(() => server.Server.Parts.Streams.Streams.Count == 1);
        }

        await LinesAsync(211, "Cut 1 streams for TooMuchInput, last one of loopback or a Unix socket.");
    }

    [Test]
    public async Task The_end_of_a_stream_is_told_with_its_address_reason_duration_and_bytes()
    {
        await using TestServer server = await StartAsync(options => options.Proxies.Add("127.0.0.1"));
        RawPeer owner = await RawPeer.OpenAsync(server.Connect(), "/", Asking.From("2001:db8:1:2::3"));
        await owner.SendAsync(server, $"\"{new string('.', 5000)}\"");
        await owner.ReadSignalAsync();
        long sent = (await server.StreamAsync()).BytesSent;
        Assert.That(sent, Is.InRange(5000, 6000));
        _clock.Pass(3);
        owner.Dispose();
        await LinesAsync(
            201,
            $"Peer {owner.Cid[..8]} of 2001:db8:1:2::/64 left channel {owner.Id[..8]}: ClosedByPeer. "
            + $"Its stream lasted 3 s and was sent {sent} bytes.");
    }

    [TestCase("X-Forwarded-For: 203.0.113.7\r\n")]
    [TestCase("Forwarded: for=203.0.113.7\r\n")]
    [TestCase("Via: 1.1 somewhere\r\n")]
    [TestCase("X-Real-IP: 203.0.113.7\r\n")]
    public async Task A_proxy_on_this_machine_that_is_not_named_is_told_of_once(string fields)
    {
        await using TestServer server = await StartAsync();
        await server.AskAsync("GET", "/nowhere");
        for (int n = 0; n < 5; n++)
            await server.AskAsync("GET", "/nowhere", fields);
        await server.Server.StopAsync();
        Assert.That(Lines(214), Has.Count.EqualTo(1).And.All.Contains("no limits by address").And.All.Contains("--proxy"));
        Assert.That(Lines(213), Is.Empty);
    }

    [Test]
    public async Task A_remote_proxy_that_is_not_named_is_told_of_once_and_a_named_one_is_not()
    {
        IPAddress own = Asking.OwnAddress();
        await using TestServer server = await StartAsync(options =>
        {
            options.Host = null;
            options.Proxies.Add("127.0.0.1");
        });
        await server.AskAsync("GET", "/nowhere", Asking.From(Client));
        for (int n = 0; n < 3; n++)
        {
            using RawConnection connection = RawConnection.Connect(new IPEndPoint(own, server.Port));
            connection.Send(Asking.Text("GET", "/nowhere", Asking.From(Client)));
            await connection.ReadResponseAsync();
        }

        await server.Server.StopAsync();
        Assert.That(Lines(213), Has.Count.EqualTo(1).And.All.Contains($"from {own}").And.All.Contains("--proxy"), "the remote one");
        Assert.That(Lines(214), Is.Empty, "the named one");
    }

    [Test]
    public void Memory_over_its_limit_is_told_of_once_a_period()
    {
        var warnings = new OperatorWarnings(_log);
        for (long now = 0; now <= OperatorWarnings.Interval; now += 1000)
            warnings.OnTick(now, messageBytes: now is 1000 or > 2000 ? 101 : 100, messageLimit: 100);
        Assert.That(Lines(212),
            Is.EqualTo(new[] { "At a limit: messages take 101 bytes of memory, more than 100. Peers that read slowest are cut." }));
        warnings.OnTick(1000 + OperatorWarnings.Interval, 102, 100);
        Assert.That(Lines(212), Has.Count.EqualTo(2));
    }

    private Task<TestServer> StartAsync(Action<MoshpitServerOptions>? configure = null) => TestServer.StartAsync(options =>
    {
        options.TimeProvider = _clock;
        options.LoggerFactory = _log;
        configure?.Invoke(options);
    });

    private static async Task RefusedAsync(TestServer server, int count)
    {
        for (int n = 0; n < count; n++)
            Assert.That((await server.AskAsync("GET", "/")).Status, Is.EqualTo(503));
    }

    private List<string> Lines(int id) =>
        [.. _log.Lines.Where(line => line.StartsWith($"{id} ", StringComparison.Ordinal)).Select(line => line[4..].TrimEnd()).Order()];

    private async Task LinesAsync(int id, params string[] lines)
    {
        await Eventually.AsyncTrue(() => Lines(id).Count >= lines.Length);
        Assert.That(Lines(id), Is.EquivalentTo(lines));
    }
}
