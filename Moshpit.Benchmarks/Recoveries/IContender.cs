namespace Moshpit.Benchmarks.Recoveries;

/// <summary>A client that subscribes, by its defaults, and the server that it needs.</summary>
internal interface IContender : IAsyncDisposable
{
    /// <summary>Where the server listens now.</summary>
    int ServerPort { get; }

    /// <summary>The client has ended, and tries no more.</summary>
    bool HasGivenUp { get; }

    /// <summary>Starts a server.</summary>
    Task StartAsync();

    /// <summary>Subscribes over <paramref name="port"/>. Each message's number is given to <paramref name="received"/>.</summary>
    Task SubscribeAsync(int port, Action<int> received);

    /// <summary>Has the server send <paramref name="number"/> to its subscribers. False: it took no message.</summary>
    Task<bool> PublishAsync(int number);

    /// <summary>The server is killed. Its connections are gone already.</summary>
    Task KillAsync();
}
