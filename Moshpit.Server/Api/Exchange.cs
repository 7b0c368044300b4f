using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.Extensions.ObjectPool;
using Moshpit.Server.Channels;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>
/// One request and its answer, on a connection that carries more of them. Pooled: a connection that rests, ends or becomes a stream gives
/// it back.
/// </summary>
internal sealed class Exchange
{
    private readonly BodyReader _body;
    private RequestConnection _connection = null!;
    private TimeSpan _bodyTimeout;
    private Shutdown _shutdown = null!;
    private ReadOnlyMemory<byte> _bodyBytes;

    /// <summary>Up to where what was received has been read, while <see cref="Body"/> still points into it.</summary>
    private SequencePosition? _readUpTo;

    /// <summary>Where the connection published what may not be on its way yet.</summary>
    private Channel? _published;

    private Exchange(RequestLimits limits)
    {
        Parser = new RequestParser(limits);
        _body = new BodyReader(limits);
    }

    public RequestParser Parser { get; }

    public HttpRequest Request { get; } = new();

    /// <summary>Against which address the request counts; null: it is not limited.</summary>
    public AddressUsage? Client { get; set; }

    public Socket Socket => _connection.Socket;

    /// <summary>Takes the answer, behind those to the requests before it.</summary>
    public ArrayBufferWriter<byte> Output => _connection.Output;

    /// <summary>All of the body has been read.</summary>
    public bool HasBody { get; private set; }

    /// <summary>The body, after <see cref="ReadBodyAsync"/> and until the request is answered.</summary>
    public ReadOnlySpan<byte> Body => _bodyBytes.Span;

    /// <summary>Why there is no body. The connection is not in step with its client any more.</summary>
    public Outcome BodyFailure { get; private set; }

    /// <summary>Begins to serve <paramref name="connection"/>.</summary>
    public void Attach(RequestConnection connection, MoshpitServerOptions options, Shutdown shutdown)
    {
        _connection = connection;
        _bodyTimeout = options.BodyTimeout;
        _shutdown = shutdown;
        Request.IdleSeconds = (int)options.IdleTimeout.TotalSeconds;
    }

    /// <summary>
    /// Something was published in <paramref name="channel"/>. It goes out together with what is published right after it.
    /// </summary>
    public void Publishes(Channel channel)
    {
        if (_published != channel)
            BeforeWaiting();
        _published = channel;
    }

    /// <summary>Called when the connection waits, or ends: what was published goes out, all that came at once together.</summary>
    public void BeforeWaiting()
    {
        _published?.Drain();
        _published = null;
    }

    /// <summary>Called before the answer is written: it says so if the connection ends with it because the server stops.</summary>
    public void HeedShutdown() => Request.KeepAlive &= !_shutdown.HasBegun;

    /// <summary>Invites the body if the client waits for that, and reads it. False: see <see cref="BodyFailure"/>.</summary>
    public ValueTask<bool> ReadBodyAsync()
    {
        if (_body.Begin(Request) is { } tooLarge)
            return new(Fail(tooLarge));
        _connection.SetDeadline(_bodyTimeout);
        return TryReadBody(out bool isRead) ? new(isRead) : ReadBodySlowlyAsync();
    }

    /// <summary>Makes it ready for the next request.</summary>
    public void Reset()
    {
        _bodyBytes = default;
        if (_readUpTo is { } position)
            _connection.Input.AdvanceTo(position);
        _readUpTo = null;
        Parser.Reset();
        Request.Reset();
        _body.Release();
        Client = null;
        HasBody = false;
        BodyFailure = default;
    }

    private async ValueTask<bool> ReadBodySlowlyAsync()
    {
        if (Request.ExpectsContinue)
            Output.Write(ResponseWriter.Continue);
        bool isRead;
        do
        {
            Received received = await _connection.ReceiveAsync().ConfigureAwait(false);
            if (received == Received.Failed)
                return Fail(Outcome.Gone);
            if (received == Received.End)
                return Fail(Rejections.IncompleteRequest);
            if (received == Received.TimedOut)
                return Fail(_shutdown.HasBegun ? ApiRejections.ShuttingDown : Rejections.BodyTimeout);
        }
        while (!TryReadBody(out isRead));
        return isRead;
    }

    /// <summary>False: more has to come. Otherwise <paramref name="isRead"/> says whether the body is there.</summary>
    private bool TryReadBody(out bool isRead)
    {
        isRead = false;
        bool some = _connection.Input.TryRead(out ReadResult result);
        if (!some && _body.NeedsBytes)
            return false;
        var reader = new SequenceReader<byte>(result.Buffer);
        ParseOutcome outcome = _body.Read(ref reader, out _bodyBytes, out Rejection? malformed);
        if (outcome == ParseOutcome.Done)
        {
            // The body may lie in what was received, which is given back when the request is answered.
            _readUpTo = some ? reader.Position : null;
            isRead = HasBody = true;
            return true;
        }

        _connection.Input.AdvanceTo(reader.Position, outcome == ParseOutcome.NeedMore ? result.Buffer.End : reader.Position);
        if (outcome == ParseOutcome.NeedMore)
            return false;
        isRead = Fail(malformed!);
        return true;
    }

    private bool Fail(Outcome failure)
    {
        BodyFailure = failure;
        return false;
    }

    /// <summary>Makes them and has them ready for the next connection.</summary>
    internal sealed class Policy(RequestLimits limits) : IPooledObjectPolicy<Exchange>
    {
        public Exchange Create() => new(limits);

        public bool Return(Exchange exchange)
        {
            exchange.Reset();
            exchange._connection = null!;
            return true;
        }
    }
}
