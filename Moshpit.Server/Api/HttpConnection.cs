using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Http;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>
/// A connection that carries requests: one loop reads one after the other, has each answered by <see cref="Routes"/>, and ends, or hands the
/// socket over to an event stream.
/// </summary>
/// <remarks>
/// While a connection rests, it holds neither buffers nor the state of a request. It rests until its first byte, and between two requests
/// if it can't be expected to send the next one soon. Resting costs a system call more than waiting with a buffer, so a connection that sends
/// requests in quick succession keeps its buffers.
/// </remarks>
internal sealed class HttpConnection : ISlotted
{
    /// <summary>Requests answered in a row, while more keeps arriving, before others get the thread.</summary>
    private const int RequestsPerTurn = 64;

    /// <summary>Bytes of answers that are kept together, while more requests are there, before they are sent.</summary>
    private const int MostUnsent = 16 * 1024;

    private readonly ServerState _server;
    private readonly BufferedConnection _connection;
    private readonly AddressUsage? _usage;
    private readonly bool _isProxy;

    /// <summary>Against which address the request counts that is being answered; null: it is not limited.</summary>
    private AddressUsage? _client;

    /// <summary>The address of a named proxy; null for a Unix socket, and where <see cref="_isProxy"/> is false.</summary>
    private readonly IPAddress? _proxy;

    /// <summary>Answers the first request of a connection that is one too many.</summary>
    private readonly Rejection? _refusal;

    /// <summary>Null while the connection rests.</summary>
    private volatile RequestState? _state;

    /// <summary>When the last request was answered; long ago where there was none.</summary>
    private long _answeredAt = long.MinValue / 2;

    /// <summary>Bytes have come since the last request was answered.</summary>
    private bool _heard;

    /// <summary>The last request came soon after the answer to the one before it.</summary>
    private bool _hurries;

    /// <summary>There are no more requests; at most the last answer is still to be read.</summary>
    private volatile bool _hasServed;

    /// <summary>Where this connection published what may not be on its way yet.</summary>
    private Channel? _published;

    private HttpConnection(Socket socket, ServerState server, IPAddress? address, AddressUsage? usage, Rejection? refusal)
    {
        _server = server;
        _connection = new BufferedConnection(socket, server.Clock, server.Buffers, server.Receivers)
        {
            SendTimeout = server.Options.LingerTimeout, Waiting = OnWaiting,
        };
        _connection.SetDeadline(server.Options.HeaderTimeout);
        _isProxy = server.Addresses.IsProxy(address);
        _proxy = _isProxy ? address : null;
        _usage = usage;
        _refusal = refusal;
        server.Connections.Add(this);
        server.BeginServing();
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
    public static void Serve(Socket socket, ServerState server)
    {
        IPAddress? address = (socket.RemoteEndPoint as IPEndPoint)?.Address;
        if (!server.Admission.TryEnter(address, out AddressUsage? usage, out Rejection? refusal))
        {
            socket.Dispose();
            return;
        }

        HttpConnection connection;
        try
        {
            connection = new HttpConnection(socket, server, address, usage, refusal);
        }
        catch (Exception e)
        {
            // Memory ran out: this one client goes.
            ApiLog.Failed(server.Logger, e);
            socket.Dispose();
            server.Admission.Leave(usage, refusal);
            return;
        }

        _ = connection.RunAsync();
    }

    /// <summary>Its slot among all connections that carry requests.</summary>
    public int Slot { get; set; }

    public Socket Socket => _connection.Socket;

    private RequestState State => _state!;

    /// <summary>Called when time has passed.</summary>
    public void OnTick(long now) => _connection.OnTick(now);

    /// <summary>The server stops: a connection between two requests ends now, others after the one that they are at.</summary>
    public void OnStopping() => _connection.Interrupt(() => _state is not { Parser.HasStarted: true });

    /// <summary>The server does not wait any longer for requests that are under way: one that is not complete is refused.</summary>
    public void OnDrainTimeout() => _connection.Interrupt(() => !_hasServed);

    /// <summary>Ends the connection whatever it is doing.</summary>
    public void Abort() => _connection.Abort();

    /// <summary>A stop that began before a wait did could not end it.</summary>
    private void OnWaiting()
    {
        Interlocked.MemoryBarrier();
        if (_server.EndingStreams)
            OnDrainTimeout();
        else if (_server.Stopping)
            OnStopping();
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

        FlushPublished();
        _hasServed = true;
        _server.EndServing();
        if (ending == Ending.Linger)
            ending = await GuardAsync(LingerAsync()).ConfigureAwait(false);
        if (ending != Ending.Stream)
            _connection.Abort();
        _server.Connections.Remove(this);
        _connection.Release();
        if (ending != Ending.Stream)
            _server.Admission.Leave(_usage, _refusal);
        _server.OnConnectionEnded();
    }

    private void Wake()
    {
        RequestState state = _server.RequestStates.Get();
        state.Request.IdleSeconds = (int)_server.Options.IdleTimeout.TotalSeconds;
        _state = state;
        _connection.RentBuffers();
    }

    private void Rest()
    {
        RequestState? state = _state;
        _state = null;
        if (state is not null)
            _server.RequestStates.Return(state);
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
            ApiLog.Failed(_server.Logger, e);
        }

        return Ending.Close;
    }

