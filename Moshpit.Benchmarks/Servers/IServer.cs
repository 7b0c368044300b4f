namespace Moshpit.Benchmarks.Servers;

/// <summary>A server under test, as its own process sees it.</summary>
internal interface IServer : IAsyncDisposable
{
    /// <summary>Listens on the loopback address; the port that it got.</summary>
    Task<int> StartAsync(int port);
}
