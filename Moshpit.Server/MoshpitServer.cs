using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Moshpit.Server.Api;
using Moshpit.Server.Transport;

namespace Moshpit.Server;

/// <summary>
/// A Moshpit server, to be run by itself or inside another program. It shares nothing with other instances in the process.
/// </summary>
/// <example>
/// <code>
/// await using var server = new MoshpitServer(new MoshpitServerOptions { Port = 0 });
/// await server.StartAsync();
/// Console.WriteLine(server.Port);
/// </code>
/// </example>
public sealed class MoshpitServer : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _cut = new();
    private MoshpitServerOptions _options;
    private ImmutableArray<Listener> _listeners = [];
    private ServerParts? _parts;
    private Task? _stopped;

    /// <summary>A server that does not listen yet.</summary>
    /// <param name="options">Read once, at <see cref="StartAsync"/>; null for the defaults.</param>
    public MoshpitServer(MoshpitServerOptions? options = null) => _options = options ?? new MoshpitServerOptions();

    /// <summary>
    /// Where the server listens, with the port that was chosen where 0 was asked for. Empty before the start, and from when it begins to
    /// stop.
    /// </summary>
    public IReadOnlyList<EndPoint> EndPoints => [.. _listeners.Select(listener => listener.EndPoint)];

    /// <summary>The TCP port that the server listens on; null when it listens on none.</summary>
    public int? Port => EndPoints.OfType<IPEndPoint>().FirstOrDefault()?.Port;

    internal ServerParts Parts => _parts ?? throw new InvalidOperationException("The server was not started.");

    /// <summary>Binds to all addresses asked for and begins to serve. Call once.</summary>
    /// <param name="cancellationToken">Gives up looking up <see cref="MoshpitServerOptions.Host"/>.</param>
    /// <exception cref="ArgumentException">An option makes no sense; the message names it.</exception>
    /// <exception cref="IOException">An address is in use, not this machine's, unknown, or may not be bound; the message says which and
    /// why.</exception>
    /// <exception cref="InvalidOperationException">The server was started or stopped before.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        await BindAsync(cancellationToken).ConfigureAwait(false);
        Accept();
    }

    /// <summary>
    /// Stops accepting, finishes the requests under way or refuses those that take longer than
    /// <see cref="MoshpitServerOptions.ShutdownTimeout"/>, ends all streams, and cuts connections that have not closed after that time once
    /// more. Safe to call more than once, at any time; each call completes when the server has stopped.
    /// </summary>
    /// <param name="cancellationToken">Cuts all connections at once, whichever call it was given to.</param>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        Task stopped;
        lock (_gate)
            stopped = _stopped ??= StopOnceAsync();
        using CancellationTokenRegistration hurry = cancellationToken.UnsafeRegister(
            static cut => ((CancellationTokenSource)cut!).Cancel(), _cut);
        await stopped.ConfigureAwait(false);
    }

    /// <inheritdoc cref="StopAsync"/>
    public async ValueTask DisposeAsync() => await StopAsync().ConfigureAwait(false);

    /// <summary>The first half of <see cref="StartAsync"/>: what may need permissions.</summary>
    internal async Task BindAsync(CancellationToken cancellationToken)
    {
        MoshpitServerOptions options = _options.CheckedCopy();
        IPAddress[] addresses = options.Port is null ? [] : await FindAddressesAsync(options.Host, cancellationToken).ConfigureAwait(false);
        try
        {
            lock (_gate)
                Bind(options, addresses);
        }
        catch (Exception e) when (e is not InvalidOperationException)
        {
            await StopAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The second half of <see cref="StartAsync"/>.</summary>
    internal void Accept()
    {
        lock (_gate)
        {
            if (_stopped is not null)
                return;
            Parts.Clock.Start();
            foreach (Listener listener in _listeners)
            {
                ApiLog.Listening(Parts.Logger, listener.EndPoint);
                listener.Start();
            }
        }
    }

    private static async Task<IPAddress[]> FindAddressesAsync(string? host, CancellationToken cancellationToken)
    {
        if (host is null)
            return [Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any];
        if (IPAddress.TryParse(host, out IPAddress? literal))
            return [literal];
        try
        {
            IPAddress[] addresses = await Dns.GetHostAddressesAsync(host, cancellationToken).ConfigureAwait(false);
            return [.. addresses.Where(a => a.AddressFamily != AddressFamily.InterNetworkV6 || Socket.OSSupportsIPv6).Distinct()];
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            throw new IOException($"There is no host '{host}'; give a name or an address of this machine.", e);
        }
    }

    private void Bind(MoshpitServerOptions options, IPAddress[] addresses)
    {
        if (_parts is not null || _stopped is not null)
            throw new InvalidOperationException("The server was started or stopped before; make a new one.");
        _options = options;
        _parts = new ServerParts(options);
        foreach (IPAddress address in addresses)
            Bind(new IPEndPoint(address, Port ?? options.Port!.Value));
        if (options.SocketPath is not null)
            Bind(new UnixDomainSocketEndPoint(options.SocketPath));
    }

    private void Bind(EndPoint endPoint)
    {
        ServerParts parts = Parts;
        var settings = new SocketSettings(_options.SendBuffer, _options.UnacknowledgedTimeout);
        _listeners = _listeners.Add(
            Listener.Bind(endPoint, settings, socket => HttpConnection.Serve(socket, parts.Http), _options.TimeProvider, parts.Logger));
    }

    private async Task StopOnceAsync()
    {
        await CloseListenersAsync().ConfigureAwait(false);
        if (_parts is null)
            return;
        await _parts.StopAsync(_cut.Token).ConfigureAwait(false);
        await _parts.DisposeAsync().ConfigureAwait(false);
    }

    private async Task CloseListenersAsync()
    {
        ImmutableArray<Listener> listeners = _listeners;
        _listeners = [];
        foreach (Listener listener in listeners)
            await listener.DisposeAsync().ConfigureAwait(false);
    }
}
