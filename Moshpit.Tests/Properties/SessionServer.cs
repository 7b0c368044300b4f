using Microsoft.Extensions.Time.Testing;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>A server for many schedules of sessions, whose time passes as they say.</summary>
internal sealed class SessionServer : IAsyncDisposable
{
    /// <summary>Seconds; half of one more, so that no grace is over together with a leave that was put off.</summary>
    public const double Grace = 30.5;

    /// <summary>Seconds after which nothing is kept or remembered any more.</summary>
    public const int LongTime = 185;

    /// <summary>Milliseconds: half of a third of the grace.</summary>
    public const int ShortestRetry = 5000;

    /// <summary>Bytes: enough for four cids. So few, so that a history, which has room for four bodies, is soon full.</summary>
    public const int BodyLimit = 256;

    private readonly FakeTimeProvider _clock = new();
    private TestServer _server = null!;
    private int _ownFrames;

    /// <summary>Seconds since the server's start.</summary>
    public int Age { get; private set; }

    public static async Task<SessionServer> StartAsync()
    {
        var server = new SessionServer();
        await server.StartServerAsync();
        return server;
    }

    public RawConnection Connect() => _server.Connect();

    private int Channels => _server.Server.Parts.Channels.Count;

    private int Frames => _server.Server.Parts.Frames.Outstanding;

    /// <summary>A second passes.</summary>
    public void Tick()
    {
        _clock.Advance(FakeTime.Tick);
        Age++;
    }

    /// <summary>Stops the server while <paramref name="read"/> reads the streams to their ends, and starts another.</summary>
    public async Task RestartAsync(Func<Task> read)
    {
        Task stop = _server.DisposeAsync().AsTask();
        await read();
        await stop;
        await StartServerAsync();
    }

    /// <summary>Waits until the server has so many streams, and no other connection.</summary>
    public Task WhenStreamsAsync(int count) => Eventually.AsyncTrue(
        () => _server.Server.Parts.Streams.Sockets.Count == count,
        () => $"{_server.Server.Parts.Streams.Sockets.Count} sockets instead of {count}");

    /// <summary>Waits until the server holds nothing of any channel.</summary>
    public Task WhenEmptyAsync() => Eventually.AsyncTrue(
        () => (Channels, Frames) == (0, _ownFrames), () => $"{Channels} channels and {Frames - _ownFrames} frames were left behind");

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task StartServerAsync()
    {
        _server = await TestServer.StartAsync(options =>
        {
            options.TimeProvider = _clock;
            options.Grace = TimeSpan.FromSeconds(Grace);
            options.BodyLimit = BodyLimit;
            options.HistoryLimit = 1;
            options.DrainTime = TimeSpan.Zero;
        });
        _ownFrames = Frames;
        Age = 0;
    }
}
