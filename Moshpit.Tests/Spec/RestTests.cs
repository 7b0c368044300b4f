using System.Runtime.CompilerServices;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server.Api;
using Moshpit.Server.Transport;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// A connection that waits holds neither buffers nor the state of a request, unless its next request can be expected soon.
/// </summary>
[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class RestTests
{
    private readonly FakeTimeProvider _clock = new();

    [Test]
    public async Task A_connection_that_has_said_nothing_holds_nothing()
    {
        await using TestServer server = await StartAsync();
        using RawConnection connection = server.Connect();
        HttpConnection serving = await ServingAsync(server);
        Assert.That(IsAtRest(serving), Is.True);
        connection.Send("G");
        await Eventually.AsyncTrue(() => ExchangeOf(serving) is { Parser.HasStarted: true });
        Assert.That(IsAtRest(serving), Is.False, "in the middle of a request it must");
        connection.Send("ET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(404));
    }

    [Test]
    public async Task Between_requests_it_holds_nothing_if_they_come_slowly()
    {
        await using TestServer server = await StartAsync();
        using RawConnection connection = server.Connect();
        HttpConnection serving = await ServingAsync(server);
        for (int n = 0; n < 3; n++)
        {
            await AskAsync(connection);
            await Eventually.AsyncTrue(() => IsAtRest(serving));
            _clock.Pass(3);
        }
    }

    [Test]
    public async Task Between_requests_that_come_in_quick_succession_it_keeps_its_buffers_until_they_come_slowly_again()
    {
        await using TestServer server = await StartAsync();
        using RawConnection connection = server.Connect();
        HttpConnection serving = await ServingAsync(server);
        await AskAsync(connection);
        await Eventually.AsyncTrue(() => IsAtRest(serving));
        await AskAsync(connection);
        TransportBuffers? kept = BuffersOf(ConnectionOf(serving));
        Assert.That(kept, Is.Not.Null);
        for (int n = 0; n < 10; n++)
        {
            await AskAsync(connection);
            Assert.That(BuffersOf(ConnectionOf(serving)), Is.SameAs(kept));
        }

        _clock.Pass(3);
        await AskAsync(connection);
        await Eventually.AsyncTrue(() => IsAtRest(serving));
    }

    [Test]
    public async Task What_a_client_has_said_already_is_served_before_a_rest()
    {
        await using TestServer server = await StartAsync();
        using RawConnection connection = server.Connect();
        HttpConnection serving = await ServingAsync(server);
        string request = Asking.Text("GET", "/nowhere");
        connection.Send(request + request + "\r\n" + request[..10]);
        for (int n = 0; n < 2; n++)
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(404));
        Assert.That(IsAtRest(serving), Is.False);
        connection.Send(request[10..]);
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(404));
    }

    [Test]
    public async Task Half_of_an_empty_line_after_a_request_is_not_forgotten()
    {
        await using TestServer server = await StartAsync();
        using RawConnection connection = server.Connect();
        connection.Send(Asking.Text("GET", "/nowhere") + "\r");
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(404));
        connection.Send("\n");
        await AskAsync(connection);
    }

    [Test]
    public async Task At_rest_its_time_runs_out_and_a_stop_ends_it()
    {
        await using TestServer server = await StartAsync();
        using RawConnection silent = server.Connect();
        await ServingAsync(server);
        await _clock.PassUntilAsync(10, silent.ReadToEndAsync());
        await server.WhenIdleAsync();
        using RawConnection idle = server.Connect();
        HttpConnection serving = await ServingAsync(server);
        await AskAsync(idle);
        await Eventually.AsyncTrue(() => IsAtRest(serving));
        _clock.Pass(70);
        Assert.That(server.Server.Parts.Http.Connections.Count, Is.EqualTo(1));
        await _clock.PassUntilAsync(5, idle.ReadToEndAsync());
        await server.WhenIdleAsync();
        using RawConnection last = server.Connect();
        await ServingAsync(server);
        Task stopped = server.Server.StopAsync();
        Assert.That(await last.ReadToEndAsync(), Is.Empty);
        await stopped.WaitAsync(RawConnection.Patience);
    }

    private Task<TestServer> StartAsync() => TestServer.StartAsync(options => options.TimeProvider = _clock);

    private static async Task AskAsync(RawConnection connection)
    {
        connection.Send(Asking.Text("GET", "/nowhere"));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(404));
    }

    /// <summary>The server's end of the one connection that there is.</summary>
    private static async Task<HttpConnection> ServingAsync(TestServer server)
    {
        HttpConnection? serving = null;
        await Eventually.AsyncTrue(() =>
        {
            foreach (HttpConnection? connection in server.Server.Parts.Http.Connections.Snapshot())
                serving = connection ?? serving;
            return serving is not null && server.Server.Parts.Http.Connections.Count == 1;
        });
        return serving!;
    }

    private static bool IsAtRest(HttpConnection connection) =>
        ExchangeOf(connection) is null && BuffersOf(ConnectionOf(connection)) is null;

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_exchange")]
    private static extern ref Exchange? ExchangeOf(HttpConnection connection);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_connection")]
    private static extern ref RequestConnection ConnectionOf(HttpConnection connection);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_buffers")]
    private static extern ref TransportBuffers? BuffersOf(RequestConnection connection);
}
