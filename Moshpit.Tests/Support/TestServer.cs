using Moshpit.Server;

namespace Moshpit.Tests.Support;

/// <summary>A server on loopback for one test. Disposing of it stops it and fails the test if it leaked a frame.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private TestServer(MoshpitServer server) => Server = server;

    public MoshpitServer Server { get; }

    public int Port => Server.Port!.Value;

    public static async Task<TestServer> StartAsync(Action<MoshpitServerOptions>? configure = null)
    {
        var options = new MoshpitServerOptions { Port = 0, Host = "127.0.0.1", ShutdownTimeout = TimeSpan.FromSeconds(1) };
        configure?.Invoke(options);
        var server = new MoshpitServer(options);
        await server.StartAsync();
        return new TestServer(server);
    }

    /// <summary>A connection that has sent nothing yet.</summary>
    public RawConnection Connect() => RawConnection.Connect(Port);

    /// <summary>Creates a channel and reads its <c>connect</c> event.</summary>
    public async Task<RawPeer> CreateAsync() => await RawPeer.OpenAsync(Connect(), "/");

    /// <summary>Joins a channel and reads its <c>connect</c> event.</summary>
    public async Task<RawPeer> JoinAsync(string id) => await RawPeer.OpenAsync(Connect(), "/" + id);

    /// <summary>Waits until the server has let go of every stream and connection.</summary>
    public Task WhenIdleAsync() =>
        Eventually.AsyncTrue(() => Server.State.Streams.Streams.Count == 0 && Server.State.Connections.Count == 0);

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        Assert.That(Server.State.Frames.Outstanding, Is.Zero, "frames that were rented and never returned");
    }
}