    private async ValueTask<Ending> LingerAsync()
    {
        await _connection.LingerAsync(_server.Options.LingerLimit, _server.Options.LingerTimeout).ConfigureAwait(false);
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

        Wake();
        HttpRequest request = State.Request;
        bool answered = false;
        for (int turn = 1; ; turn++)
        {
            ParseOutcome outcome;
            while ((outcome = ParseHead()) == ParseOutcome.NeedMore)
            {
                if (answered && !_heard && !_hurries)
                {
                    FlushPublished();
                    await _connection.FlushAsync().ConfigureAwait(false);
                    return Ending.Rest;
                }

                ValueTask<Received> receiving = _connection.ReceiveAsync();
                if (!receiving.IsCompleted)
                {
                    turn = 1;
                    FlushPublished();
                }

                Received received = await receiving.ConfigureAwait(false);
                if (received != Received.Bytes)
                    return await EndEarlyAsync(received, Rejections.HeadersTimeout).ConfigureAwait(false);
            }

            if (outcome == ParseOutcome.Rejected)
                return await RefuseAsync(State.Parser.Rejection!).ConfigureAwait(false);
            if (_refusal is not null)
                return await RefuseAsync(_refusal).ConfigureAwait(false);

            if (request.IsForwarded && !_isProxy)
                _server.Warnings.OnUnnamedProxy(_usage);

            AddressUsage? usage = _isProxy ? ForwardedClient.Hold(_server.Addresses, _proxy, request) : _usage;
            _client = usage;
            Ending? ending = null;
            try
            {
                ending = await ServeRequestAsync(request, usage).ConfigureAwait(false);
            }
            finally
            {
                if (_isProxy && ending != Ending.Stream)
                    _server.Addresses.Release(usage);
            }

            if (ending is not null)
                return ending.Value;

            if (!request.KeepAlive)
            {
                FlushPublished();
                await _connection.FlushAsync().ConfigureAwait(false);
                return Ending.Linger;
            }

            State.Reset();
            answered = true;
            _heard = false;
            _answeredAt = _server.Clock.Now;
            _connection.SetDeadline(_server.Options.IdleTimeout);
            if (_connection.Output.WrittenCount >= MostUnsent)
            {
                FlushPublished();
                await _connection.FlushAsync().ConfigureAwait(false);
            }

            if (turn % RequestsPerTurn == 0)
            {
                FlushPublished();
                await Task.Yield();
            }
        }
    }

