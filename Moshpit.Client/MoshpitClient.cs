// MoshpitClient.cs - a client for Moshpit: messages between peers over plain HTTP. Copy this one file into your project.
//
// MIT License. Copyright (c) the Moshpit authors. No warranty. The full text is at https://opensource.org/license/mit
//
// How to use it:
//
//     var pit = new MoshpitClient("http://localhost:5000");
//     await using var peer = pit.Open();                                   // creates a channel; Open(id) joins one
//     _ = peer.Write("{\"ping\":1}");                                      // to all, this peer too; works before "connect"
//     await foreach (var e in peer)                                        // connect, join, leave, signal
//         if (e.Name == "join") await peer.Write("{\"hello\":1}", e.Cid);  // to one peer
//         else Console.WriteLine(e.Name + " " + e.Data);
//
// Each peer holds one text/event-stream response open and POSTs what it has to say over a second connection.
// C# 9; netstandard2.1 (Unity, not its WebGL player, which has no sockets), net8.0 and later; trimming and native AOT; no package.
// It does not reconnect: after a reconnect a peer has another cid, and an owner another channel, so that is for its user to decide.
//
// What stands where:
//
//     1. The surface      MoshpitClient, MoshpitClientOptions, MoshpitEvent, MoshpitException
//     2. The peer         MoshpitPeer: reading the stream, writing in order
//     3. Queues           EventQueue (what waits to be enumerated), PendingWrite (what waits to be sent)
//     4. The event stream SseParser: bytes in, events out (WHATWG HTML, section 9.2)
//     5. HTTP             HttpHead and HttpReader: responses as in RFC 9112, over any Stream
//     6. The network      Endpoint (where a request goes), Connection (TCP, Unix socket, TLS), Step (time limits and cancellation)
//     7. JSON             Json: checks that a text is one value, and finds the members of an object (RFC 8259)

#nullable enable

using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.IO;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
#if NET8_0_OR_GREATER
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
#endif

namespace Moshpit.Client
{
    // ---- 1. The surface ---------------------------------------------------------------------------------------------

    /// <summary>Opens peers on one Moshpit server. Safe for use by several threads; holds no connection itself.</summary>
    public sealed class MoshpitClient
    {
        private readonly Endpoint _server;
        private readonly MoshpitClientOptions _options;

        /// <summary>A client for the server at <paramref name="url"/>. Nothing is connected yet.</summary>
        /// <param name="url"><c>http://host:port</c>, <c>https://host</c>, with a path in front of the channels if a proxy wants one
        /// (<c>http://host/pit</c>), or <c>http://unix:/path/to.sock</c> (<c>http://unix:/path/to.sock:/pit</c>) for a Unix socket.</param>
        /// <param name="options">Limits and time limits; null for the defaults. Copied: later changes have no effect.</param>
        /// <exception cref="ArgumentException">The URL is not of these forms, or an option is out of range.</exception>
        public MoshpitClient(string url, MoshpitClientOptions? options = null)
        {
            _server = Endpoint.Parse(url ?? throw new ArgumentNullException(nameof(url)));
            _options = (options ?? new MoshpitClientOptions()).CheckedCopy();
        }

        /// <summary>Creates a channel and owns it: when this peer leaves, the channel is gone and the streams of the others end.</summary>
        /// <param name="cancellationToken">Cancelling it leaves at once, as long as there is a stream or a message under way.</param>
        /// <returns>The peer, which connects in the background. Failures come from its enumeration and its tasks.</returns>
        public MoshpitPeer Open(CancellationToken cancellationToken = default) => new MoshpitPeer(_server, _options, cancellationToken);

        /// <summary>Joins the channel <paramref name="id"/>.</summary>
        /// <param name="id">The <see cref="MoshpitEvent.Id"/> that the owner's <c>connect</c> told: ASCII letters, digits, <c>-</c> and
        /// <c>_</c>.</param>
        /// <param name="cancellationToken">Cancelling it leaves at once, as long as there is a stream or a message under way.</param>
        /// <returns>The peer, which connects in the background. An unknown channel is a <see cref="MoshpitException"/> with status 404
        /// from its enumeration and its tasks.</returns>
        /// <exception cref="ArgumentException">The id is empty or has other characters.</exception>
        public MoshpitPeer Open(string id, CancellationToken cancellationToken = default)
        {
            if (!Endpoint.IsChannelId(id ?? throw new ArgumentNullException(nameof(id))))
                throw new ArgumentException("A channel's id consists of ASCII letters, digits, '-' and '_'.", nameof(id));
            return new MoshpitPeer(_server.Resolve(id), _options, cancellationToken);
        }
    }

    /// <summary>Limits and time limits of a <see cref="MoshpitClient"/>. A time is positive, at most 24 days, or
    /// <see cref="Timeout.InfiniteTimeSpan"/> for none.</summary>
    public sealed class MoshpitClientOptions
    {
        // What the client says itself; a second one would contradict it.
        private static readonly string[] OwnHeaders =
            { "Host", "Accept", "Connection", "Content-Length", "Content-Type", "Expect", "Transfer-Encoding", "Upgrade" };

        /// <summary>Time for resolving the name, connecting and the TLS handshake, together. Default: 10 seconds.</summary>
        public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(10);

        /// <summary>Time from sending a request to the head of its response, and once more for what the body of an answer says, or for a
        /// stream's <c>connect</c>. Default: 30 seconds. A server that is busy with slow peers may hold an answer back, so don't be too
        /// strict.</summary>
        public TimeSpan ResponseTimeout { get; set; } = TimeSpan.FromSeconds(30);

        /// <summary>Time without one byte on the stream after which the server is taken for dead. Default: 60 seconds, more than two of
        /// Moshpit's heartbeats. The original Node server sends none: set <see cref="Timeout.InfiniteTimeSpan"/> for it.</summary>
        public TimeSpan SilenceTimeout { get; set; } = TimeSpan.FromSeconds(60);

        /// <summary>The most bytes of one event (its data, name and the line being read, a comment's too). Default: 1 MiB. A larger one ends
        /// the peer.</summary>
        public int MaxEventSize { get; set; } = 1 << 20;

        /// <summary>How many characters of events may wait to be enumerated before the stream is no longer read (what one more read completes
        /// comes on top). Default: 1 Mi. A server cuts off a peer that doesn't read for long.</summary>
        public int ReceiveBufferSize { get; set; } = 1 << 20;

        /// <summary>How many characters may wait to be sent, before <c>connect</c> and after; each message counts 64 more. Default: 1 Mi. A
        /// <see cref="MoshpitPeer.Write(string, string, CancellationToken)"/> beyond it fails; nothing else does.</summary>
        public int WriteBufferSize { get; set; } = 1 << 20;

        /// <summary>Headers to add to every request, <c>Authorization</c> say. They go to the origin (scheme, host, port) of the client's URL
        /// alone, not to another one that it redirects to. Default: none.</summary>
        public IDictionary<string, string> Headers { get; } =
            new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

        /// <summary>Decides about the server's certificate (https). Default: null, the system's rules.</summary>
        public RemoteCertificateValidationCallback? CertificateValidation { get; set; }

        /// <summary>The <see cref="Headers"/> as they stand in a request, each with its CR LF.</summary>
        internal string HeaderLines { get; private set; } = "";

        internal MoshpitClientOptions CheckedCopy()
        {
            CheckTime(ConnectTimeout, nameof(ConnectTimeout));
            CheckTime(ResponseTimeout, nameof(ResponseTimeout));
            CheckTime(SilenceTimeout, nameof(SilenceTimeout));
            CheckSize(MaxEventSize, nameof(MaxEventSize));
            CheckSize(ReceiveBufferSize, nameof(ReceiveBufferSize));
            CheckSize(WriteBufferSize, nameof(WriteBufferSize));
            var lines = new StringBuilder();
            foreach (KeyValuePair<string, string> header in Headers)
            {
                bool ours = Array.Exists(OwnHeaders, own => own.Equals(header.Key, StringComparison.OrdinalIgnoreCase));
                if (ours || !HttpReader.IsToken(header.Key) || header.Value is null || !IsFieldValue(header.Value))
                    throw new ArgumentException("The header '" + header.Key + "' can't be set, or has a character that can't be sent.");
                lines.Append(header.Key).Append(": ").Append(header.Value).Append("\r\n");
            }

            var copy = (MoshpitClientOptions)MemberwiseClone();
            copy.HeaderLines = lines.ToString();
            return copy;
        }

        private static bool IsFieldValue(string value)
        {
            foreach (char c in value)
                if ((c < ' ' && c != '\t') || c > '~')
                    return false;
            return true;
        }

        private static void CheckTime(TimeSpan time, string name)
        {
            if (time != Timeout.InfiniteTimeSpan && (time <= TimeSpan.Zero || time > TimeSpan.FromDays(24)))
                throw new ArgumentOutOfRangeException(name, time, "A time limit is positive, at most 24 days, or Timeout.InfiniteTimeSpan.");
        }

