using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Moshpit.Server.Http;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>
/// A connection that carries requests: reads one after the other, has each answered by <see cref="Routes"/>, and ends, or becomes an event
/// stream. One loop, on whatever thread the bytes arrive; what must happen when time passes comes from outside, by <see cref="OnTick"/>.
/// </summary>
internal sealed class HttpConnection
{
    /// <summary>Requests answered in a row, while more keeps arriving, before others get the thread.</summary>
    private const int RequestsPerTurn = 64;

    /// <summary>Bytes dropped at once from who is not listened to any more.</summary>
    private const int LingerBuffer = 16 * 1024;

    private readonly ServerState _server;
    private readonly RequestState _state;
    private readonly int _slot;
    private long _deadline;
    private bool _sending;
    private bool _spoke;
    private Receiver? _lingering;

    private HttpConnection(Socket socket, ServerState server)
    {
        Socket = socket;
        _server = server;
        _state = server.RequestStates.Get();
        _deadline = server.Clock.DeadlineAfter(server.Options.HeaderTimeout);
        _slot = server.Connections.Add(this);
    }

    /// <summary>How the loop came to its end.</summary>
    private enum Ending : byte
    {
        /// <summary>Nothing is to be said any more.</summary>
        Close,

        /// <summary>A response is on its way that must not be lost to a reset.</summary>
        Linger,

        /// <summary>The socket belongs to an event stream now.</summary>
        Stream,
    }

    private enum Received : byte
    {
        Bytes,

        /// <summary>The client will send nothing more; it may still read.</summary>
        End,

        Failed,

        TimedOut,
    }

    public Socket Socket { get; }

    /// <summary>Serves <paramref name="socket"/>, which does not block, until its end. Never throws.</summary>
    public static void Serve(Socket socket, ServerState server) => _ = new HttpConnection(socket, server).RunAsync();

    /// <summary>Called when time has passed.</summary>
    public void OnTick(long now)
    {
        // The wait first: a deadline read after it is that wait's or a later one's.
        Receiver receiver = Volatile.Read(ref _lingering) ?? _state.Receiver;
        int wait = receiver.Current;
        if (now < Volatile.Read(ref _deadline))
            return;
        if (Volatile.Read(ref _sending))
            Abort();
        else
            receiver.Expire(wait);
    }

    /// <summary>The server stops: a connection between two requests ends now, others after the one that they are at.</summary>
    public void OnStopping()
    {
        int wait = _state.Receiver.Current;
        if (!_state.Parser.HasStarted)
            _state.Receiver.Expire(wait);
    }

    /// <summary>Ends the connection whatever it is doing.</summary>
    public void Abort() => Socket.Dispose();

    private async Task RunAsync()
    {
        var ending = Ending.Close;
        try
        {
            ending = await ServeRequestsAsync().ConfigureAwait(false);
            if (ending == Ending.Linger)
                await LingerAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client is gone, or the deadline for sending passed.
        }
        catch (Exception e)
        {
            ApiLog.Failed(_server.Logger, e);
        }

        if (ending != Ending.Stream)
            Socket.Dispose();
        _server.Connections.Remove(_slot, this);
        _server.RequestStates.Return(_state);
        _server.OnConnectionEnded();
    }

    private async ValueTask<Ending> ServeRequestsAsync()
    {
        HttpRequest request = _state.Request;
        for (int turn = 1; ; turn++)
        {
            ParseOutcome outcome;
            while ((outcome = ParseHead()) == ParseOutcome.NeedMore)
            {
                Received received = await ReceiveAsync().ConfigureAwait(false);
                if (received != Received.Bytes)
                    return await EndEarlyAsync(received, Rejections.HeadersTimeout).ConfigureAwait(false);
            }

            if (outcome == ParseOutcome.Rejected)
                return await RefuseAsync(_state.Parser.Rejection!).ConfigureAwait(false);

            if (request.Method == HttpMethod.Post)
            {
                // What the head alone decides is refused before a body is invited.
                Rejection? rejection = Routes.CheckPost(_server, request);
                Ending? ending = await ServePostAsync(rejection).ConfigureAwait(false);
                if (ending is not null)
                    return ending.Value;
            }
            else if (Routes.Answer(_server, this, request, _state.Output))
            {
                return Ending.Stream;
            }

            // A body that nobody asked for is not read: whatever follows can't be trusted to be a request.
            bool keep = request.KeepAlive && !_server.Stopping && (request.Body == BodyKind.None || request.Method == HttpMethod.Post);
            if (!keep)
            {
                await FlushAsync().ConfigureAwait(false);
                return Ending.Linger;
            }

            BeginNextRequest();
            if (turn % RequestsPerTurn == 0)
                await Task.Yield();
        }
    }

