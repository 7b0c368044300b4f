using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Moshpit.Server.Buffers;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>
/// A connection that carries requests: one loop reads one after the other, has each handled as the <see cref="Router"/> says, and ends, or
/// hands the socket over to an event stream.
/// </summary>
/// <remarks>
/// While a connection rests, it holds neither buffers nor the state of a request. It rests until its first byte, and between two requests
/// if it can't be expected to send the next one soon. Resting costs a system call more than waiting with a buffer, so a connection that
/// sends requests in quick succession keeps its buffers.
/// </remarks>
internal sealed class HttpConnection : ISlotted
{
    /// <summary>Requests answered in a row, while more keeps arriving, before others get the thread.</summary>
    private const int RequestsPerTurn = 64;

    /// <summary>Bytes of answers that are kept together, while more requests are there, before they are sent.</summary>
    private const int MostUnsent = 16 * 1024;

    private readonly HttpServices _services;
    private readonly RequestConnection _connection;
    private readonly AddressUsage? _usage;
    private readonly bool _isProxy;

    /// <summary>The address of a named proxy; null for a Unix socket, and where <see cref="_isProxy"/> is false.</summary>
    private readonly IPAddress? _proxy;

    /// <summary>If not none, the first request of the connection is refused for it.</summary>
    private readonly Excess _excess;

    /// <summary>Null while the connection rests.</summary>
    private volatile Exchange? _exchange;

    /// <summary>When the last request was answered; long ago where there was none.</summary>
    private long _answeredAt = long.MinValue / 2;

    /// <summary>Bytes have come since the last request was answered.</summary>
    private bool _heard;

    /// <summary>The last request came soon after the answer to the one before it.</summary>
    private bool _hurries;

    /// <summary>There are no more requests; at most the last answer is still to be read.</summary>
    private volatile bool _hasServed;

    private HttpConnection(Socket socket, HttpServices services, IPAddress? address, AddressUsage? usage, Excess excess)
    {
        _services = services;
        _connection = new RequestConnection(socket, services.Clock, services.Buffers, services.Receivers)
        {
            SendTimeout = services.Options.LingerTimeout, Waiting = OnWaiting,
        };
        _connection.SetDeadline(services.Options.HeaderTimeout);
        _isProxy = services.Addresses.IsProxy(address);
        _proxy = _isProxy ? address : null;
        _usage = usage;
        _excess = excess;
        services.Connections.Add(this);
        services.Sockets.Begin();
        services.Requests.Begin();
    }

    /// <summary>How the loop came to its end.</summary>
    private enum Ending : byte
    {
        /// <summary>Nothing is to be said any more.</summary>
        Close,

        /// <summary>A response is on its way that must not be lost to a reset.</summary>
        Linger,

        /// <summary>The socket belongs to an event stream now, and whatever was counted for the connection is counted for that.</summary>
        Stream,

        /// <summary>It has not ended: it rests, and goes on with the next byte.</summary>
        Rest,
    }

    /// <summary>Serves <paramref name="socket"/>, which does not block, until its end. Never throws.</summary>
    public static void Serve(Socket socket, HttpServices services)
    {
        IPAddress? address = (socket.RemoteEndPoint as IPEndPoint)?.Address;
        bool isIn = services.Admission.TryEnter(address, out AddressUsage? usage, out Excess excess);
        if (excess != Excess.None)
            services.Warnings.OnRefused(ApiRejections.Of(excess), (object?)usage ?? address);
        if (!isIn)
        {
            socket.Dispose();
            return;
        }

        HttpConnection connection;
        try
        {
            connection = new HttpConnection(socket, services, address, usage, excess);
        }
        catch (Exception e)
        {
            // Memory ran out: this one client goes.
            ApiLog.Failed(services.Logger, e);
            socket.Dispose();
            services.Admission.Leave(usage, excess);
            return;
        }

        _ = connection.RunAsync();
    }

    /// <summary>Its slot among all connections that carry requests.</summary>
    public int Slot { get; set; }

    public Socket Socket => _connection.Socket;

    /// <summary>Called when time has passed.</summary>
    public void OnTick(long now) => _connection.OnTick(now);

    /// <summary>
    /// The server stops. First a connection between two requests ends, others after the one that they are at; then a request that is not
    /// complete is refused; at last the connection ends whatever it is doing.
    /// </summary>
    public void OnPhase(Phase phase)
    {
        if (phase == Phase.Cutting)
            _connection.Abort();
        else if (phase == Phase.EndingStreams)
            _connection.Interrupt(() => !_hasServed);
        else if (phase == Phase.FinishingRequests)
            _connection.Interrupt(() => _exchange is not { Parser.HasStarted: true });
    }