        private static void CheckSize(int size, string name)
        {
            if (size <= 0)
                throw new ArgumentOutOfRangeException(name, size, "A size is positive.");
        }
    }

    /// <summary>One event of a peer's stream. Immutable.</summary>
    public sealed class MoshpitEvent
    {
        internal MoshpitEvent(string name, string data, string lastEventId)
        {
            Name = name;
            Data = data;
            LastEventId = lastEventId;
            // Only the server speaks under these names; what peers say comes as "signal", whatever members it has.
            if (name != "connect" && name != "join" && name != "leave")
                return;
            string?[] members = Json.StringMembers(data, "id", "cid", "token");
            Id = members[0];
            Cid = members[1];
            Token = members[2];
        }

        /// <summary><c>connect</c> (the first), <c>join</c> and <c>leave</c> (told to the owner), <c>signal</c> (a message), or what else the
        /// server calls it; <c>message</c> where it gives no name.</summary>
        public string Name { get; }

        /// <summary>The data; from a Moshpit server one JSON value.</summary>
        public string Data { get; }

        /// <summary>The stream's last event id when this event came; empty as long as there was none.</summary>
        public string LastEventId { get; }

        /// <summary>The channel's id, of <c>connect</c>, <c>join</c> and <c>leave</c>; else null.</summary>
        public string? Id { get; }

        /// <summary>Of <c>connect</c> this peer's cid, of <c>join</c> and <c>leave</c> the other's; else null.</summary>
        public string? Cid { get; }

        /// <summary>Of <c>connect</c> the secret that allows to write as this peer; else null. Don't log it (nor the data it stands in).</summary>
        public string? Token { get; }

#if NET8_0_OR_GREATER
        /// <summary>The data as a <typeparamref name="T"/>, with source-generated metadata: for trimmed and native AOT programs.</summary>
        /// <exception cref="JsonException">The data is not JSON, or not of this type.</exception>
        public T? Read<T>(JsonTypeInfo<T> typeInfo) => JsonSerializer.Deserialize(Data, typeInfo);

        /// <summary>The data as a <typeparamref name="T"/>, by reflection.</summary>
        /// <exception cref="JsonException">The data is not JSON, or not of this type.</exception>
        [RequiresUnreferencedCode("Uses reflection. In trimmed programs use the overload with a JsonTypeInfo.")]
        [RequiresDynamicCode("Uses reflection. In native AOT programs use the overload with a JsonTypeInfo.")]
        public T? Read<T>(JsonSerializerOptions? options = null) => JsonSerializer.Deserialize<T>(Data, options);
#endif
    }

    /// <summary>What went wrong between this client and the server: refused, lost, late, or not understood.</summary>
    public sealed class MoshpitException : IOException
    {
        internal MoshpitException(
            string message, Exception? inner = null, int? status = null, string? reply = null, bool outcomeUnknown = false)
            : base(message, inner)
        {
            Status = status;
            Reply = reply;
            OutcomeUnknown = outcomeUnknown;
        }

        /// <summary>The HTTP status, where the server answered with one that is not success; else null.</summary>
        public int? Status { get; }

        /// <summary>The server's sentence about it, at most 4 KiB; else null.</summary>
        public string? Reply { get; }

        /// <summary>True where a message was sent, wholly or in part, and not answered: it may have been delivered or not. It was not sent a
        /// second time; to do so is for the caller to decide.</summary>
        public bool OutcomeUnknown { get; }
    }

    // ---- 2. The peer ------------------------------------------------------------------------------------------------

    /// <summary>
    /// A peer of a channel: enumerate it for what it is told, <see cref="Write(string, string, CancellationToken)"/> for what it has to say.
    /// It connects as soon as it is made. Safe for use by several threads, and enumerated once.
    /// </summary>
    /// <remarks>
    /// The enumeration ends when the server ends the stream (the owner left) or the peer is disposed. Anything else is thrown from it: a
    /// <see cref="MoshpitException"/>, or an <see cref="OperationCanceledException"/> if the token given to Open was cancelled.
    /// Events that come before the enumeration wait for it, up to <see cref="MoshpitClientOptions.ReceiveBufferSize"/>; after it (a
    /// <c>break</c>) they are read and dropped, and the peer stays until it is disposed.
    /// </remarks>
    public sealed class MoshpitPeer : IAsyncEnumerable<MoshpitEvent>, IAsyncDisposable, IDisposable
    {
        private const int MaxRedirects = 10;
        private const int MaxReplySize = 4096;
        private const string LateAnswer = "The server did not answer within";

        // Many servers close an idle connection after 5 seconds (Node's default). A message written at that very moment would have an
        // unknown outcome, so a connection that was idle for nearly as long is not used again.
        private static readonly TimeSpan ReuseWithin = TimeSpan.FromSeconds(4);
        private static readonly TimeSpan CloseAfter = TimeSpan.FromSeconds(5); // of use to nobody any more