    private ParseOutcome ParseHead()
    {
        if (!_connection.Input.TryRead(out ReadResult result))
            return ParseOutcome.NeedMore;
        _heard = true;
        var reader = new SequenceReader<byte>(result.Buffer);
        RequestState state = State;
        bool started = state.Parser.HasStarted;
        ParseOutcome outcome = state.Parser.Parse(ref reader, state.Request);
        if (!started && state.Parser.HasStarted)
        {
            // The clock moves once a period, so a difference of a period may be next to nothing.
            _hurries = _server.Clock.Now - _answeredAt <= _server.Clock.Period.TotalMilliseconds;
            _connection.SetDeadline(_server.Options.HeaderTimeout);
        }

        _connection.Input.AdvanceTo(reader.Position, outcome == ParseOutcome.NeedMore ? result.Buffer.End : reader.Position);
        return outcome;
    }

    /// <summary>Answers one request, whose head is complete. Null: the connection may go on.</summary>
    private ValueTask<Ending?> ServeRequestAsync(HttpRequest request, AddressUsage? usage)
    {
        // Only the body of a POST is read. Behind an unread body, what follows can't be trusted to be a request.
        request.KeepAlive &= !_server.Stopping && (!request.HasBody || request.Method == HttpMethod.Post);
        Rejection? rejection = usage is null || usage.TryRequest(_server.Clock.Now) ? null : Rejections.TooManyRequests;
        if (request.Method == HttpMethod.Post)
        {
            // What the head alone decides is refused before a body is invited.
            Channel? channel = null;
            rejection ??= Routes.CheckPost(_server, request, out channel);
            return ServePostAsync(rejection, channel, usage);
        }

        if (rejection is null && request.Method == HttpMethod.Get && Routes.FindChannel(_server, request)?.Owner is { Sink.IsBehind: true } owner)
            return JoinWhenRoomAsync(owner, usage);
        return new(Answer(rejection, usage));
    }

    /// <summary>The owner hears of each join: one that is behind gets the time to read.</summary>
    private async ValueTask<Ending?> JoinWhenRoomAsync(Peer owner, AddressUsage? usage)
    {
        FlushPublished();
        bool hasRoom = await Pace.WhenRoomAsync(owner, _server).ConfigureAwait(false);
        return Answer(hasRoom ? null : Rejections.OwnerBehind, usage);
    }

    /// <summary>Answers a request other than POST, or refuses it. Null: the connection may go on.</summary>
    private Ending? Answer(Rejection? rejection, AddressUsage? usage)
    {
        if (rejection is null && Routes.TryAnswer(_server, _connection, State.Request, usage, out rejection))
            return Ending.Stream;
        if (rejection is not null)
            WriteRejection(rejection, close: false);
        return null;
    }

    /// <summary>Reads the body and has it delivered, or refused. Null: the connection goes on.</summary>
    private async ValueTask<Ending?> ServePostAsync(Rejection? rejection, Channel? channel, AddressUsage? usage)
    {
        HttpRequest request = State.Request;
        if (request.Body == BodyKind.Length && request.ContentLength > _server.Options.BodyLimit)
            return await RefuseAsync(rejection ?? Rejections.BodyTooLarge).ConfigureAwait(false);
        if (rejection is not null && request.ExpectsContinue)
            return await RefuseAsync(rejection).ConfigureAwait(false);

        _connection.SetDeadline(_server.Options.BodyTimeout);
        State.Body.Begin(request, _server.Options.BodyLimit);
        bool invited = !request.ExpectsContinue;
        Post post;
        ParseOutcome outcome;
        while ((outcome = ReadPost(ref rejection, channel, out post)) == ParseOutcome.NeedMore)
        {
            if (!invited)
            {
                _connection.Output.Write(ResponseWriter.Continue);
                invited = true;
            }

            ValueTask<Received> receiving = _connection.ReceiveAsync();
            if (!receiving.IsCompleted)
                FlushPublished();
            Received received = await receiving.ConfigureAwait(false);
            if (received != Received.Bytes)
                return await EndEarlyAsync(received, Rejections.BodyTimeout).ConfigureAwait(false);
        }

        if (outcome == ParseOutcome.Rejected)
            return await RefuseAsync(rejection!).ConfigureAwait(false);
        if (rejection is null && (usage is not null || post.MustKeepUp is { Sink.IsBehind: true }))
            rejection = await WhenInTurnAsync(post, isLimited: usage is not null).ConfigureAwait(false);
        if (rejection is null && !await DeliverAsync(post).ConfigureAwait(false))
            rejection = post.Failure;

        // A message that is refused for now will come again, and so will those behind it: served now, they would overtake it.
        if (rejection is { IsTemporary: true })
            return await RefuseAsync(rejection).ConfigureAwait(false);
        request.KeepAlive &= !_server.Stopping;
        if (rejection is null)
            ResponseWriter.WriteOk(_connection.Output, request);
        else
            WriteRejection(rejection, close: false);
        return null;
    }

