using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using NATS.Client.Core;

namespace Moshpit.Benchmarks.Recoveries;

/// <summary>NATS.Net's client, and a nats-server.</summary>
/// <param name="program">The path of the nats-server.</param>
internal sealed class NatsContender(string program) : IContender
{
    private const string Subject = "numbers";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _leaving = new();
    private Process? _server;
    private NatsConnection? _subscriber;
    private NatsConnection? _publisher;
    private Task _reading = Task.CompletedTask;

    public int ServerPort { get; private set; }

    public bool HasGivenUp => _reading.IsCompleted;

    /// <summary>The path of the nats-server, in PATH or where Debian has it; null: there is none.</summary>
    public static string? FindProgram() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Append("/usr/sbin")
        .Select(folder => Path.Combine(folder, "nats-server")).FirstOrDefault(File.Exists);

    public async Task StartAsync()
    {
        ServerPort = FreePort();
        string[] arguments = ["-a", "127.0.0.1", "-p", $"{ServerPort}"];
        _server = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        _ = _server.StandardError.ReadToEndAsync();
        for (long start = Stopwatch.GetTimestamp(); !await AcceptsAsync(ServerPort);)
        {
            if (Stopwatch.GetElapsedTime(start) > Patience)
                throw new BenchmarkException("nats-server did not start.");
            await Task.Delay(10);
        }

        _publisher = new NatsConnection(OptionsFor(ServerPort));
        await _publisher.ConnectAsync();
    }

    public async Task SubscribeAsync(int port, Action<int> received)
    {
        _subscriber = new NatsConnection(OptionsFor(port));
        INatsSub<int> subscription = await _subscriber.SubscribeCoreAsync<int>(Subject);
        await _subscriber.PingAsync();
        _reading = Task.Run(async () =>
        {
            await foreach (NatsMsg<int> message in subscription.Msgs.ReadAllAsync(_leaving.Token))
                received(message.Data);
        });
    }

    public async Task<bool> PublishAsync(int number)
    {
        if (_publisher is null)
            return false;
        await _publisher.PublishAsync(Subject, number);
        return true;
    }

    public async Task KillAsync()
    {
        NatsConnection publisher = _publisher!;
        _publisher = null;
        await publisher.DisposeAsync();
        _server!.Kill();
        await _server.WaitForExitAsync();
        _server.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await _leaving.CancelAsync();
        await (_subscriber?.DisposeAsync() ?? default);
        if (_publisher is not null)
            await KillAsync();
    }

    private static NatsOpts OptionsFor(int port) => NatsOpts.Default with { Url = $"nats://127.0.0.1:{port}" };

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static async Task<bool> AcceptsAsync(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
