using System.Net.Sockets;
using Moshpit.Client;
using Moshpit.Server;

namespace Moshpit.Benchmarks.Recoveries;

/// <summary>The C# client. It owns the channel: a new server gives it a new one, and the publisher joins that.</summary>
internal sealed class MoshpitContender : IContender
{
    private MoshpitServer? _server;
    private MoshpitPeer? _subscriber;
    private volatile MoshpitPeer? _publisher;

    public int ServerPort => _server!.Port!.Value;

    public bool HasGivenUp => _subscriber!.Completion.IsCompleted;

    public async Task StartAsync()
    {
        var options = new MoshpitServerOptions { Port = 0, Host = "127.0.0.1", ShutdownTimeout = TimeSpan.FromMilliseconds(1) };
        _server = new MoshpitServer(options);
        await _server.StartAsync();
    }

    public async Task SubscribeAsync(int port, Action<int> received)
    {
        _subscriber = new MoshpitClient($"http://127.0.0.1:{port}").Open();
        _ = ReadAsync(received);
        await _subscriber.Connected;
    }

    public async Task<bool> PublishAsync(int number)
    {
        try
        {
            if (_publisher is not { State: MoshpitPeerState.Live } publisher)
                return false;
            await publisher.Write($"{number}").WaitAsync(TimeSpan.FromSeconds(1));
            return true;
        }
        catch (Exception e) when (e is MoshpitException or TimeoutException or SocketException)
        {
            return false;
        }
    }

    public async Task KillAsync()
    {
        _publisher = null;
        await _server!.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable? part in new IAsyncDisposable?[] { _subscriber, _publisher, _server })
            await (part?.DisposeAsync() ?? default);
    }

    private async Task ReadAsync(Action<int> received)
    {
        await foreach (MoshpitEvent e in _subscriber!)
        {
            if (e.Kind == MoshpitEventKind.Signal)
                received(int.Parse(e.Data));
            if (e.Kind != MoshpitEventKind.Connect || e.IsResumed)
                continue;
            MoshpitPeer publisher = new MoshpitClient($"http://127.0.0.1:{ServerPort}").Open(e.Id!);
            await publisher.Connected;
            _publisher = publisher;
        }
    }
}
