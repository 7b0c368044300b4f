using Moshpit.Server;

namespace Moshpit.Benchmarks.Servers;

/// <summary>The product, with its defaults.</summary>
internal sealed class MoshpitUnderTest : IServer
{
    private MoshpitServer? _server;

    public async Task<int> StartAsync(int port)
    {
        _server = new MoshpitServer(new MoshpitServerOptions { Host = "127.0.0.1", Port = port });
        await _server.StartAsync().ConfigureAwait(false);
        return _server.Port!.Value;
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync().ConfigureAwait(false);
    }
}
