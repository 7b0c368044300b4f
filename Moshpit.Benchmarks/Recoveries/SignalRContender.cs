using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Moshpit.Benchmarks.Recoveries;

/// <summary>SignalR's client with its automatic reconnect, and a hub on Kestrel.</summary>
internal sealed class SignalRContender : IContender
{
    private WebApplication? _server;
    private HubConnection? _subscriber;

    public int ServerPort { get; private set; }

    public bool HasGivenUp => _subscriber!.State == HubConnectionState.Disconnected;

    public async Task StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        builder.Services.AddSignalR();
        _server = builder.Build();
        _server.MapHub<NumberHub>("/hub");
        await _server.StartAsync();
        string address = _server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        ServerPort = new Uri(address).Port;
    }

    public async Task SubscribeAsync(int port, Action<int> received)
    {
        _subscriber = new HubConnectionBuilder().WithUrl($"http://127.0.0.1:{port}/hub").WithAutomaticReconnect().Build();
        _subscriber.On("number", received);
        await _subscriber.StartAsync();
    }

    public async Task<bool> PublishAsync(int number)
    {
        if (_server is null)
            return false;
        await _server.Services.GetRequiredService<IHubContext<NumberHub>>().Clients.All.SendAsync("number", number);
        return true;
    }

    public async Task KillAsync()
    {
        WebApplication? server = _server;
        _server = null;
        using var atOnce = new CancellationTokenSource(TimeSpan.Zero);
        await server!.StopAsync(atOnce.Token);
        await server.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await (_subscriber?.DisposeAsync() ?? default);
        if (_server is not null)
            await KillAsync();
    }

    private sealed class NumberHub : Hub;
}