    private void OnWaiting()
    {
        _exchange?.BeforeWaiting();

        // A stop that began before this wait has already looked for waits to interrupt; do it here.
        OnPhase(_services.Shutdown.Phase);
    }

    private async Task RunAsync()
    {
        Ending ending;
        do
        {
            ending = await GuardAsync(ServeRequestsAsync()).ConfigureAwait(false);
            Rest();
        }
        while (ending == Ending.Rest);

        _hasServed = true;
        _services.Requests.End();
        if (ending == Ending.Linger)
            ending = await GuardAsync(LingerAsync()).ConfigureAwait(false);
        if (ending != Ending.Stream)
            _connection.Abort();
        _services.Connections.Remove(this);
        _connection.Release();
        if (ending != Ending.Stream)
            _services.Admission.Leave(_usage, _excess);
        _services.Sockets.End();
    }

    private Exchange Wake()
    {
        _connection.RentBuffers();
        Exchange exchange = _services.Exchanges.Get();
        exchange.Attach(_connection, _services.Options, _services.Shutdown);
        return _exchange = exchange;
    }

    private void Rest()
    {
        Exchange? exchange = _exchange;
        _exchange = null;
        if (exchange is not null)
        {
            exchange.BeforeWaiting();
            _services.Exchanges.Return(exchange);
        }

        _connection.ReturnBuffers();
    }

    /// <summary>No fault, ours or the client's, gets beyond the connection.</summary>
    private async ValueTask<Ending> GuardAsync(ValueTask<Ending> work)
    {
        try
        {
            return await work.ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client is gone, or the deadline for sending passed.
        }
        catch (Exception e)
        {
            ApiLog.Failed(_services.Logger, e);
        }

        return Ending.Close;
    }

    private async ValueTask<Ending> LingerAsync()
    {
        await _connection.LingerAsync(_services.Options.LingerLimit, _services.Options.LingerTimeout).ConfigureAwait(false);
        return Ending.Close;
    }

    /// <summary>Rests until something comes, and serves it.</summary>
    private async ValueTask<Ending> ServeRequestsAsync()
    {
        SocketError waited = await _connection.WaitAsync().ConfigureAwait(false);
        if (waited != SocketError.Success)
        {
            // As in EndEarlyAsync: a FIN before the close.
            if (waited == SocketError.TimedOut)
                Socket.Shutdown(SocketShutdown.Send);
            return Ending.Close;
        }

        Exchange exchange = Wake();
        HttpRequest request = exchange.Request;
        bool answered = false;
        for (int turn = 1; ; turn++)
        {
            ParseOutcome outcome;
            while ((outcome = ParseHead(exchange)) == ParseOutcome.NeedMore)
            {
                if (answered && !_heard && !_hurries)
                {
                    await FlushAsync(exchange).ConfigureAwait(false);
                    return Ending.Rest;
                }

                ValueTask<Received> receiving = _connection.ReceiveAsync();
                if (!receiving.IsCompleted)
                    turn = 1;
                Received received = await receiving.ConfigureAwait(false);
                if (received != Received.Bytes)
                    return await EndEarlyAsync(exchange, received).ConfigureAwait(false);
            }

            if (outcome == ParseOutcome.Rejected)
                return await CloseAsync(exchange, exchange.Parser.Rejection!).ConfigureAwait(false);
            if (_excess != Excess.None)
                return await CloseAsync(exchange, ApiRejections.Of(_excess)).ConfigureAwait(false);
            if (request.IsForwarded && !_isProxy)
                _services.Warnings.OnUnnamedProxy(_usage);

            AddressUsage? client = _isProxy ? ForwardedClient.Hold(_services.Addresses, _proxy, request) : _usage;
            exchange.Client = client;
            Outcome served = default;
            try
            {
                served = await HandleAsync(exchange).ConfigureAwait(false);
            }
            finally
            {
                if (_isProxy && !served.IsStream)
                    _services.Addresses.Release(client);
            }

            if (served.IsStream)
                return Ending.Stream;
            if (served.IsGone)
                return Ending.Close;
            if (served.Rejection is { } rejection && await RefuseAsync(exchange, rejection).ConfigureAwait(false) is { } ending)
                return ending;
            if (!request.KeepAlive)
            {
                await FlushAsync(exchange).ConfigureAwait(false);
                return Ending.Linger;
            }

            exchange.Reset();
            answered = true;
            _heard = false;
            _answeredAt = _services.Clock.Now;
            _connection.SetDeadline(_services.Options.IdleTimeout);
            if (_connection.Output.WrittenCount >= MostUnsent)
                await FlushAsync(exchange).ConfigureAwait(false);
            if (turn % RequestsPerTurn == 0)
            {
                exchange.BeforeWaiting();
                await Task.Yield();
            }
        }
    }

