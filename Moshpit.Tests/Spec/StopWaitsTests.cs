using Moshpit.Server;
using Moshpit.Server.Buffers;
using Moshpit.Server.Diagnostics;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>What a stop waits for when every client is gone, and for how long.</summary>
public sealed class StopWaitsTests
{
    private readonly CountingClock _clock = new();

    [Test]
    public async Task A_log_that_blocks_for_ever_stops_no_connection_and_not_the_end()
    {
        using var never = new ManualResetEventSlim();
        var log = new ErrorLog { Heard = _ => never.Wait(RawConnection.Patience * 2) };
        await using (TestServer server = await StartAsync(options => options.LoggerFactory = log))
        {
            using RawConnection connection = server.Connect();
            int requests = 2 * LogQueue.Capacity;
            connection.Send(string.Concat(Enumerable.Repeat("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", requests)));
            for (int n = 0; n < requests; n++)
                Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(404));
            using (RawPeer owner = await server.CreateAsync())
            using (RawPeer guest = await server.JoinAsync(owner.Id))
                Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
            connection.Dispose();
            await server.WhenIdleAsync();
            await server.Server.StopAsync().WaitAsync(RawConnection.Patience);
        }

        never.Set();
    }

    [Test]
    public async Task It_waits_for_the_message_buffers_that_are_still_held()
    {
        await using TestServer server = await StartAsync();
        SharedFrame frame = server.Server.Parts.Frames.Rent(1);
        int waits = _clock.Waits;
        Task stopping = server.Server.StopAsync();
        await Eventually.AsyncTrue(() => server.Server.Parts.Frames.Outstanding == 1 && _clock.Waits > waits);
        Assert.That(stopping.IsCompleted, Is.False);
        frame.Release();
        await stopping.WaitAsync(RawConnection.Patience);
    }

    [TestCase(false, "0 connections, 0 streams and 1 message buffers")]
    [TestCase(true, "0 connections, 0 streams and 3 message buffers")]
    public async Task What_does_not_end_is_waited_for_only_so_long_and_then_told(bool isServing, string told)
    {
        var log = new ErrorLog();
        var server = new MoshpitServer(
            new MoshpitServerOptions { Port = 0, Host = "127.0.0.1", LoggerFactory = log, TimeProvider = _clock });
        await server.StartAsync();
        server.Parts.Frames.Rent(1);
        if (isServing)
            server.Parts.Http.Sockets.Begin();
        Task stopping = server.StopAsync();
        await Eventually.AsyncTrue(() =>
        {
            _clock.Advance(FakeTime.Tick);
            return stopping.IsCompleted;
        });
        await stopping;
        Assert.That(log.Lines.Single(), Does.StartWith("2 Stopped without waiting any longer for " + told));
    }

    private Task<TestServer> StartAsync(Action<MoshpitServerOptions>? configure = null) => TestServer.StartAsync(options =>
    {
        options.TimeProvider = _clock;
        configure?.Invoke(options);
    });
}
