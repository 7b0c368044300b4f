using Moshpit.Server;
using Moshpit.Server.Transport;

namespace Moshpit.Tests.Support;

/// <summary>
/// A server on loopback for one test. Disposing of it stops it and fails the test if it leaked a frame or made an error of its own.
/// </summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly ErrorLog _errors;

    private TestServer(MoshpitServer server, ErrorLog errors)
    {
        Server = server;
        _errors = errors;
    }

    public MoshpitServer Server { get; }

    public int Port => Server.Port!.Value;

    public static async Task<TestServer> StartAsync(Action<MoshpitServerOptions>? configure = null)
    {
        var options = new MoshpitServerOptions
        {
            Port = 0, Host = "127.0.0.1", ShutdownTimeout = TimeSpan.FromSeconds(1), ThreadsPerChannel = 3,

            // On a loaded machine a test may well be that slow.
            StallTimeout = TimeSpan.FromHours(1),
        };
        var errors = new ErrorLog();
        options.LoggerFactory = errors;
        configure?.Invoke(options);
        var server = new MoshpitServer(options);
        await server.StartAsync();
        return new TestServer(server, errors);
    }

    /// <summary>A connection that has sent nothing yet.</summary>
    public RawConnection Connect() => RawConnection.Connect(Port);

    /// <summary>A connection whose client can take but little before it reads.</summary>
    public RawConnection ConnectNarrow() => RawConnection.ConnectNarrow(Port);

    /// <summary>Creates a channel and reads its <c>connect</c> event.</summary>
    public async Task<RawPeer> CreateAsync() => await RawPeer.OpenAsync(Connect(), "/");

    /// <summary>Joins a channel and reads its <c>connect</c> event.</summary>
    public async Task<RawPeer> JoinAsync(string id) => await RawPeer.OpenAsync(Connect(), "/" + id);

    /// <summary>The only stream that there is. A client may read its first event a moment before the server lists it.</summary>
    public async Task<EventStreamConnection> StreamAsync()
    {
        await Eventually.AsyncTrue(() => Server.Parts.Streams.Streams.Count == 1);
        return Server.Parts.Streams.Streams.Snapshot()[0]!;
    }

    /// <summary>Waits until the server has let go of every stream and connection.</summary>
    public Task WhenIdleAsync() =>
        Eventually.AsyncTrue(() => Server.Parts.Streams.Streams.Count == 0 && Server.Parts.Http.Connections.Count == 0);

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync().AsTask().WaitAsync(RawConnection.Patience);
        Assert.That(Server.Parts.Frames.Outstanding, Is.Zero, "frames that were rented and never returned");
        Assert.That(_errors.Lines, Is.Empty);
    }
}