        private readonly MoshpitClientOptions _options;
        private readonly Endpoint _start;
        private readonly EventQueue _events;
        private readonly CancellationTokenSource _leaving = new CancellationTokenSource();
        private readonly CancellationToken _canceled;
        private readonly CancellationTokenRegistration _onCanceled;
        private readonly TaskCompletionSource<MoshpitEvent> _connected =
            new TaskCompletionSource<MoshpitEvent>(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Task _reading;
        private int _isEnumerated;

        // All below: under the lock of _writes. _sending runs while there is something to send, and it alone uses _kept meanwhile.
        private readonly Queue<PendingWrite> _writes = new Queue<PendingWrite>();
        private int _writesSize;
        private Endpoint? _postTo;
        private Task _sending = Task.CompletedTask;
        private bool _isSending;
        private bool _closesLater;
        private bool _hasEnded;
        private Exception? _failure;
        private Connection? _kept;

        internal MoshpitPeer(Endpoint start, MoshpitClientOptions options, CancellationToken cancellationToken)
        {
            _start = start;
            _options = options;
            _canceled = cancellationToken;
            _events = new EventQueue(options.ReceiveBufferSize);
            Step.Observe(_connected.Task); // a failure is told by the enumeration too
            _onCanceled = cancellationToken.Register(() => End(new OperationCanceledException(cancellationToken), atOnce: true));
            // On the thread pool, and so without the caller's SynchronizationContext (Unity's, a window's): nothing below waits for it.
            _reading = Task.Run(ReadStreamAsync);
        }

        /// <summary>Completes with the <c>connect</c> event (id, cid, token), or fails as the enumeration does, or with a
        /// <see cref="MoshpitException"/> if the peer ended before it was connected.</summary>
        public Task<MoshpitEvent> Connected => _connected.Task;

        /// <summary>The events, <c>connect</c> first.</summary>
        /// <param name="cancellationToken">Ends this enumeration at once, with an <see cref="OperationCanceledException"/>. The peer
        /// stays; the token given to Open ends it.</param>
        /// <exception cref="InvalidOperationException">The peer is being, or has been, enumerated; thrown when this enumeration begins.</exception>
        public IAsyncEnumerator<MoshpitEvent> GetAsyncEnumerator(CancellationToken cancellationToken = default) => EnumerateAsync(cancellationToken);

        /// <summary>Sends one JSON value to every peer of the channel, this one included, or to one of them.</summary>
        /// <remarks>
        /// Works at once: what is written before <c>connect</c> waits for it. Messages arrive in the order of the calls, one POST after the
        /// other, as long as none has an unknown outcome. A message that is not answered is never sent again; the one connection that is
        /// replaced without a word is a kept one that the server had closed before a byte of the message was written.
        /// Await the task before you dispose the peer: what waits then is not sent any more.
        /// </remarks>
        /// <param name="json">Exactly one JSON value, nested at most 63 deep. Of an object the member <c>_cid</c> is taken out and is the
        /// addressee (empty or null: to all). The server's limit is 10 KiB for all of the request's body.</param>
        /// <param name="cid">The addressee; null: to all.</param>
        /// <param name="cancellationToken">A message not yet begun is taken back. One under way is given up with its connection, and
        /// may have been delivered.</param>
        /// <returns>A task that completes when the server has taken the message. It fails with a <see cref="MoshpitException"/> (the status
        /// and the server's sentence; or <see cref="MoshpitException.OutcomeUnknown"/>; or too much waits to be sent; or the peer ended), or is
        /// cancelled.</returns>
        /// <exception cref="ArgumentException">Thrown by the call: not one JSON value, an empty <paramref name="cid"/>, a <c>_cid</c> that is no
        /// string or comes with a <paramref name="cid"/>.</exception>
        public Task Write(string json, string? cid = null, CancellationToken cancellationToken = default)
        {
            if (json is null)
                throw new ArgumentNullException(nameof(json));
            if (cid is { Length: 0 })
                throw new ArgumentException("The cid is empty. To send to all, give null.", nameof(cid)); // an oversight must not tell all
            string data = Json.TakeOutCid(json, ref cid);
            return Enqueue(new PendingWrite(data, cid, cancellationToken));
        }

#if NET8_0_OR_GREATER
        /// <summary>Sends <paramref name="value"/> as JSON, with source-generated metadata: for trimmed and native AOT programs.</summary>
        /// <inheritdoc cref="Write(string, string, CancellationToken)"/>
        public Task WriteAsJson<T>(T value, JsonTypeInfo<T> typeInfo, string? cid = null, CancellationToken cancellationToken = default) =>
            Write(JsonSerializer.Serialize(value, typeInfo), cid, cancellationToken);

        /// <summary>Sends <paramref name="value"/> as JSON, by reflection.</summary>
        /// <inheritdoc cref="Write(string, string, CancellationToken)"/>
        [RequiresUnreferencedCode("Uses reflection. In trimmed programs use the overload with a JsonTypeInfo.")]
        [RequiresDynamicCode("Uses reflection. In native AOT programs use the overload with a JsonTypeInfo.")]
        public Task WriteAsJson<T>(T value, string? cid = null, CancellationToken cancellationToken = default) =>
            Write(JsonSerializer.Serialize(value), cid, cancellationToken);
#endif

        /// <summary>Leaves the channel at once: the enumeration ends, messages that wait are not sent. Doing it twice does no harm.</summary>
        public void Dispose() => End(null, atOnce: true);

        /// <summary>Leaves the channel at once, as <see cref="Dispose"/>, and completes when the connections are closed.</summary>
        public async ValueTask DisposeAsync()
        {
            Dispose();
            Task sending;
            lock (_writes)
                sending = _sending;
            await _reading.ConfigureAwait(false);
            await sending.ConfigureAwait(false);
        }

        private async IAsyncEnumerator<MoshpitEvent> EnumerateAsync(CancellationToken cancellationToken)
        {
            // Here, not in the call: an enumerator that is disposed of before its first step is none.
            if (Interlocked.Exchange(ref _isEnumerated, 1) != 0)
                throw new InvalidOperationException("A peer can be enumerated once: two enumerations would each get some of the events.");
            try
            {
                while (await _events.TakeAsync(cancellationToken).ConfigureAwait(false) is { } next)
                    yield return next;
            }
            finally
            {
                _events.Discard();
            }
        }

        // -- Reading

        private async Task ReadStreamAsync()
        {
            try
            {
                using Connection connection = await OpenStreamAsync();
                // Before connect nothing can be sent. A stream that never says it (of some other server, say) must not keep writers waiting.
                using var patience = new System.Threading.Timer( // in full: Windows Forms has a Timer too
                    _ => GiveUpOnConnect(), null, _options.ResponseTimeout, Timeout.InfiniteTimeSpan);
                var parser = new SseParser(_options.MaxEventSize);
                var events = new List<MoshpitEvent>();
                while (true)
                {
                    ReadOnlyMemory<byte> bytes = await connection.BoundedAsync(
                        "The stream was silent for", _options.SilenceTimeout, _leaving.Token, () => connection.Reader.ReadBodyAsync().AsTask());
                    if (bytes.IsEmpty)
                        break;
                    try
                    {
                        parser.Push(bytes.Span, events);
                    }
                    finally
                    {
                        // Also when Push fails, or Connect: what was complete before that is given out.
                        try
                        {
                            foreach (MoshpitEvent e in events)
                                if (e.Name == "connect")
                                    Connect(e, connection.Endpoint);
                        }
                        finally
                        {
                            await _events.AddAsync(events);
                            events.Clear();
                        }
                    }
                }

                End(null, atOnce: false);
            }
            catch (Exception e)
            {
                End(e, atOnce: false);
            }
        }

        private async Task<Connection> OpenStreamAsync()
        {
            Endpoint endpoint = _start;
            for (int redirects = 0; ; redirects++)
            {
                Connection connection = await Connection.OpenAsync(endpoint, _options, _leaving.Token);
                HttpHead head;
                try
                {
                    head = await connection.BoundedAsync(LateAnswer, _options.ResponseTimeout, _leaving.Token, async () =>
                    {
                        await connection.SendAsync(Request("GET", endpoint, "Accept: text/event-stream\r\n", ""));
                        return await connection.Reader.ReadHeadAsync();
                    });
                    if (head.Status == 200 || head.Status == 201)
                    {
                        if (!head.IsEventStream)
                            throw new MoshpitException(endpoint + " answered with something else than an event stream: Content-Type is '" +
                                head["Content-Type"] + "', Content-Encoding '" + head["Content-Encoding"] + "'.");
                        return connection;
                    }

                    if (!head.IsRedirect)
                        throw Refusal(endpoint, head, await ReadReplyAsync(connection, _leaving.Token));
                }
                catch
                {
                    connection.Dispose();
                    throw;
                }

                connection.Dispose();
                endpoint = Redirect(endpoint, head, redirects);
            }
        }

        private void Connect(MoshpitEvent connect, Endpoint streamAt)
        {
            if (_connected.Task.IsCompleted)
                return;
            if (connect.Id is null || connect.Cid is null || connect.Token is null || !Endpoint.IsChannelId(connect.Id))
                throw new MoshpitException("The server's connect event has no usable id, cid and token.");
            if (!_connected.TrySetResult(connect))
                return; // the peer has ended meanwhile
            lock (_writes)
            {
                // Beside the stream, wherever redirects have led: POST /pit/ID for a stream at /pit/ or /pit/ID.
                _postTo = streamAt.Resolve(connect.Id);
                StartSending();
            }
        }

        private void GiveUpOnConnect()
        {
            var late = new MoshpitException("The server sent no connect event within " + _options.ResponseTimeout + ". Is it a Moshpit?");
            if (_connected.TrySetException(late))
                End(late, atOnce: true);
        }

        /// <summary>The one end of the peer; the first call counts. At once: what waits is dropped and the connections are closed.</summary>
        private void End(Exception? failure, bool atOnce)
        {
            _events.End(failure, atOnce);
            if (failure is OperationCanceledException)
                _connected.TrySetCanceled(_canceled);
            else
                _connected.TrySetException(failure ?? new MoshpitException("The peer ended before it was connected."));
            PendingWrite[] unsent;
            bool isSending;
            lock (_writes)
            {
                if (!_hasEnded)
                    _failure = failure;
                _hasEnded = true;
                unsent = _writes.ToArray();
                _writes.Clear();
                isSending = _isSending;
                if (!isSending)
                    _kept?.Dispose();
            }

            foreach (PendingWrite write in unsent)
                if (write.TryBegin())
                    write.Fail(Ended());
            if (atOnce || !isSending)
                _onCanceled.Dispose(); // else when what is under way is done: until then there is something to cancel
            if (atOnce)
                _leaving.Cancel();
        }

        private Exception Ended() =>
            new MoshpitException("The message was not sent: the peer has left, or its stream has ended.", _failure);

        // -- Writing

        private Task Enqueue(PendingWrite write)
        {
            lock (_writes)
            {
                if (_hasEnded)
                    return Task.FromException(Ended());
                if (write.Size > _options.WriteBufferSize - _writesSize)
                    return Task.FromException(new MoshpitException("The message was not sent: it counts " + write.Size + " characters, " +
                        _writesSize + " wait already, and WriteBufferSize is " + _options.WriteBufferSize + ". Await what Write returns, or raise it."));
                _writesSize += write.Size;
                _writes.Enqueue(write);
                StartSending();
            }

            write.ListenForCancellation(TryTakeBack);
            return write.Task;
        }

        private void StartSending()
        {
            if (_isSending || _postTo is null || _writes.Count == 0)
                return;
            _isSending = true;
            _sending = Task.Run(SendAllAsync);
        }

        private async Task SendAllAsync()
        {
            while (TryDequeue(out PendingWrite? write))
            {
                Exception? failure = null;
                bool isTakenBack = !write.TryBegin();
                try
                {
                    if (!isTakenBack)
                        await PostAsync(write);
                }
                catch (Exception e)
                {
                    failure = e;
                }

                Forget(write);
                if (isTakenBack)
                    continue;
                if (failure != null)
                    write.Fail(failure);
                else
                    write.Succeed();
            }
        }

        private bool TryDequeue([NotNullWhen(true)] out PendingWrite? write)
        {
            bool hasEnded;
            lock (_writes)
            {
                if (_writes.TryDequeue(out write))
                    return true;
                _isSending = false;
                hasEnded = _hasEnded;
                if (hasEnded)
                    _kept?.Dispose();
                else if (_kept != null && !_closesLater)
                {
                    _closesLater = true;
                    _ = CloseLaterAsync();
                }
            }

            if (hasEnded)
                _onCanceled.Dispose();
            return false;
        }

        /// <summary>Closes a connection that was kept for the next message when it is too old for one.</summary>
        private async Task CloseLaterAsync()
        {
            while (true)
            {
                try
                {
                    await Task.Delay(CloseAfter, _leaving.Token);
                }
                catch (OperationCanceledException)
                {
                    return;
                }

                Connection old;
                lock (_writes)
                {
                    if (!_isSending && _kept != null && _kept.Idle < ReuseWithin)
                        continue; // used meanwhile
                    _closesLater = false;
                    if (_isSending || _kept is null)
                        return; // when sending is done, this starts anew
                    old = _kept;
                    _kept = null;
                }

                old.Dispose();
                return;
            }
        }

        /// <summary>A message does not wait any more.</summary>
        private void Forget(PendingWrite write)
        {
            lock (_writes)
                _writesSize -= write.Size;
        }

        /// <summary>Unless it was begun: it is not sent. Its place in the queue stays until it is its turn, but not what it says.</summary>
        private bool TryTakeBack(PendingWrite write)
        {
            lock (_writes)
            {
                if (!write.TryBegin())
                    return false;
                _writesSize -= write.Size;
                write.DropText();
                _writesSize += write.Size;
                return true;
            }
        }

        private async Task PostAsync(PendingWrite write)
        {
            string cid = write.Cid is null ? "" : "\"cid\":" + Json.Quote(write.Cid) + ",";
            string body = "{\"token\":" + Json.Quote(_connected.Task.Result.Token!) + "," + cid + "\"data\":" + write.Data + "}";
            using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(_leaving.Token, write.CancellationToken);
            Endpoint endpoint = _postTo!;
            for (int redirects = 0; ; redirects++)
            {
                HttpHead head;
                string reply;
                Connection? connection = null;
                try
                {
                    byte[] request = Request("POST", endpoint, "Content-Type: application/json\r\n", body);
                    connection = await TakeKeptOrOpenAsync(endpoint, stop.Token);
                    Task sending = Task.CompletedTask;
                    head = await connection.BoundedAsync(LateAnswer, _options.ResponseTimeout, stop.Token, async () =>
                    {
                        // Both at once: a server may refuse a large message (413) before it has read all of it.
                        sending = connection.SendAsync(request);
                        Step.Observe(sending); // should it fail, an answer may have come all the same; if not, the reading ends too
                        HttpHead answer = await connection.Reader.ReadHeadAsync();
                        if (answer.Status < 300)
                            await sending; // a success that came before the end of the message must not cut it off
                        return answer;
                    });
                    reply = await ReadReplyAsync(connection, stop.Token);
                    if (head.AllowsReuse && connection.Reader.IsAtEnd && sending.Status == TaskStatus.RanToCompletion)
                        _kept = connection;
                    else
                        connection.Dispose();
                }
                catch (Exception e)
                {
                    connection?.Dispose();
                    if (write.CancellationToken.IsCancellationRequested)
                        throw new OperationCanceledException(write.CancellationToken);
                    if (connection is null)
                        throw _leaving.IsCancellationRequested ? Ended() : new MoshpitException("The message was not sent: " + e.Message, e);
                    throw new MoshpitException("The outcome is unknown: the message was sent, wholly or in part, and not answered; " +
                        "it was not sent again. " + e.Message, e, outcomeUnknown: true);
                }

                if (head.Status >= 200 && head.Status < 300)
                    return;
                // 301 and 302 make a GET of a POST by custom, and a GET would open a stream: they are an error here. 307 and 308 don't.
                if (head.Status != 307 && head.Status != 308)
                    throw Refusal(endpoint, head, reply);
                endpoint = Redirect(endpoint, head, redirects);
            }
        }

        private async Task<Connection> TakeKeptOrOpenAsync(Endpoint endpoint, CancellationToken cancellationToken)
        {
            Connection? kept = _kept;
            _kept = null;
            if (kept != null && kept.Endpoint.HasSameOrigin(endpoint) && kept.Idle < ReuseWithin && kept.IsQuiet)
                return kept;
            kept?.Dispose();
            return await Connection.OpenAsync(endpoint, _options, cancellationToken);
        }

        // -- Both

        private byte[] Request(string method, Endpoint endpoint, string headers, string body)
        {
            byte[] content = Encoding.UTF8.GetBytes(body);
            string head = method + " " + endpoint.Target + " HTTP/1.1\r\nHost: " + endpoint.HostHeader + "\r\n" + headers +
                (_start.HasSameOrigin(endpoint) ? _options.HeaderLines : "") +
                (method == "POST" ? "Content-Length: " + content.Length + "\r\n\r\n" : "\r\n");
            byte[] request = new byte[head.Length + content.Length]; // the head is ASCII
            Encoding.ASCII.GetBytes(head, 0, head.Length, request, 0);
            content.CopyTo(request, head.Length);
            return request;
        }

        // A redirect is trusted: where it leads gets the message, and the token in it.
        private static Endpoint Redirect(Endpoint endpoint, HttpHead head, int redirects)
        {
            if (redirects == MaxRedirects)
                throw new MoshpitException(endpoint + " redirects more than " + MaxRedirects + " times.", status: head.Status);
            return endpoint.Follow(head["Location"], head.Status);
        }

        private static MoshpitException Refusal(Endpoint endpoint, HttpHead head, string reply)
        {
            string sentence = reply.Length <= 200 ? reply : reply.Substring(0, 200) + "...";
            string why = head.IsRedirect ? " A POST follows 307 and 308 only; give the client the URL that it is redirected to." : "";
            return new MoshpitException(endpoint + " answered " + head.Status + ": " + sentence + why, status: head.Status, reply: reply);
        }

        /// <summary>The first 4 KiB of the body. The status says what happened; a body that is cut off can't change that.</summary>
        private async Task<string> ReadReplyAsync(Connection connection, CancellationToken cancellationToken)
        {
            using var text = new MemoryStream();
            try
            {
                await connection.BoundedAsync(LateAnswer, _options.ResponseTimeout, cancellationToken, async () =>
                {
                    ReadOnlyMemory<byte> bytes;
                    while (text.Length < MaxReplySize && !(bytes = await connection.Reader.ReadBodyAsync()).IsEmpty)
                        text.Write(bytes.Span.Slice(0, Math.Min(bytes.Length, MaxReplySize - (int)text.Length)));
                    return true;
                });
            }
            catch (Exception e) when (e is MoshpitException || e is OperationCanceledException)
            {
            }

            return Encoding.UTF8.GetString(text.ToArray()).Trim();
        }
    }