    private ParseOutcome ParseHead()
    {
        if (!_state.Input.Reader.TryRead(out ReadResult result))
            return ParseOutcome.NeedMore;
        var reader = new SequenceReader<byte>(result.Buffer);
        bool started = _state.Parser.HasStarted;
        ParseOutcome outcome = _state.Parser.Parse(ref reader, _state.Request);
        if (!started && _state.Parser.HasStarted)
            Volatile.Write(ref _deadline, _server.Clock.DeadlineAfter(_server.Options.HeaderTimeout));
        _state.Input.Reader.AdvanceTo(reader.Position, outcome == ParseOutcome.NeedMore ? result.Buffer.End : reader.Position);
        return outcome;
    }

    private void BeginNextRequest()
    {
        _state.Parser.Reset();
        _state.Request.Reset();
        Volatile.Write(ref _deadline, _server.Clock.DeadlineAfter(_server.Options.IdleTimeout));
    }

    /// <summary>Reads the body and has it delivered, or refused. Null: the connection goes on.</summary>
    private async ValueTask<Ending?> ServePostAsync(Rejection? rejection)
    {
        HttpRequest request = _state.Request;
        if (request.Body == BodyKind.Length && request.ContentLength > _server.Options.BodyLimit)
            return await RefuseAsync(rejection ?? Rejections.BodyTooLarge).ConfigureAwait(false);
        if (rejection is not null && request.ExpectsContinue)
            return await RefuseAsync(rejection).ConfigureAwait(false);

        Volatile.Write(ref _deadline, _server.Clock.DeadlineAfter(_server.Options.BodyTimeout));
        _state.Body.Begin(request, _server.Options.BodyLimit);
        bool invited = !request.ExpectsContinue;
        Post post;
        ParseOutcome outcome;
        while ((outcome = ReadPost(ref rejection, out post)) == ParseOutcome.NeedMore)
        {
            if (!invited)
            {
                _state.Output.Write(ResponseWriter.Continue);
                invited = true;
            }

            Received received = await ReceiveAsync().ConfigureAwait(false);
            if (received != Received.Bytes)
                return await EndEarlyAsync(received, Rejections.BodyTimeout).ConfigureAwait(false);
        }

        if (outcome == ParseOutcome.Rejected)
            return await RefuseAsync(rejection!).ConfigureAwait(false);
        if (rejection is null && !await post.DeliverAsync().ConfigureAwait(false))
            rejection = Rejections.UnknownChannel;
        if (rejection is null)
            ResponseWriter.WriteOk(_state.Output, request);
        else
            WriteRejection(rejection, close: false);
        return null;
    }

    /// <summary>Reads what is there of the body; when that is all of it, understands it, unless the request is refused anyway.</summary>
    private ParseOutcome ReadPost(ref Rejection? rejection, out Post post)
    {
        post = default;
        bool some = _state.Input.Reader.TryRead(out ReadResult result);
        if (!some && _state.Body.NeedsBytes)
            return ParseOutcome.NeedMore;
        var reader = new SequenceReader<byte>(result.Buffer);
        ParseOutcome outcome = _state.Body.Read(ref reader, out ReadOnlySpan<byte> body, out Rejection? malformed);
        if (outcome == ParseOutcome.Done)
            rejection ??= Routes.ReadPost(_server, _state.Request, body, out post);
        else if (outcome == ParseOutcome.Rejected)
            rejection = malformed;
        _state.Body.End();
        if (some)
            _state.Input.Reader.AdvanceTo(reader.Position, outcome == ParseOutcome.NeedMore ? result.Buffer.End : reader.Position);
        return outcome;
    }

