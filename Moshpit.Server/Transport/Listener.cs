using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Moshpit.Server.Transport;

/// <summary>
/// A listening socket and the loop that accepts from it. Running out of descriptors or memory makes it wait, never spin or stop.
/// </summary>
internal sealed class Listener : IAsyncDisposable
{
    /// <summary>
    /// Connections that the kernel may keep for us until we accept them (it has a cap of its own, <c>net.core.somaxconn</c>).
    /// </summary>
    private const int AcceptQueueLength = 4096;

    /// <summary>
    /// Connections accepted in a row before the thread, which may be the one that waits for all sockets, is let go: others wait for it
    /// while a crowd connects.
    /// </summary>
    private const int MostInARow = 8;

    /// <summary>How long a failing accept is not repeated.</summary>
    private static readonly TimeSpan Backoff = TimeSpan.FromMilliseconds(100);

    /// <summary>After a warning, how long there is no other: descriptors may run out, come back and run out ten times a second.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(10);

    private readonly Socket _socket;
    private readonly UnixSocketFile? _file;
    private readonly Action<Socket> _accepted;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private Task _loop = Task.CompletedTask;

    private Listener(Socket socket, EndPoint endPoint, UnixSocketFile? file, Action<Socket> accepted, TimeProvider time, ILogger logger)
    {
        _socket = socket;
        EndPoint = endPoint;
        _file = file;
        _accepted = accepted;
        _time = time;
        _logger = logger;
    }

    /// <summary>The bound end point, with the port that the system chose where 0 was asked for.</summary>
    public EndPoint EndPoint { get; }

    /// <summary>Binds to <paramref name="endPoint"/>. <see cref="IPAddress.IPv6Any"/> takes IPv4 as well.</summary>
    /// <param name="endPoint">Where to listen.</param>
    /// <param name="settings">What its connections are to have.</param>
    /// <param name="accepted">Owns each accepted socket, which does not block; must return soon and must not throw.</param>
    /// <param name="time">The source of time.</param>
    /// <param name="logger">Told of accepts that fail.</param>
    /// <exception cref="IOException">The address is in use, is not this machine's, or may not be bound; the message is for the
    /// user.</exception>
    public static Listener Bind(EndPoint endPoint, SocketSettings settings, Action<Socket> accepted, TimeProvider time, ILogger logger)
    {
        UnixSocketFile? file = endPoint is UnixDomainSocketEndPoint ? UnixSocketFile.Claim(endPoint.ToString()!) : null;

        // To a socket that is known to be TCP, .NET gives SO_REUSEADDR: connections of a server that has just stopped don't keep the port.
        ProtocolType protocol = endPoint is IPEndPoint ? ProtocolType.Tcp : ProtocolType.Unspecified;
        Socket? socket = null;
        try
        {
            socket = new Socket(endPoint.AddressFamily, SocketType.Stream, protocol);
            if (endPoint is IPEndPoint { Address: var address } && address.Equals(IPAddress.IPv6Any))
                socket.DualMode = true;
            settings.ApplyTo(socket);
            if (file is not null)
                file.Bind(socket, new UnixListenEndPoint((UnixDomainSocketEndPoint)endPoint));
            else
                socket.Bind(endPoint);
            socket.Listen(AcceptQueueLength);
        }
        catch (Exception e)
        {
            file?.Dispose();
            socket?.Dispose();
            throw e switch
            {
                SocketException error => new IOException(Describe(endPoint, error), e),

                // What the runtime needs for its first socket: descriptors and threads.
                TypeInitializationException => new IOException(
                    $"Cannot listen on {Where(endPoint)}: the runtime can't set up sockets; "
                    + "raise the limit of file descriptors (ulimit -n).", e),
                _ => e,
            };
        }

        return new Listener(socket, endPoint is IPEndPoint ? socket.LocalEndPoint! : endPoint, file, accepted, time, logger);
    }

    /// <summary>Begins to accept.</summary>
    public void Start() => _loop = AcceptAsync();

    /// <summary>Stops accepting, removes a Unix socket's file and closes the socket.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);

        // First the file: once no server listens there, it is stale, a successor may have replaced it, and it would be the successor's that
        // goes.
        _file?.Dispose();
        _socket.Dispose();
        await _loop.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        bool failing = false;
        bool told = false;
        long? toldAt = null;
        int inARow = 0;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                ValueTask<Socket> accept = _socket.AcceptAsync(_stop.Token);
                inARow = accept.IsCompleted ? inARow + 1 : 0;
                Socket socket = await accept.ConfigureAwait(false);
                if (failing)
                {
                    failing = false;
                    if (told)
                        TransportLog.AcceptRecovered(_logger);
                }

                SocketSettings.Prepare(socket);
                _accepted(socket);
                if (inARow >= MostInARow)
                {
                    inARow = 0;
                    await Task.Yield();
                }
            }
            catch (Exception) when (_stop.IsCancellationRequested)
            {
                break;
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset or SocketError.ConnectionAborted)
            {
                // The client was gone before we came to it (accept(2) reports it like this); the next one is not affected.
            }
            catch (Exception e)
            {
                if (!failing)
                {
                    failing = true;
                    told = toldAt is null || _time.GetElapsedTime(toldAt.Value) >= Quiet;
                    if (told)
                    {
                        toldAt = _time.GetTimestamp();
                        string error = e is SocketException { SocketErrorCode: var code } ? code.ToString() : e.ToString();
                        TransportLog.AcceptFailed(_logger, error, Backoff.TotalMilliseconds);
                    }
                }

                await Task.Delay(Backoff, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static string Where(EndPoint endPoint) => endPoint is IPEndPoint ip ? $"port {ip.Port}" : endPoint.ToString()!;

    private static string Describe(EndPoint endPoint, SocketException error)
    {
        string where = Where(endPoint);
        return error.SocketErrorCode switch
        {
            SocketError.AddressAlreadyInUse => $"Cannot listen on {where}: it is in use. Stop the program that uses it, or choose another.",
            SocketError.AccessDenied =>
                $"Cannot listen on {where}: permission denied. Start as root (and drop to a user), or choose another.",
            SocketError.AddressNotAvailable when endPoint is IPEndPoint { Address: var address } =>
                $"Cannot listen on {where}: {address} is no address of this machine.",
            SocketError.TooManyOpenSockets =>
                $"Cannot listen on {where}: the process has no file descriptor left; raise its limit (ulimit -n).",
            SocketError.AddressFamilyNotSupported => $"Cannot listen on {where}: this machine does not support such addresses.",
            _ => $"Cannot listen on {where}: {error.Message}.",
        };
    }
}