    // ---- 3. Queues --------------------------------------------------------------------------------------------------

    /// <summary>Events between the stream and the enumeration: one side adds, one side takes.</summary>
    internal sealed class EventQueue
    {
        private readonly Queue<MoshpitEvent> _events = new Queue<MoshpitEvent>(); // its lock guards all fields
        private readonly int _capacity;
        private long _size;
        private bool _hasEnded;
        private bool _isDiscarding;
        private Exception? _failure;
        private TaskCompletionSource<bool>? _change; // somebody waits for an event, or for the end
        private TaskCompletionSource<bool>? _room; // somebody waits for room

        public EventQueue(int capacity) => _capacity = capacity;

        /// <summary>Adds them all; the task completes when what waits is below the capacity.</summary>
        public Task AddAsync(List<MoshpitEvent> events)
        {
            lock (_events)
            {
                if (_hasEnded || _isDiscarding || events.Count == 0)
                    return Task.CompletedTask;
                foreach (MoshpitEvent e in events)
                {
                    _events.Enqueue(e);
                    _size += SizeOf(e);
                }

                Wake(ref _change);
                if (_size < _capacity)
                    return Task.CompletedTask;
                _room = NewSignal();
                return _room.Task;
            }
        }

        /// <summary>No more events. The first call counts, except that a later one may still drop what waits, and is then the end.</summary>
        public void End(Exception? failure, bool drop)
        {
            lock (_events)
            {
                if (!_hasEnded || (drop && _events.Count > 0))
                    _failure = failure;
                _hasEnded = true;
                if (drop)
                    _events.Clear();
                Wake(ref _change);
                Wake(ref _room);
            }
        }

        /// <summary>Nobody will take any more: drops what waits and what comes.</summary>
        public void Discard()
        {
            lock (_events)
            {
                _isDiscarding = true;
                _events.Clear();
                Wake(ref _room);
            }
        }

        /// <summary>The next event; null at the end. Throws what the peer failed with.</summary>
        public async ValueTask<MoshpitEvent?> TakeAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                TaskCompletionSource<bool> change;
                lock (_events)
                {
                    if (_events.Count > 0)
                    {
                        MoshpitEvent next = _events.Dequeue();
                        _size -= SizeOf(next);
                        if (_size < _capacity)
                            Wake(ref _room);
                        return next;
                    }

                    if (_hasEnded)
                    {
                        if (_failure != null)
                            ExceptionDispatchInfo.Capture(_failure).Throw();
                        return null;
                    }

                    _change = change = NewSignal();
                }

                using (cancellationToken.Register(() => change.TrySetCanceled(cancellationToken)))
                    await change.Task.ConfigureAwait(false);
            }
        }