    /// <summary>No more bytes: nothing is left to say to who is idle or gone, a sentence to who is in the middle of a request.</summary>
    private ValueTask<Ending> EndEarlyAsync(Received received, Rejection timeout)
    {
        if (received == Received.Failed || !_state.Parser.HasStarted)
            return new(Ending.Close);
        return RefuseAsync(received == Received.End ? Rejections.IncompleteRequest : timeout);
    }

    /// <summary>Says why, as the last response of the connection.</summary>
    private async ValueTask<Ending> RefuseAsync(Rejection rejection)
    {
        WriteRejection(rejection, close: true);
        await FlushAsync().ConfigureAwait(false);
        return Ending.Linger;
    }

    private void WriteRejection(Rejection rejection, bool close)
    {
        rejection = _server.WithLimits(rejection);
        ApiLog.Refused(_server.Logger, rejection.Status, rejection.Name);
        ResponseWriter.WriteRejection(_state.Output, _state.Request, rejection, close);
    }

    /// <summary>Sends what is to be sent, then waits for more bytes.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Received> ReceiveAsync()
    {
        await FlushAsync().ConfigureAwait(false);
        if (!_spoke)
        {
            // Who has connected and said nothing yet gets no memory.
            SocketError ready = await _state.Receiver.ReceiveAsync(Socket, default).ConfigureAwait(false);
            if (ready != SocketError.Success)
                return ready == SocketError.TimedOut ? Received.TimedOut : Received.Failed;
            _spoke = true;
        }

        Memory<byte> buffer = _state.Input.Writer.GetMemory();
        SocketError error = await _state.Receiver.ReceiveAsync(Socket, buffer).ConfigureAwait(false);
        if (error != SocketError.Success)
            return error == SocketError.TimedOut ? Received.TimedOut : Received.Failed;
        if (_state.Receiver.BytesTransferred == 0)
            return Received.End;
        _state.Input.Writer.Advance(_state.Receiver.BytesTransferred);
        await _state.Input.Writer.FlushAsync().ConfigureAwait(false);
        return Received.Bytes;
    }

    private ValueTask FlushAsync()
    {
        ReadOnlySpan<byte> output = _state.Output.WrittenSpan;
        if (output.IsEmpty)
            return default;
        int sent = Socket.Send(output, SocketFlags.None, out SocketError error);
        if (error is not (SocketError.Success or SocketError.WouldBlock))
            throw new SocketException((int)error);
        if (sent < output.Length)
            return FlushSlowlyAsync(Math.Max(sent, 0));
        _state.Output.ResetWrittenCount();
        return default;
    }

    /// <summary>The client does not read as fast as it asks: it gets a bounded time to do so.</summary>
    private async ValueTask FlushSlowlyAsync(int sent)
    {
        long deadline = _deadline;
        Volatile.Write(ref _deadline, _server.Clock.DeadlineAfter(_server.Options.LingerTimeout));
        Volatile.Write(ref _sending, true);
        ReadOnlyMemory<byte> output = _state.Output.WrittenMemory;
        while (sent < output.Length)
            sent += await Socket.SendAsync(output[sent..], SocketFlags.None).ConfigureAwait(false);
        Volatile.Write(ref _sending, false);
        Volatile.Write(ref _deadline, deadline);
        _state.Output.ResetWrittenCount();
    }

    /// <summary>
    /// Closing while the client still sends would reset the connection, and the client could lose the response (RFC 9112 section 9.6). So:
    /// a FIN, then what comes is dropped, within bounds, until the client closes too.
    /// </summary>
    private async ValueTask LingerAsync()
    {
        Socket.Shutdown(SocketShutdown.Send);
        Volatile.Write(ref _deadline, _server.Clock.DeadlineAfter(_server.Options.LingerTimeout));
        Receiver receiver = _state.Receiver.Abandoned ? _lingering = new Receiver() : _state.Receiver;
        long dropped = 0;
        byte[] scratch = ArrayPool<byte>.Shared.Rent(LingerBuffer);
        while (dropped < _server.Options.LingerLimit)
        {
            SocketError error = await receiver.ReceiveAsync(Socket, scratch).ConfigureAwait(false);
            if (error == SocketError.TimedOut)
                return;
            if (error != SocketError.Success || receiver.BytesTransferred == 0)
                break;
            dropped += receiver.BytesTransferred;
        }

        ArrayPool<byte>.Shared.Return(scratch);
    }
}