    /// <summary>Has the request handled, whose head is complete.</summary>
    private ValueTask<Outcome> HandleAsync(Exchange exchange)
    {
        // Only the body of a POST is read. Behind an unread body, what follows can't be trusted to be a request.
        HttpRequest request = exchange.Request;
        request.KeepAlive &= !_services.Shutdown.HasBegun && (!request.HasBody || request.Method == HttpMethod.Post);
        if (exchange.Client?.TryRequest(_services.Clock.Now) == false)
            return new(ApiRejections.TooManyRequests);
        IHandler? handler = _services.Router.Find(request, out Rejection? rejection);
        return handler is null ? new(rejection!) : handler.HandleAsync(exchange);
    }

    private ParseOutcome ParseHead(Exchange exchange)
    {
        if (!_connection.Input.TryRead(out ReadResult result))
            return ParseOutcome.NeedMore;
        _heard = true;
        var reader = new SequenceReader<byte>(result.Buffer);
        bool started = exchange.Parser.HasStarted;
        ParseOutcome outcome = exchange.Parser.Parse(ref reader, exchange.Request);
        if (!started && exchange.Parser.HasStarted)
        {
            // The clock moves once a period, so a difference of a period may be next to nothing.
            _hurries = _services.Clock.Now - _answeredAt <= _services.Clock.Period.TotalMilliseconds;
            _connection.SetDeadline(_services.Options.HeaderTimeout);
        }

        _connection.Input.AdvanceTo(reader.Position, outcome == ParseOutcome.NeedMore ? result.Buffer.End : reader.Position);
        return outcome;
    }

    /// <summary>Sends what was published and what was answered.</summary>
    private ValueTask FlushAsync(Exchange exchange)
    {
        exchange.BeforeWaiting();
        return _connection.FlushAsync();
    }

    /// <summary>No more bytes of a head: an idle client or one that is gone is told nothing, one in the middle of a request why.</summary>
    private ValueTask<Ending> EndEarlyAsync(Exchange exchange, Received received)
    {
        if (received == Received.Failed)
            return new(Ending.Close);
        if (exchange.Parser.HasStarted)
        {
            Rejection late = _services.Shutdown.HasBegun ? ApiRejections.ShuttingDown : Rejections.HeadersTimeout;
            return CloseAsync(exchange, received == Received.End ? Rejections.IncompleteRequest : late);
        }

        // Closed with its receive still pending, the socket would send a reset; a FIN says the same in peace.
        Socket.Shutdown(SocketShutdown.Send);
        return new(Ending.Close);
    }

    /// <summary>
    /// Says why. Null: the connection goes on. For that the body of a refused POST is read, if it can be. After a POST that is refused for
    /// now it does not go on: the message will come again, and so will those behind it; served now, they would overtake it.
    /// </summary>
    private async ValueTask<Ending?> RefuseAsync(Exchange exchange, Rejection rejection)
    {
        HttpRequest request = exchange.Request;
        bool isPost = request.Method == HttpMethod.Post;
        bool goesOn = !rejection.Close;
        if (goesOn && isPost && !exchange.HasBody)
        {
            goesOn = !request.ExpectsContinue && await exchange.ReadBodyAsync().ConfigureAwait(false);
            if (exchange.BodyFailure.IsGone)
                return Ending.Close;
            if (exchange.BodyFailure.Rejection is { } malformed && malformed != _services.Limits.BodyTooLarge)
                rejection = malformed;
        }

        if (!goesOn || (isPost && rejection.IsTemporary))
            return await CloseAsync(exchange, rejection).ConfigureAwait(false);
        WriteRejection(exchange, rejection, close: false);
        return null;
    }

    /// <summary>Says why, as the last response of the connection.</summary>
    private async ValueTask<Ending> CloseAsync(Exchange exchange, Rejection rejection)
    {
        WriteRejection(exchange, rejection, close: true);
        await FlushAsync(exchange).ConfigureAwait(false);
        return Ending.Linger;
    }

    private void WriteRejection(Exchange exchange, Rejection rejection, bool close)
    {
        ApiLog.Refused(_services.Logger, rejection.Status, rejection.Name);
        if (_excess == Excess.None)
            _services.Warnings.OnRefused(rejection, exchange.Client);
        exchange.HeedShutdown();
        if (_services.Reconnects.TryAnswer(exchange, rejection))
            exchange.Request.KeepAlive = false;
        else
            _services.Responses.WriteRejection(_connection.Output, exchange.Request, rejection, close);
    }
}