        // A small event costs its objects as well.
        private static int SizeOf(MoshpitEvent e) => 64 + e.Name.Length + e.Data.Length + e.LastEventId.Length +
            (e.Id?.Length ?? 0) + (e.Cid?.Length ?? 0) + (e.Token?.Length ?? 0);

        private static TaskCompletionSource<bool> NewSignal() =>
            new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);

        private static void Wake(ref TaskCompletionSource<bool>? signal)
        {
            signal?.TrySetResult(true);
            signal = null;
        }
    }

    /// <summary>A message that waits to be sent. It is either begun or taken back, never both.</summary>
    internal sealed class PendingWrite
    {
        private const int Overhead = 64;

        private readonly TaskCompletionSource<bool> _done =
            new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        private CancellationTokenRegistration _onCanceled;
        private int _isDecided;

        public PendingWrite(string data, string? cid, CancellationToken cancellationToken)
        {
            Data = data;
            Cid = cid;
            CancellationToken = cancellationToken;
        }

        public string Data { get; private set; }

        public string? Cid { get; private set; }

        public CancellationToken CancellationToken { get; }

        /// <summary>Its characters, and some for its objects.</summary>
        public int Size => Overhead + Data.Length + (Cid?.Length ?? 0);

        public Task Task => _done.Task;

        public void ListenForCancellation(Func<PendingWrite, bool> tryTakeBack)
        {
            if (!CancellationToken.CanBeCanceled)
                return;
            _onCanceled = CancellationToken.Register(() =>
            {
                if (tryTakeBack(this))
                    _done.TrySetCanceled(CancellationToken);
            });
            _ = _done.Task.ContinueWith(_ => _onCanceled.Dispose(), TaskScheduler.Default);
        }

        public void DropText()
        {
            Data = "";
            Cid = null;
        }

        public bool TryBegin() => Interlocked.Exchange(ref _isDecided, 1) == 0;

        public void Succeed() => _done.TrySetResult(true);

        public void Fail(Exception failure)
        {
            if (failure is OperationCanceledException)
                _done.TrySetCanceled(CancellationToken);
            else
                _done.TrySetException(failure);
        }
    }

    // ---- 4. The event stream ----------------------------------------------------------------------------------------

    /// <summary>
    /// Parses text/event-stream as WHATWG HTML 9.2.5 and 9.2.6 say. Bytes may be cut anywhere. What stands after the last empty line when
    /// the stream ends is no event: there is nothing to call then.
    /// </summary>
    internal sealed class SseParser
    {
        private const byte CR = (byte)'\r';
        private const byte LF = (byte)'\n';

        private readonly int _maxEventSize;
        private readonly StringBuilder _data = new StringBuilder(); // the data buffer: every line of data with an LF after it
        private int _dataSize; // and its size in bytes, as sent
        private string _eventType = "";
        private int _eventTypeSize;
        private string _lastEventIdBuffer = "";
        private byte[] _line = new byte[256];
        private int _lineLength;
        private bool _isFirstLine = true;
        private bool _isAfterCR; // a CR has ended the last line; an LF right after it belongs to it

        public SseParser(int maxEventSize) => _maxEventSize = maxEventSize;

        /// <summary>The last event id string: what the last complete block left in the buffer, whether it had data or not.</summary>
        public string LastEventId { get; private set; } = "";

        /// <summary>The reconnection time in milliseconds, at most 10^15; null if none was told. This client does not reconnect.</summary>
        public long? Retry { get; private set; }

        /// <summary>Takes the next bytes of the stream and adds the events that they complete to <paramref name="events"/>.</summary>
        /// <exception cref="MoshpitException">An event is larger than allowed. The parser can't go on.</exception>
        public void Push(ReadOnlySpan<byte> bytes, ICollection<MoshpitEvent> events)
        {
            while (!bytes.IsEmpty)
            {
                bool isSecondHalfOfCRLF = _isAfterCR && bytes[0] == LF;
                _isAfterCR = false;
                if (isSecondHalfOfCRLF)
                {
                    bytes = bytes.Slice(1);
                    continue;
                }

                int end = bytes.IndexOfAny(CR, LF);
                AppendToLine(end < 0 ? bytes : bytes.Slice(0, end));
                if (end < 0)
                    return;
                _isAfterCR = bytes[end] == CR;
                bytes = bytes.Slice(end + 1);
                EndLine(events);
            }
        }

        private void AppendToLine(ReadOnlySpan<byte> bytes)
        {
            if (bytes.Length > _maxEventSize - _eventTypeSize - _dataSize - _lineLength)
                throw new MoshpitException("An event is larger than MaxEventSize, " + _maxEventSize + " bytes.");
            if (bytes.Length > _line.Length - _lineLength)
                Array.Resize(ref _line, Math.Max(_line.Length * 2, _lineLength + bytes.Length));
            bytes.CopyTo(_line.AsSpan(_lineLength));
            _lineLength += bytes.Length;
        }

        private void EndLine(ICollection<MoshpitEvent> events)
        {
            ReadOnlySpan<byte> line = _line.AsSpan(0, _lineLength);
            _lineLength = 0;
            if (_isFirstLine && line.Length >= 3 && line[0] == 0xEF && line[1] == 0xBB && line[2] == 0xBF)
                line = line.Slice(3); // one leading byte order mark
            _isFirstLine = false;

            if (line.IsEmpty)
            {
                Dispatch(events);
                return;
            }

            int colon = line.IndexOf((byte)':');
            if (colon == 0)
                return; // a comment
            ReadOnlySpan<byte> name = colon < 0 ? line : line.Slice(0, colon);
            ReadOnlySpan<byte> value = colon < 0 ? default : line.Slice(colon + 1);
            if (!value.IsEmpty && value[0] == ' ')
                value = value.Slice(1); // one space, not more
            ProcessField(Decode(name), value);
        }

        private void ProcessField(string name, ReadOnlySpan<byte> value)
        {
            switch (name)
            {
                case "event":
                    _eventType = Decode(value);
                    _eventTypeSize = value.Length;
                    break;
                case "data":
                    _data.Append(Decode(value)).Append('\n');
                    _dataSize += value.Length + 1;
                    break;
                case "id":
                    if (value.IndexOf((byte)0) < 0)
                        _lastEventIdBuffer = Decode(value);
                    break;
                case "retry":
                    Retry = ReadDigits(value) ?? Retry;
                    break;
            }
        }

        private void Dispatch(ICollection<MoshpitEvent> events)
        {
            LastEventId = _lastEventIdBuffer;
            if (_data.Length > 0)
                events.Add(new MoshpitEvent(_eventType.Length > 0 ? _eventType : "message", _data.ToString(0, _data.Length - 1), LastEventId));
            _data.Clear();
            _dataSize = 0;
            _eventType = "";
            _eventTypeSize = 0;
        }

        // Line by line is as good as the whole stream at once: CR and LF never stand inside a sequence of UTF-8, and replacement
        // never goes past one. (Mono may put in another number of U+FFFD for a broken sequence than WHATWG and .NET do.)
        private static string Decode(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);

        private static long? ReadDigits(ReadOnlySpan<byte> value)
        {
            long number = 0;
            foreach (byte b in value)
            {
                if (b < '0' || b > '9')
                    return null;
                number = Math.Min(number * 10 + (b - '0'), 1_000_000_000_000_000);
            }

            return value.IsEmpty ? (long?)null : number;
        }
    }

    // ---- 5. HTTP ----------------------------------------------------------------------------------------------------

    /// <summary>Status line and headers of a response.</summary>
    internal sealed class HttpHead
    {
        private readonly List<KeyValuePair<string, string>> _fields;

        public HttpHead(int minorVersion, int status, List<KeyValuePair<string, string>> fields)
        {
            MinorVersion = minorVersion;
            Status = status;
            _fields = fields;
        }

        public int MinorVersion { get; }

        public int Status { get; }

        public bool IsRedirect => Status == 301 || Status == 302 || Status == 307 || Status == 308;

        public bool IsEventStream =>
            string.Equals((this["Content-Type"] ?? "").Split(';')[0].Trim(), "text/event-stream", StringComparison.OrdinalIgnoreCase) &&
            string.Equals(this["Content-Encoding"] ?? "identity", "identity", StringComparison.OrdinalIgnoreCase);

        public bool AllowsReuse => MinorVersion >= 1 &&
            !Array.Exists((this["Connection"] ?? "").Split(','), o => o.Trim().Equals("close", StringComparison.OrdinalIgnoreCase));

        /// <summary>The field's value; of a repeated one, all values with commas between them (RFC 9110, 5.3); null if there is none.</summary>
        public string? this[string name]
        {
            get
            {
                string? value = null;
                foreach (KeyValuePair<string, string> field in _fields)
                    if (field.Key.Equals(name, StringComparison.OrdinalIgnoreCase))
                        value = value is null ? field.Value : value + ", " + field.Value;
                return value;
            }
        }
    }

    /// <summary>
    /// Reads responses from a stream of bytes, one after the other (RFC 9112). Lines end with CR LF and nothing else. What is malformed
    /// or cut off is a <see cref="MoshpitException"/>; a body delimited by the connection's end can't be told from one cut off there.
    /// </summary>
    internal sealed class HttpReader
    {
        private const int MaxHeadSize = 32 * 1024; // characters of a head, or of all trailers
        private const int MaxHeadLines = 256; // and its lines: joining those that are folded or repeated costs their number times their length

        private readonly Stream _stream;
        private readonly byte[] _buffer = new byte[8192];
        private int _start; // _buffer[_start.._end] was received and not yet read
        private int _end;
        private int _lineBudget;
        private Framing _framing;
        private long _left; // bytes still to come of the body (Length) or of the chunk (Chunked)
        private bool _isFirstChunk;

        public HttpReader(Stream stream) => _stream = stream;

        private enum Framing
        {
            Done,
            Length,
            Chunked,
            Close,
        }

        /// <summary>The body has been read to its end, and nothing was received after it.</summary>
        public bool IsAtEnd => _framing == Framing.Done && _start == _end;

        /// <summary>tchar, RFC 9110, 5.6.2.</summary>
        public static bool IsToken(string text)
        {
            foreach (char c in text)
                if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && "!#$%&'*+-.^_`|~".IndexOf(c) < 0)
                    return false;
            return text.Length > 0;
        }

        /// <summary>The head of the next final response; interim ones (1xx) are skipped.</summary>
        public async Task<HttpHead> ReadHeadAsync()
        {
            HttpHead head;
            do
            {
                _lineBudget = MaxHeadSize;
                string line = await ReadLineAsync();
                // HTTP/1.x SP 3DIGIT [SP reason]; some servers leave out the last SP where the reason is empty.
                bool valid = line.Length >= 12 && line.StartsWith("HTTP/1.", StringComparison.Ordinal) && IsDigit(line[7]) && line[8] == ' ' &&
                    line[9] >= '1' && line[9] <= '9' && IsDigit(line[10]) && IsDigit(line[11]) && (line.Length == 12 || line[12] == ' ');
                if (!valid)
                    throw Malformed("the status line");
                int status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
                head = new HttpHead(line[7] - '0', status, await ReadFieldsAsync());
                if (status == 101)
                    throw Malformed("a switch of protocols that nobody asked for");
            }
            while (head.Status < 200);
            StartBody(head);
            return head;
        }

        /// <summary>The next bytes of the body, valid until the next call; none at its end.</summary>
        public async ValueTask<ReadOnlyMemory<byte>> ReadBodyAsync()
        {
            if (_framing == Framing.Chunked && _left == 0)
                await ReadChunkStartAsync();
            if (_framing == Framing.Done)
                return default;
            if (_start == _end && !await FillAsync())
            {
                if (_framing != Framing.Close)
                    throw CutOff();
                _framing = Framing.Done;
                return default;
            }

            int count = _framing == Framing.Close ? _end - _start : (int)Math.Min(_left, _end - _start);
            var bytes = new ReadOnlyMemory<byte>(_buffer, _start, count);
            _start += count;
            _left -= count;
            if (_framing == Framing.Length && _left == 0)
                _framing = Framing.Done;
            return bytes;
        }

        /// <summary>How the body is delimited: RFC 9112, 6.3, for responses to GET and POST.</summary>
        private void StartBody(HttpHead head)
        {
            string? coding = head["Transfer-Encoding"];
            string? length = head["Content-Length"];
            _left = 0;
            if (head.Status == 204 || head.Status == 304)
            {
                _framing = Framing.Done;
            }
            else if (coding != null)
            {
                if (length != null || !coding.Equals("chunked", StringComparison.OrdinalIgnoreCase))
                    throw Malformed(length != null ? "both Transfer-Encoding and Content-Length" : "Transfer-Encoding: " + coding);
                _framing = Framing.Chunked;
                _isFirstChunk = true;
            }
            else if (length != null)
            {
                _left = ReadLength(length);
                _framing = _left == 0 ? Framing.Done : Framing.Length;
            }
            else
            {
                _framing = Framing.Close;
            }
        }

        /// <summary>1*DIGIT; a list only if all of its members are the same.</summary>
        private static long ReadLength(string text)
        {
            string[] values = text.Split(',');
            string value = values[0].Trim();
            if (value.Length == 0 || value.Length > 18 || !Array.TrueForAll(values, v => v.Trim() == value))
                throw Malformed("Content-Length: " + text);
            long length = 0;
            foreach (char c in value)
                length = IsDigit(c) ? length * 10 + (c - '0') : throw Malformed("Content-Length: " + text);
            return length;
        }

        /// <summary>From the end of a chunk's data to the start of the next one's: CRLF, chunk-size, chunk-ext (ignored), CRLF.</summary>
        private async Task ReadChunkStartAsync()
        {
            _lineBudget = MaxHeadSize;
            if (!_isFirstChunk && (await ReadLineAsync()).Length > 0)
                throw Malformed("a chunk that is longer than its size");
            _isFirstChunk = false;
            string line = await ReadLineAsync();
            int digits = 0;
            for (; digits < line.Length && Uri.IsHexDigit(line[digits]); digits++)
                _left = digits < 15 ? _left * 16 + Uri.FromHex(line[digits]) : throw Malformed("a chunk's size");
            string rest = line.Substring(digits).TrimStart(' ', '\t');
            if (digits == 0 || (rest.Length > 0 && rest[0] != ';'))
                throw Malformed("a chunk's size");
            if (_left > 0)
                return;
            await ReadFieldsAsync(); // trailers; nothing here needs them
            _framing = Framing.Done;
        }

        private async Task<List<KeyValuePair<string, string>>> ReadFieldsAsync()
        {
            var fields = new List<KeyValuePair<string, string>>();
            for (int lines = 0; ; lines++)
            {
                string line = await ReadLineAsync();
                if (line.Length == 0)
                    return fields;
                if (lines == MaxHeadLines)
                    throw Malformed("a head of more than " + MaxHeadLines + " lines");
                if ((line[0] == ' ' || line[0] == '\t') && fields.Count > 0)
                {
                    // obs-fold: a user agent replaces it by a space (RFC 9112, 5.2).
                    KeyValuePair<string, string> last = fields[fields.Count - 1];
                    fields[fields.Count - 1] = new KeyValuePair<string, string>(last.Key, (last.Value + " " + line.Trim(' ', '\t')).Trim());
                    continue;
                }

                int colon = line.IndexOf(':');
                if (colon < 0 || !IsToken(line.Substring(0, colon)) || line.IndexOf('\0') >= 0)
                    throw Malformed("a header");
                fields.Add(new KeyValuePair<string, string>(line.Substring(0, colon), line.Substring(colon + 1).Trim(' ', '\t')));
            }
        }

        /// <summary>A line without its CR LF, each byte as one character (ISO-8859-1).</summary>
        private async Task<string> ReadLineAsync()
        {
            var line = new StringBuilder();
            bool isAfterCR = false;
            while (true)
            {
                if (_start == _end && !await FillAsync())
                    throw CutOff();
                char c = (char)_buffer[_start++];
                if (isAfterCR != (c == '\n'))
                    throw Malformed("a CR or LF alone");
                if (c == '\n')
                    return line.ToString();
                if (_lineBudget-- == 0)
                    throw Malformed("a head of more than " + MaxHeadSize + " bytes");
                isAfterCR = c == '\r';
                if (!isAfterCR)
                    line.Append(c);
            }
        }

        private async ValueTask<bool> FillAsync()
        {
            _start = 0;
            _end = 0;
            _end = await _stream.ReadAsync(_buffer.AsMemory());
            return _end > 0;
        }

        private static bool IsDigit(char c) => c >= '0' && c <= '9';

        private static MoshpitException Malformed(string what) => new MoshpitException("The server's response is malformed: " + what + ".");

        private static MoshpitException CutOff() => new MoshpitException("The server closed the connection before its response was complete.");
    }

    // ---- 6. The network ---------------------------------------------------------------------------------------------

    /// <summary>Where a request goes: a URL, and for a Unix socket its path (the URL's host is then only a name).</summary>
    internal sealed class Endpoint
    {
        private const string UnixPrefix = "http://unix:/";

        private readonly Uri _url;

        private Endpoint(Uri url, string? socketPath)
        {
            _url = url;
            SocketPath = socketPath;
        }

        public string? SocketPath { get; }

        public bool IsSecure => _url.Scheme == "https";

        /// <summary>The name or address to connect to; an IPv6 address without brackets.</summary>
        public string Host => _url.IdnHost.Replace("%25", "%"); // before an IPv6 address's zone (RFC 6874)

        public int Port => _url.Port;

        /// <summary>The request-target.</summary>
        public string Target => _url.PathAndQuery;

        /// <summary>The value of the Host header: an IPv6 address in brackets, the scheme's own port left out.</summary>
        public string HostHeader =>
            (_url.HostNameType == UriHostNameType.IPv6 ? _url.Host : _url.IdnHost) + (_url.IsDefaultPort ? "" : ":" + _url.Port);

        public static bool IsChannelId(string id)
        {
            foreach (char c in id)
                if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
                    return false;
            return id.Length > 0;
        }

        /// <summary>The URL that a client is made for, see there. Its path gets a slash at the end, so that ids resolve below it.</summary>
        public static Endpoint Parse(string url)
        {
            string? socketPath = null;
            string address = url;
            if (url.StartsWith(UnixPrefix, StringComparison.OrdinalIgnoreCase))
            {
                // http://unix:/path/to.sock, or http://unix:/path/to.sock:/path/of/request
                string paths = url.Substring(UnixPrefix.Length - 1);
                int split = paths.IndexOf(":/", StringComparison.Ordinal);
                socketPath = split < 0 ? paths : paths.Substring(0, split);
                address = "http://localhost" + (split < 0 ? "" : paths.Substring(split + 1));
            }

            if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? parsed) || !IsHttp(parsed) ||
                parsed.UserInfo.Length > 0 || parsed.Query.Length > 0 || parsed.Fragment.Length > 0)
                throw new ArgumentException("Not the URL of a server: '" + url + "'. It looks like http://host:port, https://host or " +
                    "http://unix:/path/to.sock, without user, query and fragment.", nameof(url));
            bool hasSlash = parsed.AbsolutePath.EndsWith("/", StringComparison.Ordinal);
            return new Endpoint(hasSlash ? parsed : new Uri(parsed.AbsoluteUri + "/"), socketPath);
        }

        public Endpoint Resolve(string id) => new Endpoint(new Uri(_url, id), SocketPath);

        public bool HasSameOrigin(Endpoint other) =>
            _url.Scheme == other._url.Scheme && Host == other.Host && Port == other.Port && SocketPath == other.SocketPath;

        /// <summary>Where a redirect leads: to http or https, never from https to http, and to no Unix socket but this one.</summary>
        public Endpoint Follow(string? location, int status)
        {
            if (location is null || !Uri.TryCreate(_url, location, out Uri? url) || !IsHttp(url))
                throw new MoshpitException(this + " redirects to nowhere: Location is '" + location + "'.", status: status);
            if (IsSecure && url.Scheme == "http")
                throw new MoshpitException(this + " redirects from https to http, which is not followed.", status: status);
            var next = new Endpoint(url, SocketPath);
            return HasSameOrigin(next) ? next : new Endpoint(url, null);
        }

        /// <summary>The scheme is http or https, and the host can be written as it is sent: not every one that Uri takes can.</summary>
        private static bool IsHttp(Uri url)
        {
            try
            {
                return (url.Scheme == "http" || url.Scheme == "https") && url.IdnHost.Length > 0 &&
                    Array.TrueForAll(url.IdnHost.ToCharArray(), c => c > ' ' && c <= '~');
            }
            catch (UriFormatException)
            {
                return false;
            }
        }

        public override string ToString() => SocketPath is null ? _url.AbsoluteUri : "http://unix:" + SocketPath + ":" + Target;
    }

    /// <summary>A connection to a server, with a reader for its responses. Disposing it is how every wait on it is stopped.</summary>
    internal sealed class Connection : IDisposable
    {
        private readonly Socket _socket;
        private readonly Stream _stream;
        private int _lastUse = Environment.TickCount;

        private Connection(Endpoint endpoint, Socket socket, Stream stream)
        {
            Endpoint = endpoint;
            _socket = socket;
            _stream = stream;
            Reader = new HttpReader(stream);
        }

        public Endpoint Endpoint { get; }

        public HttpReader Reader { get; }

        /// <summary>How long ago something was last done, up to 49 days.</summary>
        public TimeSpan Idle => TimeSpan.FromMilliseconds(unchecked((uint)(Environment.TickCount - _lastUse)));

        /// <summary>
        /// Nothing to read, so not closed by the server either, as far as this machine knows. Asked before the first byte of a request is
        /// written, it tells for certain when that request can go to another connection instead. A close that is under way just now
        /// is not seen, and will be an unknown outcome.
        /// </summary>
        public bool IsQuiet
        {
            get
            {
                try
                {
                    return !_socket.Poll(0, SelectMode.SelectRead);
                }
                catch (Exception e) when (e is SocketException || e is ObjectDisposedException)
                {
                    return false;
                }
            }
        }

        public static async Task<Connection> OpenAsync(Endpoint endpoint, MoshpitClientOptions options, CancellationToken cancellationToken)
        {
            using var step = new Step("Connecting to " + endpoint + " took longer than", options.ConnectTimeout, cancellationToken);
            try
            {
                return await step.Stoppable(OpenAsync(endpoint, options, step));
            }
            catch (Exception e)
            {
                throw step.Explain(e, "Can't connect to " + endpoint);
            }
        }

        public async Task SendAsync(byte[] bytes)
        {
            await _stream.WriteAsync(bytes.AsMemory());
            await _stream.FlushAsync();
        }

        /// <summary>Runs something on this connection that has a time limit. If that is over, or on cancellation, the connection is
        /// disposed, which ends the wait on every platform; not all of them heed a token in the middle of a read.</summary>
        public async Task<T> BoundedAsync<T>(string late, TimeSpan limit, CancellationToken cancellationToken, Func<Task<T>> action)
        {
            using var step = new Step(late, limit, cancellationToken);
            try
            {
                using (step.Token.Register(Dispose))
                    return await action();
            }
            catch (Exception e)
            {
                throw step.Explain(e, "The connection to " + Endpoint + " was lost");
            }
            finally
            {
                _lastUse = Environment.TickCount;
            }
        }

        public void Dispose()
        {
            _socket.Dispose(); // first, so that nothing waits for a last word through it
            _stream.Dispose();
        }

        private static async Task<Connection> OpenAsync(Endpoint endpoint, MoshpitClientOptions options, Step step)
        {
            Socket socket = await ConnectAsync(endpoint, step);
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            try
            {
                if (endpoint.IsSecure)
                {
                    var secure = new SslStream(stream);
                    stream = secure;
                    var tls = new SslClientAuthenticationOptions
                    {
                        TargetHost = endpoint.Host,
                        RemoteCertificateValidationCallback = options.CertificateValidation,
                    };
                    using (step.Token.Register(socket.Dispose))
                        await secure.AuthenticateAsClientAsync(tls, CancellationToken.None);
                }

                step.Token.ThrowIfCancellationRequested(); // stopped in the last moment: nothing was sent
                return new Connection(endpoint, socket, stream);
            }
            catch
            {
                socket.Dispose();
                stream.Dispose();
                throw;
            }
        }

        private static async Task<Socket> ConnectAsync(Endpoint endpoint, Step step)
        {
            if (endpoint.SocketPath != null)
                return await ConnectAsync(new UnixDomainSocketEndPoint(endpoint.SocketPath), ProtocolType.Unspecified, step);
            // One address after the other, within the one time limit: a first address that swallows packets can use it up.
            IPAddress[] addresses = IPAddress.TryParse(endpoint.Host, out IPAddress? literal)
                ? new[] { literal }
                : await Dns.GetHostAddressesAsync(endpoint.Host);
            for (int i = 0; ; i++)
            {
                if (addresses.Length == 0)
                    throw new SocketException((int)SocketError.HostNotFound);
                try
                {
                    return await ConnectAsync(new IPEndPoint(addresses[i], endpoint.Port), ProtocolType.Tcp, step);
                }
                catch (SocketException) when (i < addresses.Length - 1 && !step.Token.IsCancellationRequested)
                {
                }
            }
        }

        private static async Task<Socket> ConnectAsync(EndPoint address, ProtocolType protocol, Step step)
        {
            var socket = new Socket(address.AddressFamily, SocketType.Stream, protocol);
            try
            {
                if (protocol == ProtocolType.Tcp)
                    socket.NoDelay = true;
                using (step.Token.Register(socket.Dispose))
                    await socket.ConnectAsync(address);
                step.Token.ThrowIfCancellationRequested();
                return socket;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }

    /// <summary>A step with a time limit that may be cancelled from outside; it knows afterwards which of the two stopped it.</summary>
    internal sealed class Step : IDisposable
    {
        private readonly string _late;
        private readonly TimeSpan _limit;
        private readonly CancellationToken _outside;
        private readonly CancellationTokenSource _source;

        public Step(string late, TimeSpan limit, CancellationToken outside)
        {
            _late = late;
            _limit = limit;
            _outside = outside;
            _source = CancellationTokenSource.CreateLinkedTokenSource(outside);
            _source.CancelAfter(limit);
        }

        public CancellationToken Token => _source.Token;

        /// <summary>The outcome of a task, or at once an exception when the step is stopped: for what can't be, a name lookup and the checks of
        /// a certificate. The task closes its socket by itself.</summary>
        public async Task<T> Stoppable<T>(Task<T> task)
        {
            var stopped = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
            using (Token.Register(() => stopped.TrySetCanceled(Token)))
            {
                await Task.WhenAny(task, stopped.Task);
                if (task.IsCompleted)
                    return await task;
            }

            Observe(task);
            throw new OperationCanceledException(Token);
        }

        /// <summary>Says that a task's exception has been seen, where something else tells of it.</summary>
        public static void Observe(Task task) =>
            task.ContinueWith(t => t.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

        /// <summary>What to throw for an exception that came out of the step.</summary>
        public Exception Explain(Exception e, string lost)
        {
            if (_outside.IsCancellationRequested)
                return new OperationCanceledException(_outside);
            if (_source.IsCancellationRequested)
                return new MoshpitException(_late + " " + _limit + ".", e);
            return e is MoshpitException ? e : new MoshpitException(lost + ": " + e.Message, e);
        }

        public void Dispose() => _source.Dispose();
    }

    // ---- 7. JSON ----------------------------------------------------------------------------------------------------

    /// <summary>
    /// As much of RFC 8259 as is needed without a package: one pass over the text that accepts exactly the grammar. What is written goes
    /// into the request as it is, so it must be one value and nothing after it: <c>1,"token":"x"</c> would add a field.
    /// Each Skip method takes the position where its thing starts and returns the one right after it.
    /// </summary>
    internal static class Json
    {
        private const int MaxDepth = 63; // a Moshpit server takes 64, the request's own object included; and it bounds the recursion here

        private static readonly string[] Words = { "true", "false", "null" };

        /// <summary>Checks that the text is one value. The member <c>_cid</c> of an object is taken out and is the addressee.</summary>
        /// <exception cref="ArgumentException">It is not, or <c>_cid</c> can't be an addressee.</exception>
        public static string TakeOutCid(string json, ref string? cid)
        {
            List<Member> members;
            try
            {
                _ = new UTF8Encoding(false, true).GetByteCount(json); // half a surrogate pair can't be sent
                members = ReadMembers(json);
            }
            catch (Exception e) when (e is FormatException || e is EncoderFallbackException)
            {
                throw new ArgumentException("Not one JSON value: " + e.Message + " A text goes as a JSON string, with its quotes.", nameof(json), e);
            }

            if (!members.Exists(m => m.Name == "_cid"))
                return json;
            if (cid != null)
                throw new ArgumentException("There is a _cid in the object and a cid beside it. Say the addressee once.", nameof(json));
            var rest = new StringBuilder("{");
            foreach (Member member in members)
            {
                if (member.Name != "_cid")
                    rest.Append(rest.Length > 1 ? "," : "").Append(json, member.Start, member.End - member.Start);
                else if (json[member.ValueStart] == '"')
                    cid = Unquote(json, member.ValueStart, member.End); // the last one counts, as everywhere with a repeated member
                else if (json[member.ValueStart] == 'n')
                    cid = null;
                else
                    throw new ArgumentException("The _cid is not a string.", nameof(json));
            }

            cid = string.IsNullOrEmpty(cid) ? null : cid;
            return rest.Append('}').ToString();
        }

        /// <summary>The string members of these names of an object; null for each that it has not, and for all if the text is no object.</summary>
        public static string?[] StringMembers(string json, params string[] names)
        {
            List<Member> members;
            try
            {
                members = ReadMembers(json);
            }
            catch (FormatException)
            {
                return new string?[names.Length];
            }

            return Array.ConvertAll(names, name =>
            {
                Member? member = members.FindLast(m => m.Name == name);
                return member != null && json[member.ValueStart] == '"' ? Unquote(json, member.ValueStart, member.End) : null;
            });
        }

        public static string Quote(string text)
        {
            var quoted = new StringBuilder("\"");
            foreach (char c in text)
            {
                if (c == '"' || c == '\\')
                    quoted.Append('\\').Append(c);
                else if (c < ' ')
                    quoted.Append("\\u").Append(((int)c).ToString("x4"));
                else
                    quoted.Append(c);
            }

            return quoted.Append('"').ToString();
        }

        /// <summary>The members of the object that the text is; none if it is another value.</summary>
        /// <exception cref="FormatException">It is not one JSON value.</exception>
        private static List<Member> ReadMembers(string s)
        {
            var members = new List<Member>();
            int end = SkipSpace(s, SkipValue(s, SkipSpace(s, 0), 0, members));
            return end == s.Length ? members : throw Unexpected(s, end);
        }

        private static int SkipValue(string s, int at, int depth, List<Member>? members = null)
        {
            char first = CharAt(s, at);
            if (first == '{' || first == '[')
                return SkipContainer(s, at, depth + 1, first == '{' ? members : null);
            if (first == '"')
                return SkipString(s, at);
            foreach (string word in Words)
                if (string.CompareOrdinal(s, at, word, 0, word.Length) == 0)
                    return at + word.Length;
            return SkipNumber(s, at);
        }

        private static int SkipContainer(string s, int at, int depth, List<Member>? members)
        {
            if (depth > MaxDepth)
                throw new FormatException("It is nested deeper than " + MaxDepth + ".");
            char close = s[at] == '{' ? '}' : ']';
            at = SkipSpace(s, at + 1);
            if (CharAt(s, at) == close)
                return at + 1;
            while (true)
            {
                int start = at;
                int nameEnd = at;
                if (close == '}')
                {
                    nameEnd = SkipString(s, at);
                    at = SkipSpace(s, nameEnd);
                    if (CharAt(s, at) != ':')
                        throw Unexpected(s, at);
                    at = SkipSpace(s, at + 1);
                }

                int valueStart = at;
                at = SkipValue(s, at, depth);
                members?.Add(new Member(Unquote(s, start, nameEnd), start, valueStart, at));
                at = SkipSpace(s, at);
                char next = CharAt(s, at);
                if (next == close)
                    return at + 1;
                if (next != ',')
                    throw Unexpected(s, at);
                at = SkipSpace(s, at + 1);
            }
        }

        private static int SkipString(string s, int at)
        {
            if (CharAt(s, at) != '"')
                throw Unexpected(s, at);
            for (at++; CharAt(s, at) != '"'; at++)
            {
                if (s[at] < ' ')
                    throw Unexpected(s, at);
                if (s[at] != '\\')
                    continue;
                at++;
                if (CharAt(s, at) == 'u')
                {
                    for (int last = at + 4; at < last; at++)
                        if (!Uri.IsHexDigit(CharAt(s, at + 1)))
                            throw Unexpected(s, at + 1);
                }
                else if ("\"\\/bfnrt".IndexOf(s[at]) < 0)
                {
                    throw Unexpected(s, at);
                }
            }

            return at + 1;
        }

        /// <summary>[ "-" ] int [ "." digits ] [ ( "e" / "E" ) [ "+" / "-" ] digits ]</summary>
        private static int SkipNumber(string s, int at)
        {
            at += IsAt(s, at, '-', '-') ? 1 : 0;
            at = IsAt(s, at, '0', '0') ? at + 1 : SkipDigits(s, at);
            if (IsAt(s, at, '.', '.'))
                at = SkipDigits(s, at + 1);
            if (IsAt(s, at, 'e', 'E'))
                at = SkipDigits(s, at + (IsAt(s, at + 1, '+', '-') ? 2 : 1));
            return at;
        }

        private static int SkipDigits(string s, int at)
        {
            int start = at;
            while (at < s.Length && s[at] >= '0' && s[at] <= '9')
                at++;
            return at > start ? at : throw Unexpected(s, at);
        }

        private static int SkipSpace(string s, int at)
        {
            while (at < s.Length && (s[at] == ' ' || s[at] == '\t' || s[at] == '\n' || s[at] == '\r'))
                at++;
            return at;
        }

        /// <summary>What the string from start to end, which has been checked, stands for.</summary>
        private static string Unquote(string s, int start, int end)
        {
            var text = new StringBuilder();
            for (int at = start + 1; at < end - 1; at++)
            {
                if (s[at] != '\\')
                {
                    text.Append(s[at]);
                }
                else if (s[++at] == 'u')
                {
                    text.Append((char)Convert.ToInt32(s.Substring(at + 1, 4), 16));
                    at += 4;
                }
                else
                {
                    text.Append("\"\\/\b\f\n\r\t"["\"\\/bfnrt".IndexOf(s[at])]);
                }
            }

            return text.ToString();
        }

        private static char CharAt(string s, int at) => at < s.Length ? s[at] : throw Unexpected(s, at);

        private static bool IsAt(string s, int at, char one, char other) => at < s.Length && (s[at] == one || s[at] == other);

        private static FormatException Unexpected(string s, int at) =>
            new FormatException(at < s.Length ? "There is something unexpected at position " + at + "." : "It ends too early.");

        /// <summary>A member of an object, from its name's quote at Start to End.</summary>
        private sealed class Member
        {
            public Member(string name, int start, int valueStart, int end)
            {
                Name = name;
                Start = start;
                ValueStart = valueStart;
                End = end;
            }

            public string Name { get; }

            public int Start { get; }

            public int ValueStart { get; }

            public int End { get; }
        }
    }
}