    /// <summary>Waits until <paramref name="post"/> may be delivered. Otherwise it is refused, and its frame is returned.</summary>
    private async ValueTask<Rejection?> WhenInTurnAsync(Post post, bool isLimited)
    {
        ValueTask<Rejection?> turn = Pace.WhenInTurnAsync(post, isLimited, _server);
        if (!turn.IsCompleted)
            FlushPublished();
        Rejection? rejection = await turn.ConfigureAwait(false);
        if (rejection is not null)
            post.Frame.Release();
        return rejection;
    }

    private ValueTask<bool> DeliverAsync(Post post)
    {
        if (_published != post.Channel)
            FlushPublished();
        _published = post.Channel;
        return post.DeliverAsync();
    }

    /// <summary>Called when the client has nothing more to say for now: what it published goes out, all that came at once together.</summary>
    private void FlushPublished()
    {
        _published?.Flush();
        _published = null;
    }

    /// <summary>Reads what is there of the body; when that is all of it, understands it, unless the request is refused anyway.</summary>
    private ParseOutcome ReadPost(ref Rejection? rejection, Channel? channel, out Post post)
    {
        post = default;
        bool some = _connection.Input.TryRead(out ReadResult result);
        if (!some && State.Body.NeedsBytes)
            return ParseOutcome.NeedMore;
        var reader = new SequenceReader<byte>(result.Buffer);
        ParseOutcome outcome = State.Body.Read(ref reader, out ReadOnlySpan<byte> body, out Rejection? malformed);
        if (outcome == ParseOutcome.Done)
            rejection ??= Routes.ReadPost(_server, State.Request, channel!, body, out post);
        else if (outcome == ParseOutcome.Rejected)
            rejection = malformed == Rejections.BodyTooLarge ? rejection ?? malformed : malformed;
        if (some)
            _connection.Input.AdvanceTo(reader.Position, outcome == ParseOutcome.NeedMore ? result.Buffer.End : reader.Position);
        return outcome;
    }

    /// <summary>No more bytes: nothing is left to say to who is idle or gone, a sentence to who is in the middle of a request.</summary>
    private ValueTask<Ending> EndEarlyAsync(Received received, Rejection timeout)
    {
        if (received == Received.Failed)
            return new(Ending.Close);
        if (State.Parser.HasStarted)
            return RefuseAsync(received == Received.End ? Rejections.IncompleteRequest : _server.Stopping ? Rejections.ShuttingDown : timeout);

        // Closed with its receive still pending, the socket would send a reset; a FIN says the same in peace.
        Socket.Shutdown(SocketShutdown.Send);
        return new(Ending.Close);
    }

    /// <summary>Says why, as the last response of the connection.</summary>
    private async ValueTask<Ending> RefuseAsync(Rejection rejection)
    {
        WriteRejection(rejection, close: true);
        FlushPublished();
        await _connection.FlushAsync().ConfigureAwait(false);
        return Ending.Linger;
    }

    private void WriteRejection(Rejection rejection, bool close)
    {
        rejection = _server.WithLimits(rejection);
        ApiLog.Refused(_server.Logger, rejection.Status, rejection.Name);
        if (rejection != _refusal)
            _server.Warnings.OnRefused(rejection, _client);
        ResponseWriter.WriteRejection(_connection.Output, State.Request, rejection, close);
    }
}
