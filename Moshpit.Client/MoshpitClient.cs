// MoshpitClient.cs - a client for Moshpit: messages between peers over plain HTTP. Copy this one file into your project.
//
// MIT License. Copyright (c) the Moshpit authors. No warranty. The full text is at https://opensource.org/license/mit
//
// How to use it:
//
//     var pit = new MoshpitClient("http://localhost:5000");
//     await using var peer = pit.Open();                                   // creates a channel; Open(id) joins one
//     _ = peer.Write("{\"ping\":1}");                                      // to all, this peer too; works before "connect"
//     await foreach (var e in peer)                                        // connect, signal, join, leave, lost ...
//         if (e.Name == "join") await peer.Write("{\"hello\":1}", e.Cid);  // to one peer
//         else Console.WriteLine(e.Name + " " + e.Data);
//
// A peer outlives its connections. When its stream is lost it is away: it comes back by itself as the same peer, gets what it missed, and
// sends what was written meanwhile. "lost" and "connect" stand among its events, in their order. A program that handles only signals need
// not know. All of that needs a server with sessions; from another one a peer ends with an exception when its stream is lost.
//
// Each peer holds one text/event-stream response open and POSTs what it has to say over a second connection.
// C# 9; netstandard2.1 (Unity, not its WebGL player, which has no sockets), net8.0 and later; trimming and native AOT; no package.
// If two assemblies of a program hold this file, define MOSHPIT_CLIENT_INTERNAL in them: all types become internal.
//
// What its HTTP does: HTTP/1.1 over TCP, TLS and Unix sockets; Content-Length, chunks and bodies that end with the connection; interim
// responses, redirects, kept connections, pipelined POSTs. What it does not do: HTTP/2, proxies (see ConnectCallback), cookies, content
// codings, challenges for credentials, folded header lines. A response that needs one of these is an error.
//
// What stands where:
//
//     1. The surface      MoshpitClient, MoshpitClientOptions, MoshpitPeerOptions, MoshpitEvent, MoshpitRoom, MoshpitRoster,
//                         MoshpitRecipients, MoshpitReceipt, MoshpitException
//     2. The peer         MoshpitPeer: opens the stream, reads it, and comes back when it was lost
//     3. Writing          Outbox: sends messages in order, and decides what becomes of them; OutgoingMessage
//     4. Reading          EventQueue (what waits to be read), SseParser (bytes in, events out; WHATWG HTML, section 9.2)
//     5. HTTP             HttpHead and HttpReader: responses as in RFC 9112, over any Stream
//     6. The network      Endpoint (where a request goes), Connection (TCP, Unix socket, TLS), Step (time limits and cancellation),
//                         Promise
//     7. JSON             Json: checks that a text is one value, and finds the members of an object (RFC 8259)

#nullable enable
// Rules of AnalysisMode All that make no sense for this file:
#pragma warning disable CA2007 // ConfigureAwait: what awaits without it runs on the thread pool, where there is no context
#pragma warning disable CA1031, CA1032, CA1054 // failures are told by tasks; only the client makes its exceptions; a Unix socket is no Uri
#pragma warning disable CA1001, CA2000, CA2025, CA2213 // what a method opens is disposed of by the peer or the outbox
#pragma warning disable CA1068, CA1510, CA1849 // a lambda reads best last; netstandard2.1 has no ThrowIfNull; no Dispose here blocks
#pragma warning disable CA2225 // a cid converts to its recipients without a second name for that
#pragma warning disable CA1515, CA1812 // types are public or internal by MOSHPIT_CLIENT_INTERNAL; a library may make no client

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
#if NET8_0_OR_GREATER
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
#endif

namespace Moshpit.Client
{
#if !MOSHPIT_CLIENT_INTERNAL
    // One public part makes the whole type public. Without this block all types are internal.
    public partial class MoshpitClient { }
    public partial class MoshpitClientOptions { }
    public partial class MoshpitEvent { }
    public partial class MoshpitException { }
    public partial class MoshpitPeer { }
    public partial class MoshpitPeerOptions { }
    public partial class MoshpitReceipt { }
    public partial class MoshpitRecipients { }
    public partial class MoshpitRoom { }
    public partial class MoshpitRoster { }
    public partial class MoshpitRosterEntry { }
#endif

    // ---- 1. The surface ---------------------------------------------------------------------------------------------

    /// <summary>Opens peers on one Moshpit server. Safe for use by several threads; holds no connection itself.</summary>
    sealed partial class MoshpitClient
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
            _options = (options ?? new MoshpitClientOptions()).CheckedCopy(_server);
        }

        /// <summary>Creates a channel and owns it: when this peer leaves, the channel is gone and the streams of the others end.</summary>
        /// <param name="cancellationToken">Cancelling it leaves at once, as long as there is a stream or a message under way.</param>
        /// <returns>The peer, which connects in the background. Failures come from its enumeration and its tasks.</returns>
        public MoshpitPeer Open(CancellationToken cancellationToken = default) => Open(new MoshpitPeerOptions(), cancellationToken);

        /// <summary>Creates a channel and owns it. With the session of a peer that owns one already, it is that peer again. A channel with
        /// a name of one's own is opened with that name and <see cref="MoshpitPeerOptions.Create"/>.</summary>
        /// <param name="options">What is particular to this peer. Copied.</param>
        /// <param name="cancellationToken">Cancelling it leaves at once, as long as there is a stream or a message under way.</param>
        /// <returns>The peer, which connects in the background. Failures come from its enumeration and its tasks.</returns>
        /// <exception cref="ArgumentException">An option can't be sent.</exception>
        public MoshpitPeer Open(MoshpitPeerOptions options, CancellationToken cancellationToken = default) =>
            new MoshpitPeer(_server, _options, options ?? throw new ArgumentNullException(nameof(options)), cancellationToken);

        /// <summary>Joins the channel <paramref name="id"/>.</summary>
        /// <param name="id">The <see cref="MoshpitEvent.Id"/> that the owner's <c>connect</c> told: ASCII letters, digits, <c>-</c> and
        /// <c>_</c>.</param>
        /// <param name="cancellationToken">Cancelling it leaves at once, as long as there is a stream or a message under way.</param>
        /// <returns>The peer, which connects in the background. An unknown channel is a <see cref="MoshpitException"/> with status 404
        /// from its enumeration and its tasks.</returns>
        /// <exception cref="ArgumentException">The id is empty or has other characters.</exception>
        public MoshpitPeer Open(string id, CancellationToken cancellationToken = default) =>
            Open(id, new MoshpitPeerOptions(), cancellationToken);

        /// <summary>Joins the channel <paramref name="id"/>. With the session of a peer that is there, it is that peer again.</summary>
        /// <param name="id">As for <see cref="Open(string, CancellationToken)"/>.</param>
        /// <param name="options">What is particular to this peer. Copied.</param>
        /// <param name="cancellationToken">Cancelling it leaves at once, as long as there is a stream or a message under way.</param>
        /// <returns>The peer, which connects in the background.</returns>
        /// <exception cref="ArgumentException">The id is empty or has other characters, or an option can't be sent.</exception>
        public MoshpitPeer Open(string id, MoshpitPeerOptions options, CancellationToken cancellationToken = default)
        {
            if (!Text.IsName(id ?? throw new ArgumentNullException(nameof(id))))
                throw new ArgumentException("A channel's id consists of ASCII letters, digits, '-' and '_'.", nameof(id));
            return new MoshpitPeer(
                _server.Resolve(id), _options, options ?? throw new ArgumentNullException(nameof(options)), cancellationToken);
        }
    }

    /// <summary>Which peers may send to all.</summary>
#if MOSHPIT_CLIENT_INTERNAL
    internal
#else
    public
#endif
    enum MoshpitPublish
    {
        /// <summary>Every peer.</summary>
        All,

        /// <summary>The owner alone; other peers may send to single peers.</summary>
        Owner,
    }

    /// <summary>Limits, time limits and callbacks of a <see cref="MoshpitClient"/>. A time is positive, at most 24 days, or
    /// <see cref="Timeout.InfiniteTimeSpan"/> for none.</summary>
    sealed partial class MoshpitClientOptions
    {
        // What the client says itself; a second one would contradict it.
        private static readonly string[] OwnHeaders =
        {
            "Host", "Accept", "Cache-Control", "Connection", "Content-Length", "Content-Type", "Expect", "Last-Event-ID",
            "Moshpit-Session", "Transfer-Encoding", "Upgrade",
        };

        private string _headerLines = ""; // Headers as they stand in a request, each with its CR LF
        private Endpoint? _origin;

        /// <summary>Time for resolving the name, connecting and the TLS handshake, together. Default: 10 seconds.</summary>
        public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(10);

        /// <summary>Time from sending a request to the head of its response, and once more for what the body of an answer says, or for a
        /// stream's <c>connect</c>. Default: 30 seconds. A server that is busy with slow peers may hold an answer back, so don't be too
        /// strict.</summary>
        public TimeSpan ResponseTimeout { get; set; } = TimeSpan.FromSeconds(30);

        /// <summary>Time without one byte on the stream after which it is taken for lost. Default: null, which is two and a half of the
        /// heartbeats that the server promises, or 60 seconds where it promises none. The original Node server sends none: set
        /// <see cref="Timeout.InfiniteTimeSpan"/> for it.</summary>
        public TimeSpan? SilenceTimeout { get; set; }

        /// <summary>How long after its stream was lost a peer tries to come back. Default: null, which is as long as the server keeps it
        /// (the grace, 30 seconds by default). Zero: never; then the server keeps no session for it, unless
        /// <see cref="MoshpitPeerOptions.Session"/> is set. A peer whose first try to connect fails ends with that.</summary>
        public TimeSpan? ReconnectWithin { get; set; }

        /// <summary>How long after its Write a message may be tried again, when the server refused it for now (429 or 503) or could not be
        /// reached. The time in which the peer has no stream does not count. Default: 30 seconds. Zero: never, such a message fails at
        /// once.</summary>
        public TimeSpan SendTimeout { get; set; } = TimeSpan.FromSeconds(30);

        /// <summary>The most bytes of one event (its data, name and the line being read, a comment's too). Default: 10 MiB. A larger one
        /// ends the peer.</summary>
        public int MaxEventSize { get; set; } = 10 << 20;

        /// <summary>How many characters of events may wait to be read before the stream is no longer read (what one more read completes
        /// comes on top). Default: 1 Mi. A server cuts off a peer that doesn't read for long.</summary>
        public int ReceiveBufferSize { get; set; } = 1 << 20;

        /// <summary>How many characters may wait to be sent and answered; each message counts 64 more. Default: 1 Mi. A
        /// <see cref="MoshpitPeer.Write(string, MoshpitRecipients, CancellationToken)"/> beyond it fails; nothing else does.</summary>
        public int WriteBufferSize { get; set; } = 1 << 20;

        /// <summary>Headers to add to every request. They go to the origin (scheme, host, port) of the client's URL alone, not to another
        /// one that it redirects to. Default: none.</summary>
        public IDictionary<string, string> Headers { get; } =
            new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

        /// <summary>Gives the value of the <c>Authorization</c> header, or null for none. It is asked before each connection to the
        /// origin of the client's URL, within <see cref="ConnectTimeout"/>. A connection that was answered 401 is not used again. Default:
        /// null.</summary>
        public Func<CancellationToken, ValueTask<string?>>? Authorization { get; set; }

        /// <summary>Gives a connected stream to this host and port instead of a TCP connection: through a proxy, say. The client puts TLS
        /// over it for https, and disposes it; disposing must end a read that waits. It is not asked for a Unix socket. Default:
        /// null.</summary>
        public Func<DnsEndPoint, CancellationToken, ValueTask<Stream>>? ConnectCallback { get; set; }

        /// <summary>Changes the settings of TLS before each handshake: certificates of the client, trusted roots, versions. Default:
        /// null.</summary>
        public Action<SslClientAuthenticationOptions>? ConfigureTls { get; set; }

        /// <summary>Decides about the server's certificate (https). Default: null, the system's rules.</summary>
        public RemoteCertificateValidationCallback? CertificateValidation { get; set; }

        /// <summary>Takes a line for each connection, loss, new try and end. No line holds a secret, and ids are shortened. It is called by
        /// several threads, and what it throws is ignored. Default: null.</summary>
        public Action<string>? Log { get; set; }

        internal MoshpitClientOptions CheckedCopy(Endpoint origin)
        {
            CheckTime(ConnectTimeout, nameof(ConnectTimeout));
            CheckTime(ResponseTimeout, nameof(ResponseTimeout));
            CheckTime(SilenceTimeout ?? Timeout.InfiniteTimeSpan, nameof(SilenceTimeout));
            if (ReconnectWithin != TimeSpan.Zero)
                CheckTime(ReconnectWithin ?? Timeout.InfiniteTimeSpan, nameof(ReconnectWithin));
            if (SendTimeout != TimeSpan.Zero)
                CheckTime(SendTimeout, nameof(SendTimeout));
            CheckSize(MaxEventSize, nameof(MaxEventSize));
            CheckSize(ReceiveBufferSize, nameof(ReceiveBufferSize));
            CheckSize(WriteBufferSize, nameof(WriteBufferSize));
            if (Authorization != null && Headers.ContainsKey("Authorization"))
                throw new ArgumentException("There is an Authorization in Headers and a callback for it. Set one of them.");
            var lines = new StringBuilder();
            foreach (KeyValuePair<string, string> header in Headers)
            {
                bool ours = Array.Exists(OwnHeaders, own => own.Equals(header.Key, StringComparison.OrdinalIgnoreCase));
                if (ours || !HttpReader.IsToken(header.Key) || header.Value is null || !Text.IsFieldValue(header.Value))
                    throw new ArgumentException("The header '" + header.Key + "' can't be set, or has a character that can't be sent.");
                lines.Append(header.Key).Append(": ").Append(header.Value).Append("\r\n");
            }

            var copy = (MoshpitClientOptions)MemberwiseClone();
            copy._headerLines = lines.ToString();
            copy._origin = origin;
            return copy;
        }

        /// <summary>The header lines for a connection to this place: none for another origin than that of the client's URL.</summary>
        internal async Task<string> HeaderLinesForAsync(Endpoint endpoint, CancellationToken cancellationToken)
        {
            if (!endpoint.HasSameOrigin(_origin!))
                return "";
            string? credentials = Authorization is null ? null : await Authorization(cancellationToken);
            if (credentials is null)
                return _headerLines;
            if (!Text.IsFieldValue(credentials))
                throw new MoshpitException("The Authorization callback gave a text with a character that can't be sent.");
            return _headerLines + "Authorization: " + credentials + "\r\n";
        }

        internal void Tell(string line)
        {
            try
            {
                Log?.Invoke(Text.OneLine(line));
            }
            catch (Exception)
            {
                // A log must not end what it reports on.
            }
        }

        private static void CheckTime(TimeSpan time, string name)
        {
            if (time != Timeout.InfiniteTimeSpan && (time <= TimeSpan.Zero || time > TimeSpan.FromDays(24)))
                throw new ArgumentOutOfRangeException(name, time, "A time is positive, at most 24 days, or Timeout.InfiniteTimeSpan.");
        }

        private static void CheckSize(int size, string name)
        {
            if (size <= 0)
                throw new ArgumentOutOfRangeException(name, size, "A size is positive.");
        }
    }

    /// <summary>What is particular to one peer.</summary>
    sealed partial class MoshpitPeerOptions
    {
        private const int LongestMeta = 512; // bytes, says the protocol

        /// <summary>The secret of the peer's session. A program that is started again with the same one is the same peer again, as long as
        /// the server keeps it. 22 to 64 ASCII letters, digits, <c>-</c> and <c>_</c>, such as 16 random bytes in hex. Never take one from
        /// a link: whoever has chosen it can speak as this peer. Default: null, a new secret.</summary>
        public string? Session { get; set; }

        /// <summary>The <see cref="MoshpitEvent.LastEventId"/> of the last event that the program had before it was started again: what
        /// came after that is told. Default: null, all that the server has kept for the session is told.</summary>
        public string? LastEventId { get; set; }

        /// <summary>If there is no channel of the name that is given to Open, the peer creates it and owns it. A name is 1 to 64 of the
        /// letters a to z and digits. Default: false, a name without a channel is an error.</summary>
        public bool Create { get; set; }

        /// <summary>If the peer creates the channel: its most peers, those away included. Default: 0, no limit of its own.</summary>
        public int Max { get; set; }

        /// <summary>If the peer creates the channel: which peers may send to all. Default: every peer.</summary>
        public MoshpitPublish Publish { get; set; }

        /// <summary>If the peer creates the channel: it outlives its owner, and another peer becomes the owner then. Default:
        /// false.</summary>
        public bool Keep { get; set; }

        /// <summary>The peer hears of all others what else the owner alone hears: <c>join</c>, <c>leave</c>, <c>away</c> and <c>back</c>,
        /// and <see cref="MoshpitEvent.Peers"/> with its <c>connect</c>. Default: false.</summary>
        public bool Presence { get; set; }

        /// <summary>What the peer tells the others about itself: one JSON value, nested at most 63 deep and of at most 512 bytes in UTF-8.
        /// Default: null, nothing.</summary>
        public string? Meta { get; set; }

        internal MoshpitPeerOptions CheckedCopy()
        {
            if (Max < 0)
                throw new ArgumentOutOfRangeException(nameof(Max), Max, "Max is a number of peers, or 0 for no limit.");
            if (Meta != null)
                Json.Check(Meta, nameof(Meta));
            if (Meta != null && Encoding.UTF8.GetByteCount(Meta) > LongestMeta)
                throw new ArgumentException("Meta has more than " + LongestMeta + " bytes in UTF-8. Tell the rest in a message.");
            if (Session != null && !(Session.Length >= 22 && Session.Length <= 64 && Text.IsName(Session)))
                throw new ArgumentException("A session is 22 to 64 ASCII letters, digits, '-' and '_'.");
            if (LastEventId != null && !Text.IsFieldValue(LastEventId))
                throw new ArgumentException("The LastEventId has a character that no event's id has.");
            return (MoshpitPeerOptions)MemberwiseClone();
        }

        /// <summary>What a request for a stream says of them; empty if that is nothing.</summary>
        internal string ToQuery()
        {
            var query = new StringBuilder();
            Add(Create, "create=1");
            Add(Max > 0, "max=" + Max.ToString(CultureInfo.InvariantCulture));
            Add(Publish == MoshpitPublish.Owner, "publish=owner");
            Add(Keep, "keep=1");
            Add(Presence, "presence=all");
            if (Meta != null)
                Add(true, "meta=" + Uri.EscapeDataString(Meta));
            return query.ToString();

            void Add(bool isSaid, string parameter)
            {
                if (isSaid)
                    query.Append(query.Length == 0 ? '?' : '&').Append(parameter);
            }
        }
    }

    /// <summary>What an event is about.</summary>
#if MOSHPIT_CLIENT_INTERNAL
    internal
#else
    public
#endif
    enum MoshpitEventKind
    {
        /// <summary>A name that this client does not know.</summary>
        Other,

        /// <summary>A message of a peer.</summary>
        Signal,

        /// <summary>The peer has its stream, for the first time or again.</summary>
        Connect,

        /// <summary>This client's own: the stream was lost, and the peer is away. <see cref="MoshpitEvent.Failure"/> says why.</summary>
        Lost,

        /// <summary>Some of what this peer missed while it was away is not kept any more.</summary>
        Gap,

        /// <summary>The server ends the stream. Unless the peer comes back after that, it is the last event.</summary>
        Bye,

        /// <summary>Another peer has joined.</summary>
        Join,

        /// <summary>Another peer has left.</summary>
        Leave,

        /// <summary>Another peer has no stream at the moment.</summary>
        Away,

        /// <summary>Another peer has a stream again.</summary>
        Back,

        /// <summary>The channel has another owner: <see cref="MoshpitEvent.Owner"/>.</summary>
        Owner,

        /// <summary>The owner has changed the channel: <see cref="MoshpitEvent.Room"/>.</summary>
        Room,

        /// <summary>There are too many peers to tell of each: <see cref="MoshpitEvent.Count"/>.</summary>
        Count,
    }

    /// <summary>Where a peer stands.</summary>
#if MOSHPIT_CLIENT_INTERNAL
    internal
#else
    public
#endif
    enum MoshpitPeerState
    {
        /// <summary>It has not had a stream yet.</summary>
        Connecting,

        /// <summary>It has a stream.</summary>
        Live,

        /// <summary>Its stream was lost, and it tries to come back.</summary>
        Away,

        /// <summary>It has left, or was ended.</summary>
        Ended,
    }

    /// <summary>One event of a peer. Immutable.</summary>
    sealed partial class MoshpitEvent
    {
        private static readonly string[] Members = { "id", "cid", "token", "n", "resumed", "missed" };

        private readonly string _from; // as JSON
        private readonly int? _number;

        internal MoshpitEvent(string name, string data, string lastEventId, string from = "")
        {
            Name = name;
            Kind = KindOf(name);
            LastEventId = lastEventId;
            // _cid is for addressing. Left in, it would choose the addressee of a program that writes what it reads.
            Data = Kind == MoshpitEventKind.Signal ? Json.WithoutCid(data) : data;
            _from = Kind == MoshpitEventKind.Signal ? from : "";
            if (Kind != MoshpitEventKind.Signal && Kind != MoshpitEventKind.Other)
            {
                // Only the server speaks under these names; what peers say comes as "signal", whatever members it has.
                string?[] members = Json.Members(data, Members);
                Id = Json.AsString(members[0]);
                Cid = Json.AsString(members[1]);
                Token = Json.AsString(members[2]);
                _number = Json.AsInt(members[3]);
                IsResumed = members[4] == "true";
                Missed = Json.AsNumber(members[5]);
            }
        }

        /// <summary>The client's own event: the stream was lost.</summary>
        internal MoshpitEvent(MoshpitException failure, string lastEventId)
        {
            Name = "lost";
            _from = "";
            Kind = MoshpitEventKind.Lost;
            Data = Json.Quote(failure.Message);
            LastEventId = lastEventId;
            Failure = failure;
        }

        /// <summary>What it is about, by its <see cref="Name"/>.</summary>
        public MoshpitEventKind Kind { get; }

        /// <summary><c>connect</c> (the first), <c>signal</c> (a message), <c>join</c>, <c>leave</c>, <c>away</c> and <c>back</c> (told to
        /// the owner, and with <see cref="MoshpitPeerOptions.Presence"/>), <c>owner</c>, <c>room</c>, <c>count</c>, <c>gap</c>,
        /// <c>bye</c>, or what else the server calls it; <c>message</c> where it gives no name; <c>lost</c>, of
        /// <see cref="MoshpitEventKind.Lost"/>.</summary>
        public string Name { get; }

        /// <summary>The data; from a Moshpit server one JSON value. A <c>signal</c>'s object has no member <c>_cid</c>: that name is
        /// reserved for addressing, and the client takes it out.</summary>
        public string Data { get; }

        /// <summary>The stream's last event id when this event came; empty as long as there was none.</summary>
        public string LastEventId { get; }

        /// <summary>The channel's id, of what the server tells; else null.</summary>
        public string? Id { get; }

        /// <summary>Of <c>connect</c> this peer's cid, of <c>join</c>, <c>leave</c>, <c>away</c> and <c>back</c> the other's; else
        /// null.</summary>
        public string? Cid { get; }

        /// <summary>Of <c>connect</c> the secret that allows to write as this peer; else null. Don't log it, nor the data that it
        /// stands in.</summary>
        public string? Token { get; }

        /// <summary>Of a message the cid of its sender, as the server says; null where it does not say.</summary>
        public string? From => Json.AsString(_from);

        /// <summary>The number in the channel of the peer that a message came from, that joined or left, or, of <c>connect</c>, of this
        /// peer: 1, 2, 3 in the order of joining. Null where the server does not say.</summary>
        public int? Number
        {
            get
            {
                int point = LastEventId.IndexOf('.', StringComparison.Ordinal); // SEQ.N
                return Kind != MoshpitEventKind.Signal ? _number
                    : point < 0 ? null
                    : Json.AsInt(LastEventId.Substring(point + 1));
            }
        }

        /// <summary>Of <c>connect</c>: it is the same peer that was lost before, and what follows goes on where it was. False for the first
        /// time, and when the server did not know the peer or its last event any more: forget what you knew.</summary>
        public bool IsResumed { get; }

        /// <summary>Of <c>connect</c> the cid of the channel's owner, of <c>owner</c> that of the new one; null where there is none, and of
        /// other events.</summary>
        public string? Owner => Json.AsString(Member(Kind == MoshpitEventKind.Owner ? "cid" : "owner"));

        /// <summary>Of <c>owner</c>: the cid of the owner before; null if there was none.</summary>
        public string? FormerOwner => Json.AsString(Member("was"));

        /// <summary>Of <c>leave</c> <c>left</c>, <c>kicked</c> or <c>lost</c>, of <c>owner</c> <c>left</c>, <c>lost</c> or <c>given</c>, of
        /// <c>bye</c> why the stream ends; else null.</summary>
        public string? Reason => Json.AsString(Member("reason"));

        /// <summary>Of <c>join</c>: what the peer tells about itself, as JSON; null if that is nothing. It is a stranger's text: show it as
        /// text only.</summary>
        public string? Meta => Member("meta");

        /// <summary>How many peers there are, those away included; null where the event does not say.</summary>
        public int? Count => Json.AsInt(Member("count"));

        /// <summary>The peers that there are, by their numbers, this one included: of <c>connect</c> and <c>count</c> of a peer that hears
        /// of all others, and of <c>owner</c> of the new one. It may lack those with the highest numbers: see
        /// <see cref="MoshpitPeer.AllPeers"/>. Null where the event does not say. Each call reads them anew.</summary>
        public IReadOnlyList<MoshpitRosterEntry>? Peers => Member("peers") is { } peers ? MoshpitRoster.Read(peers) : null;

        /// <summary>Of <c>connect</c> and <c>room</c>: how the channel is set; else null.</summary>
        public MoshpitRoom? Room =>
            Kind == MoshpitEventKind.Connect || Kind == MoshpitEventKind.Room ? new MoshpitRoom(Data) : null;

        /// <summary>Of <c>gap</c>: how many events were lost at most; null where the server can't know.</summary>
        public long? Missed { get; }

        /// <summary>Of <see cref="MoshpitEventKind.Lost"/>: why; else null.</summary>
        public MoshpitException? Failure { get; }

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

        private string? Member(string name) =>
            Kind == MoshpitEventKind.Signal || Kind == MoshpitEventKind.Other ? null : Json.Members(Data, name)[0];

        private static MoshpitEventKind KindOf(string name)
        {
            switch (name)
            {
                case "signal": return MoshpitEventKind.Signal;
                case "connect": return MoshpitEventKind.Connect;
                case "gap": return MoshpitEventKind.Gap;
                case "bye": return MoshpitEventKind.Bye;
                case "join": return MoshpitEventKind.Join;
                case "leave": return MoshpitEventKind.Leave;
                case "away": return MoshpitEventKind.Away;
                case "back": return MoshpitEventKind.Back;
                case "owner": return MoshpitEventKind.Owner;
                case "room": return MoshpitEventKind.Room;
                case "count": return MoshpitEventKind.Count;
                default: return MoshpitEventKind.Other;
            }
        }
    }

    /// <summary>How a channel is set. Immutable.</summary>
    sealed partial class MoshpitRoom
    {
        internal MoshpitRoom(string json)
        {
            string?[] members = Json.Members(json, "locked", "max", "publish", "keep");
            IsLocked = members[0] == "true";
            Max = Json.AsInt(members[1]) ?? 0;
            Publish = Json.AsString(members[2]) == "owner" ? MoshpitPublish.Owner : MoshpitPublish.All;
            Keep = members[3] == "true";
        }

        /// <summary>No peer may join.</summary>
        public bool IsLocked { get; }

        /// <summary>Its most peers; 0: there is no limit of its own.</summary>
        public int Max { get; }

        /// <summary>Which peers may send to all.</summary>
        public MoshpitPublish Publish { get; }

        /// <summary>It outlives its owner.</summary>
        public bool Keep { get; }
    }

    /// <summary>The peers of a channel, as the server told them at one moment. Immutable.</summary>
    sealed partial class MoshpitRoster
    {
        internal MoshpitRoster(string json)
        {
            string?[] members = Json.Members(json, "count", "peers");
            Count = Json.AsInt(members[0]) ?? throw NotUnderstood();
            Peers = Read(members[1] ?? throw NotUnderstood());
        }

        internal MoshpitRoster(int count, IReadOnlyList<MoshpitRosterEntry> peers)
        {
            Count = count;
            Peers = peers;
        }

        /// <summary>How many peers the channel has, those away and those not told included.</summary>
        public int Count { get; }

        /// <summary>By their numbers; as many as fit into an answer.</summary>
        public IReadOnlyList<MoshpitRosterEntry> Peers { get; }

        internal static IReadOnlyList<MoshpitRosterEntry> Read(string json) =>
            Json.Elements(json).Select(entry => new MoshpitRosterEntry(entry)).ToArray();

        private static MoshpitException NotUnderstood() => new MoshpitException("The server's answer has no count and peers.");
    }

    /// <summary>A peer of a channel, as the server told it. Immutable.</summary>
    sealed partial class MoshpitRosterEntry
    {
        internal MoshpitRosterEntry(string json)
        {
            string?[] members = Json.Members(json, "cid", "n", "away", "meta");
            Cid = Json.AsString(members[0]) ?? "";
            Number = Json.AsInt(members[1]) ?? 0;
            IsAway = members[2] == "true";
            Meta = members[3];
        }

        /// <summary>Its name for messages.</summary>
        public string Cid { get; }

        /// <summary>Its number in the channel, in the order of joining.</summary>
        public int Number { get; }

        /// <summary>It has no stream at the moment.</summary>
        public bool IsAway { get; }

        /// <summary>What it tells about itself, as JSON; null if that is nothing. It is a stranger's text: show it as text only.</summary>
        public string? Meta { get; }
    }

    /// <summary>Which peers get a message. A cid converts to it; null stands for all, the sender included.</summary>
    sealed partial class MoshpitRecipients
    {
        private const int Most = 100;

        private MoshpitRecipients(string members) => Members = members;

        /// <summary>All peers but the sender. A server without sessions sends the message to the sender too.</summary>
        public static MoshpitRecipients Others { get; } = new MoshpitRecipients("\"echo\":false,");

        /// <summary>The members of a request that name them.</summary>
        internal string Members { get; }

        /// <summary>Several peers, each of which gets the message once. A server without sessions refuses more than one.</summary>
        /// <param name="cids">From 1 to 100 cids.</param>
        /// <exception cref="ArgumentException">There is none, or more than 100, or one is null or empty.</exception>
        public static MoshpitRecipients Of(IEnumerable<string> cids)
        {
            string[] all = (cids ?? throw new ArgumentNullException(nameof(cids))).ToArray();
            if (all.Length == 0 || all.Length > Most)
                throw new ArgumentException("There are " + all.Length + " cids. Give 1 to " + Most + "; null is all.", nameof(cids));
            return new MoshpitRecipients("\"cid\":[" + string.Join(",", all.Select(cid => Quote(cid, nameof(cids)))) + "],");
        }

        /// <summary>One peer; null: all.</summary>
        /// <exception cref="ArgumentException">The cid is empty.</exception>
        public static implicit operator MoshpitRecipients?(string? cid) =>
            cid is null ? null : new MoshpitRecipients("\"cid\":" + Quote(cid, nameof(cid)) + ",");

        private static string Quote(string? cid, string name) => !string.IsNullOrEmpty(cid)
            ? Json.Quote(cid)
            : throw new ArgumentException("A cid is empty. To send to all, give null.", name); // an oversight must not tell all
    }

    /// <summary>What the server says about a message that it has taken.</summary>
    sealed partial class MoshpitReceipt
    {
        internal MoshpitReceipt(string answer) => Answer = answer;

        /// <summary>The id of its event; null where the server does not say.</summary>
        public string? Event => Json.AsString(Member("event"));

        /// <summary>How many peers it is for, those that are away included; null where the server does not say.</summary>
        public int? To =>
            Member("to") is { } to && to[0] == '{' ? Count(to, "sent") + Count(to, "away") : Json.AsInt(Member("to"));

        /// <summary>How many of these are away: they get it if they come back.</summary>
        public int Away => Member("to") is { } to && to[0] == '{' ? Count(to, "away") : Json.AsInt(Member("away")) ?? 0;

        /// <summary>The message was sent more than once, since an answer was lost, and the server had taken it already. It was delivered
        /// once, and the server says no more about it.</summary>
        public bool IsDuplicate => Member("duplicate") == "true";

        /// <summary>Of a message to <see cref="MoshpitRecipients.Of"/>: what became of it for the peer <paramref name="cid"/>: <c>sent</c>,
        /// <c>away</c> (it gets the message if it comes back) or <c>gone</c>; null for another peer or message.</summary>
        public string? StateOf(string cid) =>
            Member("to") is { } to ? Json.AsString(Json.Members(to, cid ?? throw new ArgumentNullException(nameof(cid)))[0]) : null;

        private static int Count(string states, string state) =>
            Json.Values(states).Count(value => Json.AsString(value) == state);

        /// <summary>As the server gave it. It is read when it is asked for: most programs never do.</summary>
        internal string Answer { get; }

        private string? Member(string name) => Json.Members(Answer, name)[0];
    }

    /// <summary>What went wrong between this client and the server: refused, lost, late, or not understood.</summary>
    sealed partial class MoshpitException : IOException
    {
        internal MoshpitException(string message, Exception? inner = null, int? status = null, string? reply = null,
            TimeSpan? retryAfter = null, bool isTransient = false, bool outcomeUnknown = false)
            : base(Text.OneLine(message), inner)
        {
            Status = status;
            Reply = reply;
            RetryAfter = retryAfter;
            IsTransient = isTransient || status == 429 || status == 502 || status == 503 || status == 504;
            OutcomeUnknown = outcomeUnknown;
        }

        /// <summary>The HTTP status, where the server answered with one that is not success; else null.</summary>
        public int? Status { get; }

        /// <summary>The server's sentence about it, at most 4 KiB, as it was sent; else null.</summary>
        public string? Reply { get; }

        /// <summary>How long the server asks to wait before a new try (<c>Retry-After</c>); null where it does not say.</summary>
        public TimeSpan? RetryAfter { get; }

        /// <summary>True where the same may succeed later: the status is 429, 502, 503 or 504, or the connection failed, broke or was
        /// late.</summary>
        public bool IsTransient { get; }

        /// <summary>True where a message was sent, wholly or in part, and the server did not say what became of it: it may have been
        /// delivered or not. On a session it was sent again until the session was lost, or the time was over; without one it was not sent a
        /// second time. More is for the caller to decide.</summary>
        public bool OutcomeUnknown { get; }
    }

    // ---- 2. The peer ------------------------------------------------------------------------------------------------

    /// <summary>
    /// A peer of a channel: enumerate it for what it is told, <see cref="Write(string, MoshpitRecipients, CancellationToken)"/> for what it
    /// has to say. It connects as soon as it is made. Safe for use by several threads, with one reader at a time.
    /// </summary>
    /// <remarks>
    /// A peer outlives its streams. When one is lost, the event <c>lost</c> says why, and the peer tries to come back: after a random time
    /// that grows to 10 seconds, or when the server asks it to, and at once on <see cref="Reconnect"/>. Then <c>connect</c> says whether it
    /// is the same peer (<see cref="MoshpitEvent.IsResumed"/>). What it has missed follows, each message once, with a <c>gap</c> where
    /// something is not kept any more. What it writes meanwhile is sent then, each message once.
    /// The enumeration ends when the server says that the peer's time is over (<c>bye</c>: the owner left, the session goes on elsewhere)
    /// or when the peer is disposed. Anything else is thrown from it: a <see cref="MoshpitException"/>, or an
    /// <see cref="OperationCanceledException"/> if the token given to Open was cancelled. That is so when the first stream can't be opened,
    /// when the peer is refused for good, when it can't come back in time, and when it does not understand the server.
    /// From a server without sessions a peer can't come back. There the end of the stream is the end of the peer: in good order if the
    /// owner left, otherwise an exception.
    /// Events wait to be read, up to <see cref="MoshpitClientOptions.ReceiveBufferSize"/>; then the stream is not read any further. After
    /// a <c>break</c> the peer stays, and another enumeration goes on with the next event.
    /// </remarks>
    sealed partial class MoshpitPeer : IAsyncEnumerable<MoshpitEvent>, IAsyncDisposable, IDisposable
    {
        private static readonly TimeSpan UsualSilence = TimeSpan.FromSeconds(60);
        private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

        private readonly MoshpitClientOptions _options;
        private readonly Endpoint _start;
        private readonly string _secret; // of the session; empty: none is asked for
        private readonly EventQueue _events;
        private readonly Outbox _outbox;
        private readonly CancellationToken _canceled;
        private readonly CancellationTokenRegistration _onCanceled;
        private readonly Promise<MoshpitEvent> _connected = new Promise<MoshpitEvent>();
        private readonly Promise<bool> _completion = new Promise<bool>();
        private readonly Promise<bool> _left = new Promise<bool>(); // by Dispose, or by the token that was given to Open
        private readonly Task _running;
        private int _isEnumerated;

        // The running task writes these, the first two are read by others.
        private volatile bool _isLive;
        private volatile bool _isSession; // and so it can come back
        private string _lastEventId;
        private TimeSpan _grace;
        private TimeSpan _silence = UsualSilence;
        private TimeSpan _retry; // what the last stream asked for
        private int _tries; // to come back, since there was a stream
        private readonly Stopwatch _away = new Stopwatch();

        private readonly object _lock = new object(); // guards the rest
        private CancellationTokenSource _stop = new CancellationTokenSource(); // of the present stream, or of the wait for the next
        private string _stopReason = "";
        private bool _isStopped;
        private volatile bool _isLeaving;

        internal MoshpitPeer(Endpoint start, MoshpitClientOptions options, MoshpitPeerOptions own, CancellationToken cancellationToken)
        {
            own = own.CheckedCopy();
            _start = own.ToQuery() is { Length: > 0 } query ? start.Resolve(query) : start;
            _options = options;
            _secret = own.Session ?? (options.ReconnectWithin == TimeSpan.Zero ? "" : NewSecret());
            _lastEventId = own.LastEventId ?? "";
            _canceled = cancellationToken;
            _events = new EventQueue(options.ReceiveBufferSize);
            _outbox = new Outbox(options, () => Stop("The server does not know the peer, which asks for its stream again."));
            Step.Observe(_connected.Task); // a failure is told by the enumeration too
            Step.Observe(_completion.Task);
            _onCanceled = cancellationToken.Register(() => Leave(new OperationCanceledException(cancellationToken)));
            // On the thread pool, and so without the caller's SynchronizationContext (Unity's, a window's): nothing below waits for it.
            _running = Task.Run(RunAsync, CancellationToken.None);
        }

        /// <summary>Completes with the first <c>connect</c> event (id, cid, token), or fails as the enumeration does, or with a
        /// <see cref="MoshpitException"/> if the peer ended before it was connected.</summary>
        public Task<MoshpitEvent> Connected => _connected.Task;

        /// <summary>Completes when the peer has ended, for programs that don't enumerate it: fails as the enumeration does.</summary>
        public Task Completion => _completion.Task;

        /// <summary>Where the peer stands now: for a lamp. What a program does should follow the events, which come in order.</summary>
        public MoshpitPeerState State => _completion.Task.IsCompleted ? MoshpitPeerState.Ended
            : _isLive ? MoshpitPeerState.Live
            : _connected.Task.IsCompleted ? MoshpitPeerState.Away
            : MoshpitPeerState.Connecting;

        /// <summary>Drops the connections and comes back at once: the network has changed, or the device was asleep. A peer that waits for
        /// its next try does not wait any longer. It does nothing before <c>connect</c>, nor without a session.</summary>
        public void Reconnect()
        {
            if (_isSession)
                Stop("The program asked for new connections.");
        }

        /// <summary>The events, <c>connect</c> first. An enumeration after a <c>break</c> goes on where the last one stopped.</summary>
        /// <param name="cancellationToken">Ends this enumeration at once, with an <see cref="OperationCanceledException"/>. No event is
        /// lost, and the peer stays; the token given to Open ends it.</param>
        /// <exception cref="InvalidOperationException">Another enumeration is not over; thrown when this enumeration begins.</exception>
        public IAsyncEnumerator<MoshpitEvent> GetAsyncEnumerator(CancellationToken cancellationToken = default) =>
            EnumerateAsync(cancellationToken);

        /// <summary>The next event; null at the end of the stream. It throws what the enumeration throws.</summary>
        /// <param name="cancellationToken">Stops waiting. No event is lost: the next call gets it.</param>
        /// <exception cref="InvalidOperationException">Another call, or an enumeration, is waiting for the next event.</exception>
        public ValueTask<MoshpitEvent?> ReadAsync(CancellationToken cancellationToken = default) => _events.TakeAsync(cancellationToken);

        /// <summary>Sends one JSON value to every peer of the channel, this one included, or to some of them.</summary>
        /// <remarks>
        /// Works at once: what is written before <c>connect</c>, or while the peer is away, waits for it. Messages are sent in the order of
        /// the calls, many of them before the first is answered. Each is delivered once: on a session it has a number, and is sent again if
        /// the connection broke before its answer; without one it is not sent again unless it is known that the server did not process it.
        /// A message that the server refuses for now (429 or 503), or that can't be sent because the server can't be reached, is held, with
        /// all messages after it, and tried again within <see cref="MoshpitClientOptions.SendTimeout"/>.
        /// Await the task before you dispose the peer: what waits then is not sent any more.
        /// </remarks>
        /// <param name="json">Exactly one JSON value, nested at most 63 deep. Of an object the member <c>_cid</c> is taken out and is the
        /// addressee (empty or null: to all). The server's limit is 10 KiB for all of the request's body.</param>
        /// <param name="to">A cid, <see cref="MoshpitRecipients.Of"/> several, <see cref="MoshpitRecipients.Others"/>; null: all.</param>
        /// <param name="cancellationToken">A message not yet begun is taken back. One under way may have been delivered; its task is
        /// cancelled at once all the same.</param>
        /// <returns>A task that completes when the server has taken the message. It fails with a <see cref="MoshpitException"/> (the status
        /// and the server's sentence; or <see cref="MoshpitException.OutcomeUnknown"/>; or too much waits to be sent; or the peer ended),
        /// or is cancelled.</returns>
        /// <exception cref="ArgumentException">Thrown by the call: not one JSON value, an empty cid, a <c>_cid</c> that is no string or
        /// comes with <paramref name="to"/>.</exception>
        public Task<MoshpitReceipt> Write(string json, MoshpitRecipients? to = null, CancellationToken cancellationToken = default)
        {
            string data = Json.TakeOutCid(json ?? throw new ArgumentNullException(nameof(json)), out string? cid);
            if (cid != null && to != null)
                throw new ArgumentException("There is a _cid in the object, and recipients beside it. Say it once.", nameof(to));
            return _outbox.Add(OutgoingMessage.Signal(data, (to ?? cid)?.Members ?? "", cancellationToken));
        }

        /// <summary>Sends <paramref name="text"/> as a JSON string.</summary>
        /// <inheritdoc cref="Write(string, MoshpitRecipients, CancellationToken)"/>
        public Task<MoshpitReceipt> WriteText(
            string text, MoshpitRecipients? to = null, CancellationToken cancellationToken = default) =>
            Write(Json.Quote(text ?? throw new ArgumentNullException(nameof(text))), to, cancellationToken);

#if NET8_0_OR_GREATER
        /// <summary>Sends <paramref name="value"/> as JSON, with source-generated metadata: for trimmed and native AOT programs.</summary>
        /// <inheritdoc cref="Write(string, MoshpitRecipients, CancellationToken)"/>
        public Task<MoshpitReceipt> WriteAsJson<T>(
            T value, JsonTypeInfo<T> typeInfo, MoshpitRecipients? to = null, CancellationToken cancellationToken = default) =>
            Write(JsonSerializer.Serialize(value, typeInfo), to, cancellationToken);

        /// <summary>Sends <paramref name="value"/> as JSON, by reflection and with these options.</summary>
        /// <inheritdoc cref="Write(string, MoshpitRecipients, CancellationToken)"/>
        [RequiresUnreferencedCode("Uses reflection. In trimmed programs use the overload with a JsonTypeInfo.")]
        [RequiresDynamicCode("Uses reflection. In native AOT programs use the overload with a JsonTypeInfo.")]
        public Task<MoshpitReceipt> WriteAsJson<T>(
            T value, JsonSerializerOptions options, MoshpitRecipients? to = null, CancellationToken cancellationToken = default) =>
            Write(JsonSerializer.Serialize(value, options), to, cancellationToken);

        /// <summary>Sends <paramref name="value"/> as JSON, by reflection.</summary>
        /// <inheritdoc cref="Write(string, MoshpitRecipients, CancellationToken)"/>
        [RequiresUnreferencedCode("Uses reflection. In trimmed programs use the overload with a JsonTypeInfo.")]
        [RequiresDynamicCode("Uses reflection. In native AOT programs use the overload with a JsonTypeInfo.")]
        public Task<MoshpitReceipt> WriteAsJson<T>(
            T value, MoshpitRecipients? to = null, CancellationToken cancellationToken = default) =>
            Write(JsonSerializer.Serialize(value), to, cancellationToken);
#endif

        /// <summary>Asks for the peers of the channel, as many as fit into an answer (64 KiB).</summary>
        /// <param name="from">The least number of those wanted.</param>
        /// <param name="cancellationToken">Stops waiting.</param>
        /// <returns>The answer. It comes in order with what is written, waits as that does, and fails as that does. A server without rooms
        /// refuses (400).</returns>
        public async Task<MoshpitRoster> Peers(int from = 1, CancellationToken cancellationToken = default)
        {
            string members = from > 1 ? ",\"from\":" + from.ToString(CultureInfo.InvariantCulture) : "";
            return new MoshpitRoster((await Do("peers", members, cancellationToken).ConfigureAwait(false)).Answer);
        }

        /// <summary>Asks for all peers of the channel, with as many requests as that takes. A peer that joins or leaves meanwhile may be
        /// there or not.</summary>
        /// <param name="cancellationToken">Stops waiting.</param>
        /// <returns>The answers, in one. They fail as that of <see cref="Peers"/>.</returns>
        public async Task<MoshpitRoster> AllPeers(CancellationToken cancellationToken = default)
        {
            var all = new List<MoshpitRosterEntry>();
            while (true)
            {
                int from = all.Count == 0 ? 1 : all.Max(entry => entry.Number) + 1;
                MoshpitRoster part = await Peers(from, cancellationToken).ConfigureAwait(false);
                int before = all.Count;
                all.AddRange(part.Peers.Where(entry => entry.Number >= from));
                if (all.Count == before || part.Peers.Count == part.Count)
                    return new MoshpitRoster(part.Count, all);
            }
        }

        /// <summary>Throws the peer <paramref name="cid"/> out of the channel. For the owner alone: another peer is refused (403). A peer
        /// that is not there is an error (404). Unless the channel is locked, it may join anew.</summary>
        /// <param name="cid">The peer.</param>
        /// <param name="cancellationToken">As for a message.</param>
        /// <returns>A task that completes when it is done, in order with what is written, and fails as that does.</returns>
        /// <exception cref="ArgumentException">Thrown by the call: the cid is empty.</exception>
        public Task Kick(string cid, CancellationToken cancellationToken = default) =>
            Do("kick", MemberOf(cid), cancellationToken, doneStatus: 404);

        /// <summary>Makes the peer <paramref name="cid"/> the owner of the channel. For the owner alone (else 403). A peer that is away,
        /// or has no session, can't own (409).</summary>
        /// <param name="cid">The peer.</param>
        /// <param name="cancellationToken">As for a message.</param>
        /// <returns>As of <see cref="Kick"/>.</returns>
        /// <exception cref="ArgumentException">Thrown by the call: the cid is empty.</exception>
        public Task HandOver(string cid, CancellationToken cancellationToken = default) =>
            Do("owner", MemberOf(cid), cancellationToken, doneStatus: 403);

        /// <summary>Changes the channel, of which all peers with a session hear <c>room</c>. For the owner alone (else 403).</summary>
        /// <param name="isLocked">No peer may join.</param>
        /// <param name="max">Most peers; 0: no limit. One below the present count throws no peer out.</param>
        /// <param name="publish">Which peers may send to all.</param>
        /// <param name="keep">It outlives its owner.</param>
        /// <param name="cancellationToken">As for a message.</param>
        /// <returns>As of <see cref="Kick"/>.</returns>
        /// <exception cref="ArgumentException">Thrown by the call: there is no change, or <paramref name="max"/> is negative.</exception>
        public Task ChangeRoom(bool? isLocked = null, int? max = null, MoshpitPublish? publish = null, bool? keep = null,
            CancellationToken cancellationToken = default)
        {
            if (max < 0)
                throw new ArgumentOutOfRangeException(nameof(max), max, "It is a number of peers, or 0 for no limit.");
            string changes = (isLocked is { } locked ? ",\"locked\":" + (locked ? "true" : "false") : "") +
                (max is { } most ? ",\"max\":" + most.ToString(CultureInfo.InvariantCulture) : "") +
                (publish is { } which ? ",\"publish\":" + (which == MoshpitPublish.Owner ? "\"owner\"" : "\"all\"") : "") +
                (keep is { } kept ? ",\"keep\":" + (kept ? "true" : "false") : "");
            if (changes.Length == 0)
                throw new ArgumentException("There is nothing to change. Give one of isLocked, max, publish and keep.");
            return Do("room", changes, cancellationToken);
        }

        /// <summary>Ends the channel for all peers, this one included. For the owner alone (else 403).</summary>
        /// <param name="cancellationToken">As for a message.</param>
        /// <returns>As of <see cref="Kick"/>. If the answer is lost, the outcome is unknown: the channel, and with it the session, is over
        /// when it is asked again.</returns>
        public Task CloseRoom(CancellationToken cancellationToken = default) => Do("close", "", cancellationToken);

        /// <summary>Leaves the channel at once: the enumeration ends, messages that wait are not sent, and the server is told. Twice does
        /// no harm.</summary>
        public void Dispose() => Leave(null);

        /// <summary>Leaves the channel at once, as <see cref="Dispose"/>, and completes when the server has been told, which takes at most
        /// 2 seconds, and the connections are closed.</summary>
        public async ValueTask DisposeAsync()
        {
            Dispose();
            await _running.ConfigureAwait(false);
        }

        private Task<MoshpitReceipt> Do(string verb, string members, CancellationToken cancellationToken, int doneStatus = 0) =>
            _outbox.Add(OutgoingMessage.Verb("\"do\":\"" + verb + "\"" + members, doneStatus, cancellationToken));

        private static string MemberOf(string cid) => !string.IsNullOrEmpty(cid)
            ? ",\"cid\":" + Json.Quote(cid)
            : throw new ArgumentException("The cid is empty.", nameof(cid));

        private async IAsyncEnumerator<MoshpitEvent> EnumerateAsync(CancellationToken cancellationToken)
        {
            // Here, not in the call: an enumerator that is disposed of before its first step is none.
            if (Interlocked.Exchange(ref _isEnumerated, 1) != 0)
                throw new InvalidOperationException("A peer has one enumeration at a time: two would each get some of the events.");
            try
            {
                while (await _events.TakeAsync(cancellationToken).ConfigureAwait(false) is { } next)
                    yield return next;
            }
            finally
            {
                Volatile.Write(ref _isEnumerated, 0);
            }
        }

        private async Task RunAsync()
        {
            Task staying = StayAsync();
            Step.Observe(staying); // the enumeration tells of it
            await Task.WhenAny(staying, _left.Task);
            if (staying.IsCompleted)
                End(staying.Exception?.InnerException, atOnce: false); // if it was cancelled, it has ended before
            await _outbox.Finished;
            if (_isSession && (_isLive || !staying.IsCompleted))
                await _outbox.LeaveAsync(); // while there is a stream: the owner hears of no loss
            Stop("The peer has left.", isLast: true);
            await Task.WhenAny(staying); // whatever its outcome
            _isLive = false;
            _onCanceled.Dispose(); // not before: there was something to cancel
        }

        /// <summary>One stream after the other, until the server says that it was the last. Throws if there can be no other.</summary>
        private async Task StayAsync()
        {
            while (true)
            {
                MoshpitException loss;
                TryBegin(evenIfStopped: true, out CancellationToken stop);
                try
                {
                    using Connection? connection = await OpenStreamAsync(stop);
                    if (connection != null)
                        await ReadStreamAsync(connection, stop);
                    _isLive = false;
                    return;
                }
                catch (OperationCanceledException) when (_isSession && !_isLeaving)
                {
                    loss = new MoshpitException(_stopReason, isTransient: true);
                }
                catch (MoshpitException e) when (_isSession && MayPass(e))
                {
                    loss = e;
                }

                if (_isLive)
                {
                    _isLive = false;
                    _away.Restart();
                    _tries = 0;
                    await _outbox.PauseAsync(); // first: what is written after the event waits
                    _ = _events.AddAsync(new List<MoshpitEvent> { new MoshpitEvent(loss, _lastEventId) });
                }

                if (TryBegin(evenIfStopped: false, out stop))
                    await WaitForNextTryAsync(loss, stop);
            }
        }

        /// <summary>Another try may succeed: not where the peer is refused for good, or the server can't be understood. What else a request
        /// is refused for that was good before lies on the way: a proxy, say, or a network that wants a login first.</summary>
        private static bool MayPass(MoshpitException e) => e.IsTransient ||
            (e.Status != null && e.Status != 401 && e.Status != 403 && (e.Status != 404 || e.RetryAfter != null));

        private async Task WaitForNextTryAsync(MoshpitException loss, CancellationToken stop)
        {
            TimeSpan within = _options.ReconnectWithin ?? _grace;
            TimeSpan left = within == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : within - _away.Elapsed;
            TimeSpan pause = PauseBefore(_tries++, loss.RetryAfter is { } asked ? Jitter.Above(asked) : _retry);
            _options.Tell(_start + ": the peer is away, and tries to come back in " + pause + ". " + loss.Message);
            try
            {
                if (left > TimeSpan.Zero)
                    await Task.Delay(pause < left ? pause : left, stop);
            }
            catch (OperationCanceledException) when (!_isLeaving)
            {
                return; // asked to come back now
            }

            if (pause >= left)
                throw new MoshpitException("The stream was lost, and the peer could not come back within " + within + ". " + loss.Message,
                    loss, loss.Status, loss.Reply, loss.RetryAfter, isTransient: true);
        }

        /// <summary>The time before the next try to come back. Random, so that not all peers of a server come at once.</summary>
        /// <param name="tries">How many there were since the stream was lost.</param>
        /// <param name="least">What the server asks for.</param>
        internal static TimeSpan PauseBefore(int tries, TimeSpan least)
        {
            TimeSpan most = TimeSpan.FromSeconds(0.25) * (1 << Math.Min(tries, 6));
            TimeSpan pause = Jitter.Between(TimeSpan.Zero, most < LongestPause ? most : LongestPause);
            return pause > least ? pause : least;
        }

        /// <summary>Null: the session is over.</summary>
        private async Task<Connection?> OpenStreamAsync(CancellationToken stop)
        {
            string sessionLines = _secret.Length == 0 ? "" : "Moshpit-Session: " + _secret + "\r\n";
            if (sessionLines.Length > 0 && _lastEventId.Length > 0 && Text.IsFieldValue(_lastEventId))
                sessionLines += "Last-Event-ID: " + _lastEventId + "\r\n";
            Endpoint endpoint = _start;
            for (int redirects = 0; ; redirects++)
            {
                Connection connection = await ConnectAsync(endpoint, stop);
                bool isStream = false;
                try
                {
                    HttpHead head = await connection.BoundedAsync(_options.ResponseTimeout, stop, async () =>
                    {
                        await connection.SendAsync(Encoding.ASCII.GetBytes("GET " + endpoint.Target + " HTTP/1.1\r\nHost: " +
                            endpoint.HostHeader + "\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n" + sessionLines +
                            connection.HeaderLines + "\r\n"));
                        return await connection.Reader.ReadHeadAsync();
                    });
                    isStream = head.Status == 200 || head.Status == 201;
                    if (isStream && !head.IsEventStream)
                        throw new MoshpitException(endpoint + " answered with something else than an event stream: Content-Type is '" +
                            Text.Short(head["Content-Type"]) + "', Content-Encoding '" + Text.Short(head["Content-Encoding"]) + "'.");
                    if (isStream)
                        return connection;
                    if (head.Status == 204 && _lastEventId.Length > 0)
                        return null;
                    if (!head.IsRedirect)
                        throw head.Refusal(endpoint, await connection.BoundedAsync(
                            _options.ResponseTimeout, stop, () => connection.Reader.ReadReplyAsync(head, () => true)));
                    endpoint = endpoint.Follow(head, redirects);
                }
                finally
                {
                    if (!isStream)
                        connection.Dispose();
                }
            }
        }

        private async Task<Connection> ConnectAsync(Endpoint endpoint, CancellationToken stop)
        {
            try
            {
                return await Connection.OpenAsync(endpoint, _options, stop);
            }
            catch (MoshpitException e) when (_isSession)
            {
                // It worked before: a network that wants a login shows another certificate, a callback may not reach its own server.
                throw new MoshpitException(e.Message, e.InnerException, isTransient: true);
            }
        }

        /// <summary>Reads the stream to its end; returns if the peer ends with it in good order.</summary>
        private async Task ReadStreamAsync(Connection connection, CancellationToken stop)
        {
            // Before connect nothing can be sent. A stream that never says it (of some other server, say) must not keep writers waiting.
            using var patience = new Step("The server sent no connect event within", _options.ResponseTimeout, stop);
            using var silence = new Step("The stream was silent for", _options.SilenceTimeout ?? _silence, patience.Token);
            using CancellationTokenRegistration onStop = silence.Token.Register(connection.Dispose);
            try
            {
                await ReadEventsAsync(connection, patience, silence);
            }
            catch (Exception e)
            {
                Exception why = silence.Explain(e, "The connection to " + connection.Endpoint + " was lost");
                throw why is OperationCanceledException ? patience.Explain(why, "") : why;
            }
        }

        private async Task ReadEventsAsync(Connection connection, Step patience, Step silence)
        {
            var parser = new SseParser(_options.MaxEventSize, _lastEventId);
            var events = new List<MoshpitEvent>();
            bool isConnected = false;
            while (true)
            {
                silence.Restart();
                ReadOnlyMemory<byte> bytes = await connection.Reader.ReadBodyAsync();
                silence.Pause();
                silence.Token.ThrowIfCancellationRequested(); // a stream that is disposed may end as one that the server has ended
                if (bytes.IsEmpty)
                    break;
                MoshpitException? failure = null;
                MoshpitEvent? bye = null;
                try
                {
                    parser.Push(bytes.Span, events);
                }
                catch (MoshpitException e)
                {
                    failure = e;
                }

                // Also when Push or Connect fails: what was complete before that is given out.
                _lastEventId = parser.LastEventId;
                _retry = parser.Retry ?? _retry;
                foreach (MoshpitEvent e in events)
                    if (e.Kind == MoshpitEventKind.Bye && _isSession)
                    {
                        bye = e;
                    }
                    else if (e.Kind == MoshpitEventKind.Connect && !isConnected)
                    {
                        isConnected = true;
                        patience.Pause();
                        failure = Connect(e, connection.Endpoint) ?? failure;
                        silence.Limit = _options.SilenceTimeout ?? _silence;
                    }

                Task<bool> room = _events.AddAsync(events);
                if (!room.IsCompleted)
                    await silence.Stoppable(room);
                events.Clear();
                if (failure != null)
                    throw failure;
                if (bye is null)
                    continue;
                if (ReasonToComeBack(bye) is { } reason)
                    throw new MoshpitException("The server has ended the stream: " + Text.Short(reason) + ".", isTransient: true);
                return;
            }

            // The response is complete, but a proxy whose server has died may have completed it.
            if (!isConnected)
                throw new MoshpitException("The stream ended before its connect event.", isTransient: true);
            if (parser.IsInsideEvent)
                throw new MoshpitException("The stream ended in the middle of an event.", isTransient: true);
            if (_isSession)
                throw new MoshpitException("The stream ended without a word.", isTransient: true);
        }

        /// <summary>Null: the peer ends with this <c>bye</c>.</summary>
        private static string? ReasonToComeBack(MoshpitEvent bye)
        {
            string?[] members = Json.Members(bye.Data, "reason", "again");
            string reason = Json.AsString(members[0]) ?? "";
            // A peer that was replaced looks whether its session goes on elsewhere: the answer is 204 then.
            return members[1] == "true" || reason == "replaced" ? reason : null;
        }

        /// <summary>The peer has a stream, for the first time or again.</summary>
        private MoshpitException? Connect(MoshpitEvent connect, Endpoint streamAt)
        {
            if (connect.Id is null || connect.Cid is null || connect.Token is null || !Text.IsName(connect.Id))
                return new MoshpitException("The server's connect event has no usable id, cid and token.");
            string?[] members = Json.Members(connect.Data, "resumed", "grace", "heartbeat", "seq");
            bool isSession = _secret.Length > 0 && members[0] != null;
            _grace = Seconds(members[1]) ?? TimeSpan.Zero;
            if (Seconds(members[2]) is { } heartbeat)
                _silence = heartbeat > TimeSpan.Zero ? heartbeat * 2.5 : Timeout.InfiniteTimeSpan;
            _isLive = true;
            // Beside the stream, wherever redirects have led: POST /pit/ID for a stream at /pit/ or /pit/ID.
            _outbox.Start(streamAt.Resolve(connect.Id), connect.Token, isSession ? Json.AsNumber(members[3]) ?? 0 : (long?)null);
            _isSession = isSession;
            _connected.TrySetResult(connect);
            return null;
        }

        private static TimeSpan? Seconds(string? text) =>
            Json.AsNumber(text) is { } seconds ? TimeSpan.FromSeconds(Math.Min(seconds, 1_000_000)) : (TimeSpan?)null;

        private static string NewSecret()
        {
            byte[] bytes = new byte[32];
            RandomNumberGenerator.Fill(bytes);
            return Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        }

        /// <summary>Begins a try to have a stream, or the wait for one. False: what was begun before has been stopped.</summary>
        private bool TryBegin(bool evenIfStopped, out CancellationToken stop)
        {
            lock (_lock)
            {
                bool begins = !_isLeaving && (evenIfStopped || !_isStopped);
                if (begins)
                {
                    _stop = new CancellationTokenSource();
                    _isStopped = false;
                }

                stop = _stop.Token;
                return begins;
            }
        }

        /// <summary>Ends the present stream or wait. On the thread pool: what ends with it must not run in the caller's context.</summary>
        private void Stop(string reason, bool isLast = false)
        {
            CancellationTokenSource stop;
            lock (_lock)
            {
                stop = _stop;
                _stopReason = reason;
                _isStopped = true;
                _isLeaving |= isLast;
            }

            _ = Task.Run(stop.Cancel);
        }

        private void Leave(Exception? why)
        {
            End(why, atOnce: true);
            _left.TrySetResult(true);
        }

        /// <summary>The one end of the peer; the first call counts. At once: what waits is dropped, connections are closed.</summary>
        private void End(Exception? failure, bool atOnce)
        {
            _events.End(failure, atOnce);
            if (failure is OperationCanceledException)
                _connected.TrySetCanceled(_canceled);
            else
                _connected.TrySetException(failure ?? new MoshpitException("The peer ended before it was connected."));
            if (_outbox.End(failure, atOnce))
                _options.Tell(_start + ": the peer ended" + (failure is null ? "." : ": " + failure.Message));
            if (failure is null)
                _completion.TrySetResult(true);
            else if (failure is OperationCanceledException)
                _completion.TrySetCanceled(_canceled);
            else
                _completion.TrySetException(failure);
        }
    }

    // ---- 3. Writing -------------------------------------------------------------------------------------------------

    /// <summary>
    /// Sends the messages of one peer, in order, over one connection at a time. A message waits, is sent, and is answered; its place in the
    /// two queues says which. Several are sent before the first is answered (pipelining, RFC 9112, 9.3.2), but the first message of a
    /// connection goes alone: its answer shows where messages go and whether the connection stays. One task does that as long as the peer
    /// has a stream, and another one when it has a stream again.
    /// <para>
    /// On a session every message has a number, by which the server knows a repetition: what was sent and not answered is sent again. The
    /// numbers of what is on a connection are at most 63 apart, as the server demands.
    /// </para>
    /// </summary>
    internal sealed class Outbox
    {
        private const int MaxSent = 64; // messages on the connection without an answer
        private const int MaxSentSize = 64 * 1024; // and their characters; a larger message goes alone

        private const long LostCount = 64; // a peer that has lost count begins so far above the highest number

        private static readonly TimeSpan LeaveTimeout = TimeSpan.FromSeconds(2);

        private readonly MoshpitClientOptions _options;
        private readonly Action _onUnknownToken;

        // The lock guards all fields of this block, and what the messages say about their place. No message is completed under it.
        private readonly object _lock = new object();
        private readonly LinkedList<OutgoingMessage> _waiting = new LinkedList<OutgoingMessage>();
        private int _size; // of all messages without an outcome
        private Promise<bool>? _added; // set by a new message (true), by the end, and when the wait has been long enough
        private bool _hasEnded;
        private Exception? _failure;
        private MoshpitException? _holdReason;
        private TimeSpan _heldUntil; // by the clock
        private readonly Stopwatch _clock = new Stopwatch(); // of the time in which the peer has a stream
        private CancellationTokenSource _stop = new CancellationTokenSource(); // ends the sending task

        // Changed while there is no sending task.
        private Endpoint? _postTo;
        private string _token = "";
        private string _bodyStart = ""; // with the token
        private long _nextNumber; // of the next message; 0: there is no session

        // Used by the sending task alone.
        private readonly System.Threading.Timer _patience; // in full: Windows Forms has a Timer too
        private readonly Queue<OutgoingMessage> _sent = new Queue<OutgoingMessage>(); // and not answered yet
        private int _sentSize;
        private Endpoint? _redirected; // where a redirect has led
        private bool _pipelines = true;
        private bool _hasUnknownToken; // says an answer that is not believed yet: the server may have lost the session just now
        private string? _doubtfulToken; // of which that was said last; null once a message with it was taken
        private int _failedTries; // in a row
        private byte[] _batch = Array.Empty<byte>();

        public Outbox(MoshpitClientOptions options, Action onUnknownToken)
        {
            _options = options;
            _onUnknownToken = onUnknownToken;
            _patience = new System.Threading.Timer(_ => Wake(isMessage: false));
        }

        /// <summary>Completes when nothing is sent. Asked by the task that calls Start.</summary>
        public Task Finished { get; private set; } = Task.CompletedTask;

        private bool IsSession => _nextNumber > 0;

        /// <summary>Takes a message, whose task it returns.</summary>
        public Task<MoshpitReceipt> Add(OutgoingMessage message)
        {
            message.OnCanceled = message.CancellationToken.Register(() => Cancel(message)); // perhaps right now
            Exception? refusal = null;
            lock (_lock)
            {
                TimeSpan now = _clock.Elapsed;
                message.Deadline = _options.SendTimeout == Timeout.InfiniteTimeSpan ? TimeSpan.MaxValue : now + _options.SendTimeout;
                if (_hasEnded)
                {
                    refusal = Ended();
                }
                else if (message.Size > _options.WriteBufferSize - _size)
                {
                    refusal = new MoshpitException("The message was not sent: it counts " + message.Size + " characters, " + _size +
                        " wait already, and WriteBufferSize is " + _options.WriteBufferSize + ". Await what Write returns, or raise it.");
                }
                else if (now < _heldUntil && message.Deadline <= _heldUntil)
                {
                    refusal = NotDelivered(message, _holdReason!);
                }
                else if (!message.IsCanceled)
                {
                    _size += message.Size;
                    message.Place = _waiting.AddLast(message);
                    _added?.TrySetResult(true);
                }
            }

            if (refusal != null)
                message.Complete(refusal);
            return message.Task;
        }

        /// <summary>The peer has a stream: messages go to this place, with this token.</summary>
        /// <param name="postTo">The channel.</param>
        /// <param name="token">Another one than before is that of another peer.</param>
        /// <param name="highest">The highest number that the server has accepted from the session; null: there is none.</param>
        public void Start(Endpoint postTo, string token, long? highest)
        {
            var lost = new List<OutgoingMessage>();
            lock (_lock)
            {
                _postTo = postTo;
                if (token != _token)
                {
                    _token = token;
                    _bodyStart = "{\"token\":" + Json.Quote(token) + ",";
                    _nextNumber = highest is null ? 0 : highest == 0 ? 1 : highest.Value + LostCount;
                    lost = TakeWaiting(message => message.IsUnknown);
                    foreach (OutgoingMessage message in _waiting)
                        message.Number = 0; // the old peer's
                }

                if (_hasEnded)
                    return;
                _clock.Start();
                _stop = new CancellationTokenSource();
                CancellationToken stop = _stop.Token;
                Finished = Task.Run(() => SendAllAsync(stop));
            }

            foreach (OutgoingMessage message in lost)
                message.Complete(NotDelivered(message, new MoshpitException("The server has lost the session.")));
        }

        /// <summary>The peer has no stream. What was sent and not answered waits for the next one, as all else does.</summary>
        public async Task PauseAsync()
        {
            _stop.Cancel();
            await Finished;
            _redirected = null;
            lock (_lock)
            {
                _clock.Stop();
                _heldUntil = TimeSpan.Zero;
            }
        }

        /// <summary>Fails what waits, and what is added later; what was sent may still be answered, unless it is to end at once. False: it
        /// had ended before.</summary>
        public bool End(Exception? failure, bool atOnce)
        {
            List<OutgoingMessage> unsent;
            bool isFirst;
            lock (_lock)
            {
                isFirst = !_hasEnded;
                if (isFirst)
                    _failure = failure;
                _hasEnded = true;
                unsent = TakeWaiting(_ => true);
            }

            Wake(isMessage: false);
            if (atOnce)
                _stop.Cancel();
            foreach (OutgoingMessage message in unsent)
                message.Complete(Ended(message));
            return isFirst;
        }

        /// <summary>Tells the server that the peer leaves; again if that was cut off. After the end, when nothing is sent.</summary>
        public async Task LeaveAsync()
        {
            string body = _bodyStart + "\"do\":\"leave\"}";
            Endpoint target = _redirected ?? _postTo!;
            using var limit = new CancellationTokenSource(LeaveTimeout);
            bool isTold = false;
            for (int tries = 0; !isTold && !limit.IsCancellationRequested; tries++)
            {
                Connection? connection = null;
                try
                {
                    if (tries > 0)
                        await Task.Delay(Jitter.Above(TimeSpan.FromMilliseconds(50)), limit.Token);
                    connection = await Connection.OpenAsync(target, _options, limit.Token);
                    string head = HeadOf(target, connection);
                    HttpHead answer = await connection.BoundedAsync(LeaveTimeout, limit.Token, async () =>
                    {
                        await connection.SendAsync(Encoding.ASCII.GetBytes(head + body.Length + "\r\n\r\n" + body));
                        return await connection.Reader.ReadHeadAsync();
                    });
                    isTold = answer.Status < 500 && answer.Status != 400 && answer.Status != 408 && answer.Status != 429;
                }
                catch (Exception e)
                {
                    _options.Tell("The server was not told that the peer leaves. " + e.Message);
                    if (connection is null)
                        return; // there is no server
                }
                finally
                {
                    connection?.Dispose();
                }
            }
        }

        private async Task SendAllAsync(CancellationToken stop)
        {
            using CancellationTokenRegistration onStop = stop.Register(() => Wake(isMessage: false));
            _hasUnknownToken = false;
            while (!_hasUnknownToken && await WhenWaitingAsync(Timeout.InfiniteTimeSpan, stop))
                if (await TryConnectAsync(stop) is { } connection)
                {
                    while (await UseAsync(connection, _redirected ?? _postTo!, stop))
                        continue;
                    connection.Dispose();
                }

            if (_hasUnknownToken)
                _onUnknownToken();
        }

        /// <summary>Null: messages are held, or there was no connection. Then nothing was sent.</summary>
        private async Task<Connection?> TryConnectAsync(CancellationToken stop)
        {
            try
            {
                TimeSpan hold;
                lock (_lock)
                    hold = _heldUntil - _clock.Elapsed;
                if (hold <= TimeSpan.Zero)
                    return await Connection.OpenAsync(_redirected ?? _postTo!, _options, stop);
                await Task.Delay(hold + TimeSpan.FromMilliseconds(1), stop); // a timer may be early by less than that
            }
            catch (OperationCanceledException)
            {
                // The messages have failed, or they wait for the next stream.
            }
            catch (MoshpitException e)
            {
                _redirected = null;
                Hold(e, mayPass: e.IsTransient || IsSession); // the stream has connected
            }

            return null;
        }

        /// <summary>True: a message waits. False: nothing is to be sent any more, or none came for so long.</summary>
        private async ValueTask<bool> WhenWaitingAsync(TimeSpan patience, CancellationToken stop)
        {
            while (true)
            {
                Task<bool> added;
                lock (_lock)
                {
                    if (_waiting.Count > 0 || _hasEnded || stop.IsCancellationRequested)
                        return !_hasEnded && !stop.IsCancellationRequested;
                    _added = new Promise<bool>();
                    added = _added.Task;
                }

                _patience.Change(patience, Timeout.InfiniteTimeSpan);
                if (!await added && patience != Timeout.InfiniteTimeSpan)
                    return false; // a late call of the timer ends no wait without a limit
            }
        }

        private void Wake(bool isMessage)
        {
            lock (_lock)
                _added?.TrySetResult(isMessage);
        }

        /// <summary>
        /// Sends and reads answers until nothing is left to do or the connection is of no more use. This is the place that decides what the
        /// end of a connection means for each message. A message without an answer has an unknown outcome, and is sent again on a session
        /// only, with one exception: after an answer with <c>Connection: close</c> the server processes no further request of the
        /// connection (RFC 9112, 9.6; Moshpit's protocol promises it for 429 and 503). What was sent behind such an answer was not
        /// processed.
        /// </summary>
        /// <returns>True: the messages are redirected to another place of the same origin, for which the connection can be used.</returns>
        private async Task<bool> UseAsync(Connection connection, Endpoint target, CancellationToken stop)
        {
            string head = HeadOf(target, connection);
            var again = new List<OutgoingMessage>();
            MoshpitException? refusal = null; // for now, by 429 or 503
            MoshpitException? loss = null;
            bool isUsable = true;
            Task writing = Task.CompletedTask;
            using var step = new Step(Step.LateAnswer, _options.ResponseTimeout, stop);
            using CancellationTokenRegistration onStop = step.Token.Register(connection.Dispose);
            try
            {
                Task<(HttpHead Head, string Reply)>? answering = null;
                while (isUsable)
                {
                    bool takesMore = again.Count == 0 && !connection.IsSpent;
                    if (_sent.Count == 0)
                    {
                        step.Pause();
                        if (!takesMore || !await WhenWaitingAsync(connection.KeepFor, stop))
                            break;
                        bool isQuiet = connection.IsQuiet;
                        if (!isQuiet && connection.IsProven)
                            break; // nothing was sent: the messages go over another connection
                        if (!isQuiet)
                            throw new MoshpitException(target + " closed the connection before anything was sent.", isTransient: true);
                        step.Restart();
                    }

                    Task? added = null;
                    if (takesMore && writing.Status == TaskStatus.RanToCompletion)
                    {
                        int length = Begin(head, connection.IsProven && _pipelines ? MaxSent : 1, out added);
                        if (length > 0)
                            writing = connection.SendAsync(_batch.AsMemory(0, length));
                        Step.Observe(writing); // if it fails, reading fails too, unless there is an answer
                    }

                    if (_sent.Count == 0)
                        continue; // the message was taken back
                    answering ??= ReadAnswerAsync(connection.Reader, step);
                    await Task.WhenAny(answering, writing.IsCompleted ? added ?? answering : writing);
                    if (!answering.IsCompleted)
                        continue;
                    (HttpHead answer, string reply) = await answering;
                    answering = null;
                    step.Restart();

                    OutgoingMessage message = _sent.Dequeue();
                    _sentSize -= message.Size;
                    connection.Learn(answer);
                    _hasUnknownToken = IsSession && answer.IsUnknownToken(reply) && _doubtfulToken != _token;
                    if (_hasUnknownToken)
                        _doubtfulToken = _token;
                    else if (answer.IsSuccess)
                        _doubtfulToken = null;
                    bool isRefusalForNow = answer.IsRefusalForNow || (IsSession && (answer.IsFromGateway || answer.IsOfCutRequest(reply)));
                    if (isRefusalForNow)
                        refusal = answer.Refusal(target, reply, isToMessage: true);
                    else
                        _failedTries = 0;
                    message.IsUnknown |= answer.IsFromGateway;
                    if (answer.IsSuccess || message.WasDone(answer.Status))
                        Finish(message, null, reply);
                    else if (_hasUnknownToken || isRefusalForNow || TryRedirect(message, target, answer, reply))
                        again.Add(message);
                    if (answer.SaysClose)
                    {
                        again.AddRange(_sent);
                        _sent.Clear();
                        _sentSize = 0;
                    }

                    if (answer.IsSuccess && _sent.Count == 0)
                        await writing; // a success that came before the end of the message must not cut it off
                    isUsable = answer.AllowsReuse && connection.Reader.IsBodyRead && !_hasUnknownToken;
                    if (_sent.Count == 0) // then what was received after this answer belongs to no message
                        isUsable &= !connection.Reader.HasMore && writing.Status == TaskStatus.RanToCompletion;
                }

                if (_sent.Count > 0)
                    loss = new MoshpitException(target + " ended the connection with an answer.", isTransient: true);
            }
            catch (Exception e)
            {
                isUsable = false;
                loss = step.Explain(e, "The connection to " + target + " was lost") as MoshpitException ??
                    new MoshpitException("The peer has left.", e);
            }

            if (!writing.IsCompleted)
                _batch = Array.Empty<byte>(); // the write that is given up may still look at the old one
            Settle(connection, again, refusal, loss, stop);
            bool isRedirected = isUsable && again.Count > 0 && refusal is null && !stop.IsCancellationRequested;
            return isRedirected && connection.Endpoint.HasSameOrigin(_redirected ?? target);
        }

        private async Task<(HttpHead Head, string Reply)> ReadAnswerAsync(HttpReader reader, Step step)
        {
            HttpHead head = await reader.ReadHeadAsync();
            step.Restart(); // the body has a time of its own
            return (head, await reader.ReadReplyAsync(head, () => _sent.Count == 1)); // else answers stand behind the body
        }

        /// <summary>Writes the requests that may be sent now into the batch, whose length it returns.</summary>
        /// <param name="head">The head of a request, up to the value of Content-Length.</param>
        /// <param name="most">How many messages may be without an answer.</param>
        /// <param name="added">If there is room and no message: completes when one is added. Else null.</param>
        private int Begin(string head, int most, out Task? added)
        {
            var begun = new List<OutgoingMessage>();
            lock (_lock)
            {
                while (_waiting.First is { } first && _sent.Count < most &&
                    (_sent.Count == 0 || (_sentSize + first.Value.Size <= MaxSentSize && IsNear(first.Value))))
                {
                    if (IsSession && first.Value.Number == 0)
                        first.Value.Number = _nextNumber++;
                    _waiting.RemoveFirst();
                    first.Value.Place = null;
                    _sentSize += first.Value.Size;
                    _sent.Enqueue(first.Value);
                    begun.Add(first.Value);
                }

                _added = _waiting.Count == 0 && _sent.Count < most ? new Promise<bool>() : null;
                added = _added?.Task;
            }

            if (_batch.Length > 4 * MaxSentSize)
                _batch = Array.Empty<byte>(); // a large message is not kept
            int length = 0;
            foreach (OutgoingMessage message in begun)
            {
                bool isNumbered = message.Number > 0 && !message.IsVerb;
                string number = isNumbered ? "\"seq\":" + message.Number.ToString(CultureInfo.InvariantCulture) + "," : "";
                string body = _bodyStart + number + message.Members + (message.IsVerb ? "" : "\"data\":") + message.Data + "}";
                int bodySize = Encoding.UTF8.GetByteCount(body);
                string start = head + bodySize.ToString(CultureInfo.InvariantCulture) + "\r\n\r\n"; // in ASCII
                int end = length + start.Length + bodySize;
                if (end > _batch.Length)
                    Array.Resize(ref _batch, Math.Max(end, 2 * _batch.Length));
                Encoding.UTF8.GetBytes(start, 0, start.Length, _batch, length);
                Encoding.UTF8.GetBytes(body, 0, body.Length, _batch, length + start.Length);
                length = end;
            }

            return length;
        }

        /// <summary>Its number may be sent beside the lowest without an answer. Messages that are sent again may have gaps between
        /// them, where others were cancelled.</summary>
        private bool IsNear(OutgoingMessage message) =>
            (message.Number == 0 ? _nextNumber : message.Number) - _sent.Peek().Number < MaxSent;

        /// <summary>The head of a POST, up to the value of Content-Length. On a session the answer is a receipt.</summary>
        private string HeadOf(Endpoint target, Connection connection) => "POST " + target.Target + " HTTP/1.1\r\nHost: " +
            target.HostHeader + "\r\nContent-Type: application/json\r\n" + (IsSession ? "Accept: application/json\r\n" : "") +
            connection.HeaderLines + "Content-Length: ";

        /// <summary>True: the answer is a redirect, and this message and all after it follow it. False: the message has failed.</summary>
        private bool TryRedirect(OutgoingMessage message, Endpoint target, HttpHead answer, string reply)
        {
            try
            {
                // 301 and 302 make a GET of a POST by custom, and a GET would open a stream: they are an error here. 307 and 308 don't.
                if (answer.Status != 307 && answer.Status != 308)
                    throw answer.Refusal(target, reply, isToMessage: true);
                _redirected = target.Follow(answer, message.Redirects++);
                return true;
            }
            catch (MoshpitException e)
            {
                Finish(message, message.IsUnknown && IsSession ? NotDelivered(message, e) : e);
                return false;
            }
        }

        /// <summary>After the use of a connection: gives each message on it its outcome or its place in the queue.</summary>
        private void Settle(
            Connection connection, List<OutgoingMessage> again, MoshpitException? refusal, MoshpitException? loss, CancellationToken stop)
        {
            int unknown = _sent.Count;
            foreach (OutgoingMessage message in _sent)
            {
                message.IsUnknown = true;
                if (IsSession)
                    again.Add(message);
                else
                    Finish(message, NotDelivered(message, loss!));
            }

            _sent.Clear();
            _sentSize = 0;
            _pipelines &= IsSession || unknown <= 1; // perhaps the server can't do it
            var dropped = new List<OutgoingMessage>();
            lock (_lock)
            {
                _added = null;
                for (int i = again.Count - 1; i >= 0; i--)
                {
                    if (_hasEnded || again[i].IsCanceled)
                        dropped.Add(again[i]);
                    else
                        again[i].Place = _waiting.AddFirst(again[i]);
                }
            }

            foreach (OutgoingMessage message in dropped)
                Finish(message, Ended(message));
            if (loss != null)
            {
                _redirected = null;
                _options.Tell(loss.Message + " Messages of unknown outcome: " + unknown + ".");
            }

            if (stop.IsCancellationRequested)
                return;
            if (refusal != null)
                Hold(refusal);
            else if (loss != null && (unknown > 0 || !connection.IsProven))
                Hold(loss);
        }

        /// <summary>Nothing is sent for a while. Messages that have not as much time fail; all do if the reason will not pass.</summary>
        private void Hold(MoshpitException why, bool mayPass = true)
        {
            TimeSpan pause = TimeSpan.Zero;
            if (why.RetryAfter > TimeSpan.Zero)
                pause = Jitter.Above(why.RetryAfter.Value);
            else if (mayPass && _options.SendTimeout != TimeSpan.Zero)
                pause = Jitter.Between(TimeSpan.FromMilliseconds(125), TimeSpan.FromMilliseconds(250)) * (1 << Math.Min(_failedTries++, 5));

            List<OutgoingMessage> late;
            int held;
            lock (_lock)
            {
                _holdReason = why;
                _heldUntil = _clock.Elapsed + pause;
                late = TakeWaiting(message => !mayPass || message.Deadline <= _heldUntil);
                held = _waiting.Count;
            }

            foreach (OutgoingMessage message in late)
                message.Complete(NotDelivered(message, why));
            if (held > 0)
                _options.Tell("Messages held for " + pause + ": " + held + ". " + why.Message);
        }

        /// <summary>Takes some messages out of the queue.</summary>
        private List<OutgoingMessage> TakeWaiting(Predicate<OutgoingMessage> which)
        {
            var taken = new List<OutgoingMessage>();
            for (LinkedListNode<OutgoingMessage>? next, node = _waiting.First; node != null; node = next)
            {
                next = node.Next;
                if (!which(node.Value))
                    continue;
                _waiting.Remove(node);
                node.Value.Place = null;
                _size -= node.Value.Size;
                taken.Add(node.Value);
            }

            return taken;
        }

        private void Finish(OutgoingMessage message, Exception? failure, string answer = "")
        {
            lock (_lock)
                _size -= message.Size;
            message.Complete(failure, answer);
        }

        private void Cancel(OutgoingMessage message)
        {
            lock (_lock)
            {
                message.IsCanceled = true;
                if (message.Place != null)
                {
                    _waiting.Remove(message.Place);
                    message.Place = null;
                    _size -= message.Size;
                }
            }

            message.Cancel(); // if it was sent, its answer is read all the same: the messages behind it need the connection
        }

        private MoshpitException Ended() => new MoshpitException("The message was not sent: the peer has left, or its stream has ended.",
            _failure, isTransient: _failure is MoshpitException { IsTransient: true });

        private MoshpitException Ended(OutgoingMessage message) => message.IsUnknown ? NotDelivered(message, Ended()) : Ended();

        private static MoshpitException NotDelivered(OutgoingMessage message, MoshpitException why) => message.IsUnknown
            ? new MoshpitException("The outcome is unknown: the message was sent, wholly or in part, and not answered; it is not sent " +
                "again. " + why.Message, why, isTransient: why.IsTransient, outcomeUnknown: true)
            : new MoshpitException("The message was not delivered, and is not tried again. " + why.Message, why, why.Status, why.Reply,
                why.RetryAfter, why.IsTransient);
    }

    /// <summary>Times that are not the same for all clients, so that they don't all come at once.</summary>
    internal static class Jitter
    {
        /// <summary>As long, or up to a quarter longer.</summary>
        public static TimeSpan Above(TimeSpan least) => Between(least, least + least / 4);

        public static TimeSpan Between(TimeSpan least, TimeSpan most) =>
            least + TimeSpan.FromMilliseconds(RandomNumberGenerator.GetInt32((int)(most - least).TotalMilliseconds + 1));
    }

    /// <summary>A message until its outcome is known.</summary>
    internal sealed class OutgoingMessage
    {
        private const int Overhead = 64;

        private static readonly MoshpitReceipt Taken = new MoshpitReceipt("");

        private readonly Promise<MoshpitReceipt> _done = new Promise<MoshpitReceipt>();

        private readonly int _doneStatus;

        private OutgoingMessage(string data, string members, bool isVerb, int doneStatus, CancellationToken cancellationToken)
        {
            Data = data;
            Members = members;
            IsVerb = isVerb;
            _doneStatus = doneStatus;
            CancellationToken = cancellationToken;
        }

        /// <summary>What it says to peers, as JSON; empty for a verb.</summary>
        public string Data { get; }

        /// <summary>What else the request says, but for the token and the number: the peers that get it, or the verb.</summary>
        public string Members { get; }

        /// <summary>It tells the server to do something, which is told no number.</summary>
        public bool IsVerb { get; }

        public CancellationToken CancellationToken { get; }

        /// <summary>Its characters, and some for its objects.</summary>
        public int Size => Overhead + Data.Length + Members.Length;

        public Task<MoshpitReceipt> Task => _done.Task;

        /// <summary>Where it waits; null before and after.</summary>
        public LinkedListNode<OutgoingMessage>? Place { get; set; }

        public CancellationTokenRegistration OnCanceled { get; set; }

        public bool IsCanceled { get; set; }

        /// <summary>It is not tried again after this time of the outbox's clock.</summary>
        public TimeSpan Deadline { get; set; }

        public int Redirects { get; set; }

        /// <summary>By which the server knows a repetition; 0 until it is sent on a session.</summary>
        public long Number { get; set; }

        /// <summary>It was sent, wholly or in part, and the server has not said what became of it.</summary>
        public bool IsUnknown { get; set; }

        /// <summary>A message for peers.</summary>
        /// <param name="data">What it says, as JSON.</param>
        /// <param name="recipients">The members that name the peers that get it; empty: all do.</param>
        /// <param name="cancellationToken">The caller's.</param>
        public static OutgoingMessage Signal(string data, string recipients, CancellationToken cancellationToken) =>
            new OutgoingMessage(data, recipients, isVerb: false, doneStatus: 0, cancellationToken);

        /// <summary>Something for the server to do.</summary>
        /// <param name="members">The verb and its details.</param>
        /// <param name="doneStatus">The status that says, when it is sent again, that it was done before; 0: none says so.</param>
        /// <param name="cancellationToken">The caller's.</param>
        public static OutgoingMessage Verb(string members, int doneStatus, CancellationToken cancellationToken) =>
            new OutgoingMessage("", members, isVerb: true, doneStatus, cancellationToken);

        /// <summary>It was done when it was sent before, says this status of an answer to it.</summary>
        public bool WasDone(int status) => IsUnknown && status == _doneStatus;

        public void Complete(Exception? failure, string answer = "")
        {
            OnCanceled.Dispose();
            if (failure is null)
                _done.TrySetResult(answer.Length == 0 ? Taken : new MoshpitReceipt(answer));
            else
                _done.TrySetException(failure);
        }

        public void Cancel() => _done.TrySetCanceled(CancellationToken);
    }

    // ---- 4. Reading -------------------------------------------------------------------------------------------------

    /// <summary>Events between the stream and its reader: one side adds, one side takes.</summary>
    internal sealed class EventQueue
    {
        private static readonly Task<bool> HasRoom = Task.FromResult(true);

        private readonly Queue<MoshpitEvent> _events = new Queue<MoshpitEvent>(); // its lock guards all fields
        private readonly int _capacity;
        private long _size;
        private bool _hasEnded;
        private bool _isTaking;
        private Exception? _failure;
        private Promise<bool>? _change; // the reader waits for an event, or for the end
        private Promise<bool>? _room; // the stream waits for room

        public EventQueue(int capacity) => _capacity = capacity;

        /// <summary>Adds them all; the task completes when what waits is below the capacity.</summary>
        public Task<bool> AddAsync(List<MoshpitEvent> events)
        {
            lock (_events)
            {
                if (_hasEnded || events.Count == 0)
                    return HasRoom;
                foreach (MoshpitEvent e in events)
                {
                    _events.Enqueue(e);
                    _size += SizeOf(e);
                }

                Wake(ref _change);
                if (_size < _capacity)
                    return HasRoom;
                _room = new Promise<bool>();
                return _room.Task;
            }
        }

        /// <summary>No more events. The first call counts, but a later one may still drop what waits, and is then the end.</summary>
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

        /// <summary>The next event; null at the end. Throws what the peer failed with.</summary>
        /// <exception cref="InvalidOperationException">Another call waits.</exception>
        public async ValueTask<MoshpitEvent?> TakeAsync(CancellationToken cancellationToken)
        {
            lock (_events)
            {
                if (_isTaking)
                    throw new InvalidOperationException("Another call waits for the next event already.");
                _isTaking = true;
            }

            try
            {
                while (true)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    if (TryTake(out MoshpitEvent? next, out Promise<bool>? change))
                        return next;
                    using (cancellationToken.Register(() => change.TrySetCanceled(cancellationToken)))
                        await change.Task.ConfigureAwait(false);
                }
            }
            finally
            {
                lock (_events)
                    _isTaking = false;
            }
        }

        /// <summary>True: the next event, or null at the end. False: there is neither before the change completes.</summary>
        private bool TryTake(out MoshpitEvent? next, [NotNullWhen(false)] out Promise<bool>? change)
        {
            lock (_events)
            {
                change = null;
                if (_events.TryDequeue(out next))
                {
                    _size -= SizeOf(next);
                    if (_size < _capacity)
                        Wake(ref _room);
                    return true;
                }

                if (!_hasEnded)
                    _change = change = new Promise<bool>();
                else if (_failure != null)
                    ExceptionDispatchInfo.Capture(_failure).Throw();
                return _hasEnded;
            }
        }

        // A small event costs its objects as well.
        private static int SizeOf(MoshpitEvent e) => 64 + e.Name.Length + e.Data.Length + e.LastEventId.Length +
            (e.Id?.Length ?? 0) + (e.Cid?.Length ?? 0) + (e.Token?.Length ?? 0);

        private static void Wake(ref Promise<bool>? signal)
        {
            signal?.TrySetResult(true);
            signal = null;
        }
    }

    /// <summary>
    /// Parses text/event-stream as WHATWG HTML 9.2.5 and 9.2.6 say. Bytes may be cut anywhere. What stands after the last empty line when
    /// the stream ends is no event. Of Moshpit's own is the field <c>from</c>, the cid of a message's sender.
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
        private string _from = "";
        private string _lastEventIdBuffer;
        private byte[] _line = new byte[256];
        private int _lineLength;
        private bool _isFirstLine = true;
        private bool _isAfterCR; // a CR has ended the last line; an LF right after it belongs to it

        /// <param name="maxEventSize">Bytes of the largest event.</param>
        /// <param name="lastEventId">The last event id string of the stream before this one.</param>
        public SseParser(int maxEventSize, string lastEventId = "")
        {
            _maxEventSize = maxEventSize;
            LastEventId = _lastEventIdBuffer = lastEventId;
        }

        /// <summary>The last event id string: what the last complete block left in the buffer, whether it had data or not.</summary>
        public string LastEventId { get; private set; }

        /// <summary>How long the stream asks to wait before a new try; null where it does not say.</summary>
        public TimeSpan? Retry { get; private set; }

        /// <summary>Something of an event was received, and its end was not. A comment is nothing of an event.</summary>
        public bool IsInsideEvent => (_lineLength > 0 && _line[0] != ':') || _dataSize > 0 || _eventType.Length > 0 ||
            !ReferenceEquals(_lastEventIdBuffer, LastEventId);

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
            ProcessField(name, value);
        }

        private void ProcessField(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
        {
            if (Is(name, "data"))
            {
                _data.Append(Decode(value)).Append('\n');
                _dataSize += value.Length + 1;
            }
            else if (Is(name, "event"))
            {
                _eventType = Decode(value);
                _eventTypeSize = value.Length;
            }
            else if (Is(name, "id") && value.IndexOf((byte)0) < 0)
            {
                _lastEventIdBuffer = Decode(value);
            }
            else if (Is(name, "from"))
            {
                _from = Decode(value);
            }
            else if (Is(name, "retry") && Json.AsNumber(Decode(value)) is { } milliseconds)
            {
                Retry = TimeSpan.FromMilliseconds(Math.Min(milliseconds, int.MaxValue));
            }
        }

        private static bool Is(ReadOnlySpan<byte> name, string field)
        {
            bool isSame = name.Length == field.Length;
            for (int i = 0; isSame && i < name.Length; i++)
                isSame = name[i] == field[i];
            return isSame;
        }

        private void Dispatch(ICollection<MoshpitEvent> events)
        {
            LastEventId = _lastEventIdBuffer;
            if (_data.Length > 0)
                events.Add(new MoshpitEvent(
                    _eventType.Length > 0 ? _eventType : "message", _data.ToString(0, _data.Length - 1), LastEventId, _from));
            _from = "";
            _data.Clear();
            _dataSize = 0;
            _eventType = "";
            _eventTypeSize = 0;
        }

        // Line by line is as good as the whole stream at once: CR and LF never stand inside a sequence of UTF-8, and replacement
        // never goes past one. (Mono may put in another number of U+FFFD for a broken sequence than WHATWG and .NET do.)
        private static string Decode(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);
    }

    // ---- 5. HTTP ----------------------------------------------------------------------------------------------------

    /// <summary>Status line and headers of a response.</summary>
    internal sealed class HttpHead
    {
        private static readonly TimeSpan LongestTime = TimeSpan.FromDays(12); // twice as long is what a timer can wait

        private readonly List<KeyValuePair<string, string>> _fields;

        public HttpHead(int minorVersion, int status, List<KeyValuePair<string, string>> fields)
        {
            MinorVersion = minorVersion;
            Status = status;
            _fields = fields;
            SaysClose = minorVersion >= 1 && this["Connection"] is { } options &&
                Array.Exists(options.Split(','), o => o.Trim().Equals("close", StringComparison.OrdinalIgnoreCase));
        }

        public int MinorVersion { get; }

        public int Status { get; }

        public bool IsSuccess => Status >= 200 && Status < 300;

        public bool IsRedirect => Status == 301 || Status == 302 || Status == 303 || Status == 307 || Status == 308;

        /// <summary>The server takes no message now, and may take the same one later.</summary>
        public bool IsRefusalForNow => Status == 429 || Status == 503;

        /// <summary>A gateway that got no answer from its server does not know what that did.</summary>
        public bool IsFromGateway => Status == 502 || Status == 504;

        public bool IsEventStream => Is("text/event-stream") &&
            string.Equals(this["Content-Encoding"] ?? "identity", "identity", StringComparison.OrdinalIgnoreCase);

        public bool IsJson => Is("application/json");

        public bool AllowsReuse => MinorVersion >= 1 && !SaysClose;

        /// <summary>In HTTP/1.1: the server processes no further request of this connection (RFC 9112, 9.6).</summary>
        public bool SaysClose { get; }

        /// <summary>How long the server keeps an idle connection (<c>Keep-Alive: timeout=5</c>); null where it does not say.</summary>
        public TimeSpan? KeepAliveTimeout
        {
            get
            {
                foreach (string parameter in (this["Keep-Alive"] ?? "").Split(','))
                    if (parameter.Trim().StartsWith("timeout=", StringComparison.OrdinalIgnoreCase))
                        return ReadSeconds(parameter.Trim().Substring("timeout=".Length));
                return null;
            }
        }

        /// <summary>delay-seconds or an HTTP-date (RFC 9110, 10.2.3); null where there is neither.</summary>
        public TimeSpan? RetryAfter
        {
            get
            {
                string value = this["Retry-After"] ?? "";
                if (!DateTimeOffset.TryParseExact(
                    value, "r", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date))
                    return ReadSeconds(value);
                TimeSpan left = date - DateTimeOffset.UtcNow;
                return left < TimeSpan.Zero ? TimeSpan.Zero : left < LongestTime ? left : LongestTime;
            }
        }

        /// <summary>The field's value; of a repeated one, all values with commas between (RFC 9110, 5.3); null if there is none.</summary>
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

        /// <summary>The exception for this answer, where it is none that is wanted.</summary>
        public MoshpitException Refusal(Endpoint endpoint, string reply, bool isToMessage = false)
        {
            string why = IsRedirect ? " A POST follows 307 and 308 only; give the client the URL that it is redirected to." : "";
            return new MoshpitException(endpoint + " answered " + Status + ": " + Text.Short(reply) + why,
                status: Status, reply: reply, retryAfter: RetryAfter, outcomeUnknown: isToMessage && IsFromGateway);
        }

        /// <summary>The answer to a message says that it did not come whole: the way to the server was cut, and the way back was not. If
        /// not even the head came, the server has not seen that it is asked for JSON.</summary>
        public bool IsOfCutRequest(string reply) =>
            Status == 408 || (Status == 400 && (ErrorIn(reply) ?? "incomplete-request") == "incomplete-request");

        /// <summary>The answer to a message says that there is no such peer, or no such channel (any more).</summary>
        public bool IsUnknownToken(string reply) => Status == 401 ||
            (Status == 404 && ErrorIn(reply)?.StartsWith("unknown-channel", StringComparison.Ordinal) == true);

        private static string? ErrorIn(string reply) => Json.AsString(Json.Members(reply, "error")[0]);

        private bool Is(string mediaType)
        {
            string value = this["Content-Type"] ?? "";
            int end = value.IndexOf(';', StringComparison.Ordinal);
            ReadOnlySpan<char> type = value.AsSpan(0, end < 0 ? value.Length : end).Trim();
            return type.Equals(mediaType.AsSpan(), StringComparison.OrdinalIgnoreCase);
        }

        private static TimeSpan? ReadSeconds(string text)
        {
            if (text.Length == 0 || !Array.TrueForAll(text.ToCharArray(), c => c >= '0' && c <= '9'))
                return null;
            return text.Length < 7 ? TimeSpan.FromSeconds(int.Parse(text, CultureInfo.InvariantCulture)) : LongestTime;
        }
    }

    /// <summary>
    /// Reads responses from a stream of bytes, one after the other (RFC 9112). Lines end with CR LF and nothing else. What is malformed
    /// or cut off is a <see cref="MoshpitException"/>; a body delimited by the connection's end can't be told from one cut off there.
    /// </summary>
    internal sealed class HttpReader
    {
        private const int MaxHeadSize = 32 * 1024; // characters of a head, or of all trailers
        private const int MaxHeadLines = 256; // and its lines: joining those that are repeated costs their number times their length
        private const int MaxReplySize = 4096; // of a refusal
        private const int MaxAnswerSize = 128 * 1024; // of a success: a receipt for 100 peers, or 64 KiB of peers and what is around them

        private readonly Stream _stream;
        private readonly byte[] _buffer = new byte[8192];
        private byte[] _reply = Array.Empty<byte>();
        private readonly StringBuilder _line = new StringBuilder();
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

        /// <summary>The body has been read to its end.</summary>
        public bool IsBodyRead => _framing == Framing.Done;

        /// <summary>Something was received after what has been read.</summary>
        public bool HasMore => _start < _end;

        /// <summary>tchar, RFC 9110, 5.6.2.</summary>
        public static bool IsToken(string text)
        {
            foreach (char c in text)
                if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
                    !"!#$%&'*+-.^_`|~".Contains(c, StringComparison.Ordinal))
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
                bool valid = line.Length >= 12 && line.StartsWith("HTTP/1.", StringComparison.Ordinal) && IsDigit(line[7]) &&
                    line[8] == ' ' && line[9] >= '1' && line[9] <= '9' && IsDigit(line[10]) && IsDigit(line[11]) &&
                    (line.Length == 12 || line[12] == ' ');
                if (!valid)
                    throw Malformed("the status line");
                int status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
                head = new HttpHead(line[7] - '0', status, await ReadFieldsAsync());
                if (status == 101)
                    throw Malformed("a switch of protocols that was not asked for");
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

        /// <summary>The first 4 KiB of the body as text; of a success only if that is JSON, and then 128 KiB. The status has said what
        /// happened: a body that is cut off can't change that, but then <see cref="IsBodyRead"/> is false.</summary>
        /// <param name="head">The head before the body.</param>
        /// <param name="mayStop">Asked after so much: no response behind this one is wanted.</param>
        public async Task<string> ReadReplyAsync(HttpHead head, Func<bool> mayStop)
        {
            bool isText = !head.IsSuccess || head.IsJson;
            int most = head.IsSuccess && head.IsJson ? MaxAnswerSize : MaxReplySize;
            int length = 0;
            try
            {
                ReadOnlyMemory<byte> bytes;
                while ((length < most || !mayStop()) && !(bytes = await ReadBodyAsync()).IsEmpty)
                {
                    int count = Math.Min(most - length, bytes.Length);
                    if (isText && length + count > _reply.Length)
                        Array.Resize(ref _reply, Math.Min(MaxAnswerSize, Math.Max(MaxReplySize, 2 * (length + count))));
                    if (isText)
                        bytes.Span.Slice(0, count).CopyTo(_reply.AsSpan(length));
                    length += count;
                }
            }
            catch (Exception e) when (e is IOException || e is ObjectDisposedException)
            {
            }

            return isText && length > 0 ? Encoding.UTF8.GetString(_reply, 0, length).Trim() : "";
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
                int colon = line.IndexOf(':', StringComparison.Ordinal);
                if (colon < 0 || !IsToken(line.Substring(0, colon)) || line.Contains('\0', StringComparison.Ordinal))
                    throw Malformed("a header");
                fields.Add(new KeyValuePair<string, string>(line.Substring(0, colon), line.Substring(colon + 1).Trim(' ', '\t')));
            }
        }

        /// <summary>A line without its CR LF, each byte as one character (ISO-8859-1).</summary>
        private async ValueTask<string> ReadLineAsync()
        {
            StringBuilder line = _line.Clear();
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

        private static MoshpitException CutOff() =>
            new MoshpitException("The server closed the connection before its response was complete.", isTransient: true);
    }

    // ---- 6. The network ---------------------------------------------------------------------------------------------

    /// <summary>Where a request goes: a URL, and for a Unix socket its path (the URL's host is then only a name).</summary>
    internal sealed class Endpoint
    {
        private const string UnixPrefix = "http://unix:/";
        private const int MaxRedirects = 10;

        private readonly Uri _url;

        private Endpoint(Uri url, string? socketPath)
        {
            _url = url;
            SocketPath = socketPath;
        }

        public string? SocketPath { get; }

        public bool IsSecure => _url.Scheme == "https";

        /// <summary>The name or address to connect to; an IPv6 address without brackets.</summary>
        public string Host => _url.IdnHost.Replace("%25", "%", StringComparison.Ordinal); // before an IPv6 address's zone (RFC 6874)

        public int Port => _url.Port;

        /// <summary>The request-target.</summary>
        public string Target => _url.PathAndQuery;

        /// <summary>The value of the Host header: an IPv6 address in brackets, the scheme's own port left out.</summary>
        public string HostHeader =>
            (_url.HostNameType == UriHostNameType.IPv6 ? _url.Host : _url.IdnHost) + (_url.IsDefaultPort ? "" : ":" + _url.Port);

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
            bool hasSlash = parsed.AbsolutePath.EndsWith('/');
            return new Endpoint(hasSlash ? parsed : new Uri(parsed.AbsoluteUri + "/"), socketPath);
        }

        public Endpoint Resolve(string id) => new Endpoint(new Uri(_url, id), SocketPath);

        public bool HasSameOrigin(Endpoint other) =>
            _url.Scheme == other._url.Scheme && Host == other.Host && Port == other.Port && SocketPath == other.SocketPath;

        /// <summary>Where a redirect leads: to http or https, never from https to http, and to no Unix socket but this one. It is trusted:
        /// the place gets the message, and the token in it.</summary>
        public Endpoint Follow(HttpHead head, int redirects)
        {
            string location = head["Location"] ?? "";
            if (redirects == MaxRedirects)
                throw new MoshpitException(this + " redirects more than " + MaxRedirects + " times.", status: head.Status);
            if (location.Length == 0 || !Uri.TryCreate(_url, location, out Uri? url) || !IsHttp(url))
                throw new MoshpitException(this + " redirects to nowhere: its Location is no URL.", status: head.Status);
            if (IsSecure && url.Scheme == "http")
                throw new MoshpitException(this + " redirects from https to http, which is not followed.", status: head.Status);
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

        /// <summary>For messages and logs: without the query, and with ids cut short.</summary>
        public override string ToString() =>
            (SocketPath is null ? _url.GetLeftPart(UriPartial.Authority) : "http://unix:" + SocketPath + ":") +
            Text.Short(_url.AbsolutePath);
    }

    /// <summary>A connection to a server, with a reader for its responses. Disposing it is how every wait on it is stopped.</summary>
    internal sealed class Connection : IDisposable
    {
        // RFC 8305, 5: when the next address is tried beside the last one.
        private static readonly TimeSpan NextAddressAfter = TimeSpan.FromMilliseconds(250);

        private readonly Socket? _socket; // null if the stream came from the ConnectCallback
        private readonly Stream _transport;
        private readonly Stream _stream;

        private Connection(Endpoint endpoint, Socket? socket, Stream transport, Stream stream, string headerLines)
        {
            Endpoint = endpoint;
            HeaderLines = headerLines;
            _socket = socket;
            _transport = transport;
            _stream = stream;
            Reader = new HttpReader(stream);
        }

        public Endpoint Endpoint { get; }

        /// <summary>The user's headers for requests on this connection.</summary>
        public string HeaderLines { get; }

        public HttpReader Reader { get; }

        /// <summary>An answer on this connection was final: requests may follow each other without waiting.</summary>
        public bool IsProven { get; private set; }

        /// <summary>The server did not take its credentials. The next connection asks for new ones.</summary>
        public bool IsSpent { get; private set; }

        /// <summary>How long the connection may be idle and used again. Many servers close after 5 seconds without saying so (Node does). A
        /// message that meets the close has an unknown outcome, so there is a margin.</summary>
        public TimeSpan KeepFor { get; private set; } = TimeSpan.FromSeconds(4);

        /// <summary>
        /// Nothing to read, so not closed by the server either, as far as this machine knows. Asked before the first byte of a request is
        /// written, it tells for certain when that request can go to another connection instead. A close that is under way just now
        /// is not seen, and will be an unknown outcome. A new connection may have something to read: session tickets of TLS, or a
        /// refusal of a server that has too many connections, which is then read as the answer.
        /// </summary>
        public bool IsQuiet
        {
            get
            {
                try
                {
                    return _socket is null || !_socket.Poll(0, SelectMode.SelectRead) || (!IsProven && _socket.Available > 0);
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
                options.Tell("Connecting to " + endpoint + ".");
                Connection connection = await step.Stoppable(OpenAsync(endpoint, options, step));
                options.Tell("Connected to " + endpoint + ".");
                return connection;
            }
            catch (Exception e)
            {
                throw step.Explain(e, "Can't connect to " + endpoint);
            }
        }

        /// <summary>Connects to one of the addresses. The next one is tried when an attempt fails, or beside one that takes long.</summary>
        /// <param name="addresses">In the order in which the resolver gave them.</param>
        /// <param name="connect">Connects to one address; it must heed the token.</param>
        /// <param name="cancellationToken">Stops all attempts.</param>
        public static async Task<Socket> ConnectToFirstAsync(
            IReadOnlyList<IPAddress> addresses, Func<IPAddress, CancellationToken, Task<Socket>> connect,
            CancellationToken cancellationToken)
        {
            var untried = new Queue<IPAddress>(Interleave(addresses));
            var attempts = new List<Task<Socket>>();
            Exception failure = new SocketException((int)SocketError.HostNotFound);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            try
            {
                while (untried.Count > 0 || attempts.Count > 0)
                {
                    if (untried.TryDequeue(out IPAddress? address))
                        attempts.Add(connect(address, stop.Token));
                    var events = new List<Task>(attempts);
                    if (untried.Count > 0)
                        events.Add(Task.Delay(NextAddressAfter, stop.Token));
                    if (!(await Task.WhenAny(events) is Task<Socket> ended))
                        continue;
                    attempts.Remove(ended);
                    if (ended.Status == TaskStatus.RanToCompletion)
                        return await ended;
                    failure = ended.Exception?.InnerException ?? new OperationCanceledException(cancellationToken);
                    if (cancellationToken.IsCancellationRequested)
                        break;
                }

                throw failure;
            }
            finally
            {
                stop.Cancel();
                foreach (Task<Socket> loser in attempts)
                    _ = loser.ContinueWith(t => t.Exception is null && !t.IsCanceled ? t.Result : null, TaskScheduler.Default)
                        .ContinueWith(t => t.Result?.Dispose(), TaskScheduler.Default);
            }
        }

        public async Task SendAsync(ReadOnlyMemory<byte> bytes)
        {
            await _stream.WriteAsync(bytes);
            await _stream.FlushAsync();
        }

        /// <summary>Takes note of what an answer says about the connection.</summary>
        public void Learn(HttpHead answer)
        {
            IsProven = !answer.IsRedirect && !answer.IsRefusalForNow;
            IsSpent = answer.Status == 401;
            if (answer.KeepAliveTimeout is { } timeout)
                KeepFor = timeout - TimeSpan.FromSeconds(Math.Min(timeout.TotalSeconds, Math.Max(1, timeout.TotalSeconds / 10)));
        }

        /// <summary>Runs something on this connection that has a time limit. If that is over, or on cancellation, the connection is
        /// disposed, which ends the wait on every platform; not all of them heed a token in the middle of a read.</summary>
        public async Task<T> BoundedAsync<T>(TimeSpan limit, CancellationToken cancellationToken, Func<Task<T>> action)
        {
            using var step = new Step(Step.LateAnswer, limit, cancellationToken);
            try
            {
                using (step.Token.Register(Dispose))
                    return await action();
            }
            catch (Exception e)
            {
                throw step.Explain(e, "The connection to " + Endpoint + " was lost");
            }
        }

        public void Dispose()
        {
            _socket?.Dispose(); // first, so that nothing waits for a last word through it
            _transport.Dispose();
            _stream.Dispose();
        }

        private static async Task<Connection> OpenAsync(Endpoint endpoint, MoshpitClientOptions options, Step step)
        {
            string headerLines = await options.HeaderLinesForAsync(endpoint, step.Token);
            Socket? socket = null;
            Stream? transport = null;
            Stream? stream = null;
            try
            {
                if (options.ConnectCallback != null && endpoint.SocketPath is null)
                    transport = await options.ConnectCallback(new DnsEndPoint(endpoint.Host, endpoint.Port), step.Token);
                else
                    transport = new NetworkStream(socket = await ConnectAsync(endpoint, step), ownsSocket: true);
                stream = transport;
                if (endpoint.IsSecure)
                {
                    var secure = new SslStream(transport);
                    stream = secure;
                    var tls = new SslClientAuthenticationOptions
                    {
                        TargetHost = endpoint.Host,
                        RemoteCertificateValidationCallback = options.CertificateValidation,
                    };
                    options.ConfigureTls?.Invoke(tls);
                    using (step.Token.Register(transport.Dispose))
                        await secure.AuthenticateAsClientAsync(tls, CancellationToken.None);
                }

                step.Token.ThrowIfCancellationRequested(); // stopped in the last moment: nothing was sent
                return new Connection(endpoint, socket, transport, stream, headerLines);
            }
            catch
            {
                transport?.Dispose();
                stream?.Dispose();
                throw;
            }
        }

        private static async Task<Socket> ConnectAsync(Endpoint endpoint, Step step)
        {
            if (endpoint.SocketPath != null)
                return await ConnectAsync(new UnixDomainSocketEndPoint(endpoint.SocketPath), ProtocolType.Unspecified, step.Token);
            IPAddress[] addresses = IPAddress.TryParse(endpoint.Host, out IPAddress? literal)
                ? new[] { literal }
                : await Dns.GetHostAddressesAsync(endpoint.Host);
            return await ConnectToFirstAsync(
                addresses, (address, token) => ConnectAsync(new IPEndPoint(address, endpoint.Port), ProtocolType.Tcp, token), step.Token);
        }

        private static async Task<Socket> ConnectAsync(EndPoint address, ProtocolType protocol, CancellationToken cancellationToken)
        {
            var socket = new Socket(address.AddressFamily, SocketType.Stream, protocol);
            try
            {
                if (protocol == ProtocolType.Tcp)
                    socket.NoDelay = true;
                using (cancellationToken.Register(socket.Dispose))
                    await socket.ConnectAsync(address);
                cancellationToken.ThrowIfCancellationRequested();
                return socket;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }

        /// <summary>The families of addresses by turns, the first address's first (RFC 8305, 4).</summary>
        private static IEnumerable<IPAddress> Interleave(IEnumerable<IPAddress> addresses) => addresses
            .GroupBy(address => address.AddressFamily)
            .SelectMany((family, place) => family.Select((address, turn) => (address, turn, place)))
            .OrderBy(a => a.turn).ThenBy(a => a.place).Select(a => a.address);
    }

    /// <summary>A task that is completed by hand. What waits for it never runs inside the call that completes it.</summary>
    internal sealed class Promise<T> : TaskCompletionSource<T>
    {
        public Promise()
            : base(TaskCreationOptions.RunContinuationsAsynchronously)
        {
        }
    }

    /// <summary>A step with a time limit that may be cancelled from outside; it knows afterwards which of the two stopped it.</summary>
    internal sealed class Step : IDisposable
    {
        public const string LateAnswer = "The server did not answer within";

        private readonly string _late;
        private readonly CancellationToken _outside;
        private readonly CancellationTokenSource _source;

        public Step(string late, TimeSpan limit, CancellationToken outside)
        {
            _late = late;
            Limit = limit;
            _outside = outside;
            _source = CancellationTokenSource.CreateLinkedTokenSource(outside);
            _source.CancelAfter(limit);
        }

        public CancellationToken Token => _source.Token;

        /// <summary>How long it may take, from the next Restart on.</summary>
        public TimeSpan Limit { get; set; }

        /// <summary>The time begins anew.</summary>
        public void Restart() => _source.CancelAfter(Limit);

        /// <summary>No time limit until the next Restart.</summary>
        public void Pause() => _source.CancelAfter(Timeout.InfiniteTimeSpan);

        /// <summary>The outcome of a task, or at once an exception when the step is stopped: for what can't be, a name lookup and the
        /// checks of a certificate. The task closes its socket by itself.</summary>
        public async Task<T> Stoppable<T>(Task<T> task)
        {
            var stopped = new Promise<T>();
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
        public static void Observe(Task task) => task.ContinueWith(
            t => t.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

        /// <summary>What to throw for an exception that came out of the step.</summary>
        public Exception Explain(Exception e, string lost)
        {
            if (_outside.IsCancellationRequested)
                return new OperationCanceledException(_outside);
            if (_source.IsCancellationRequested)
                return new MoshpitException(_late + " " + Limit + ".", e, isTransient: true);
            bool isTransient = e is IOException || e is SocketException || e is ObjectDisposedException;
            return e is MoshpitException ? e : new MoshpitException(lost + ": " + e.Message, e, isTransient: isTransient);
        }

        public void Dispose() => _source.Dispose();
    }

    /// <summary>What may stand in requests, and in messages and logs.</summary>
    internal static class Text
    {
        private const int LongestWord = 20; // an id has 32 letters and digits, a token too
        private const int LongestText = 200;

        /// <summary>What a channel's id and a session consist of: ASCII letters, digits, '-' and '_'.</summary>
        public static bool IsName(string text)
        {
            foreach (char c in text)
                if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
                    return false;
            return text.Length > 0;
        }

        /// <summary>What can stand behind a header's name.</summary>
        public static bool IsFieldValue(string text)
        {
            foreach (char c in text)
                if ((c < ' ' && c != '\t') || c > '~')
                    return false;
            return true;
        }

        /// <summary>A space for each control character.</summary>
        public static string OneLine(string text)
        {
            char[] line = text.ToCharArray();
            for (int i = 0; i < line.Length; i++)
                line[i] = char.IsControl(line[i]) || line[i] == '\u2028' || line[i] == '\u2029' ? ' ' : line[i];
            return new string(line);
        }

        /// <summary>The beginning, and of what may be an id or a token the first eight characters.</summary>
        public static string Short(string? text)
        {
            var result = new StringBuilder();
            string rest = text ?? "";
            for (int start = 0, end; start < rest.Length && result.Length < LongestText; start = end)
            {
                for (end = start + 1; end < rest.Length && IsOfWord(rest[start]) && IsOfWord(rest[end]);)
                    end++;
                result.Append(rest, start, end - start > LongestWord ? 8 : end - start).Append(end - start > LongestWord ? "..." : "");
            }

            return result.Length <= LongestText ? result.ToString() : result.ToString(0, LongestText) + "...";
        }

        private static bool IsOfWord(char c) => char.IsLetterOrDigit(c) || c == '-' || c == '_';
    }

    // ---- 7. JSON ----------------------------------------------------------------------------------------------------

    /// <summary>
    /// As much of RFC 8259 as is needed without a package: one pass over the text that accepts exactly the grammar. What is written goes
    /// into the request as it is, so it must be one value and nothing after it: <c>1,"token":"x"</c> would add a field.
    /// Each Skip method takes the position where its thing starts and returns the one right after it.
    /// </summary>
    internal static class Json
    {
        // A bound of the recursion. A Moshpit server takes 64, the request's own object included, and puts what it took into its own.
        private const int MaxWrittenDepth = 63;
        private const int MaxReadDepth = 128;

        private static readonly string[] Words = { "true", "false", "null" };

        /// <summary>Checks that the text is one value. The member <c>_cid</c> of an object is taken out and is the addressee.</summary>
        /// <exception cref="ArgumentException">It is not, or <c>_cid</c> can't be an addressee.</exception>
        public static string TakeOutCid(string json, out string? cid)
        {
            cid = null;
            List<Member> members = Check(json, nameof(json), " For plain text there is WriteText.");
            if (!members.Exists(m => m.Name == "_cid"))
                return json;
            foreach (Member member in members.FindAll(m => m.Name == "_cid"))
            {
                if (json[member.ValueStart] == '"')
                    cid = Unquote(json, member.ValueStart, member.End); // the last one counts, as everywhere with a repeated member
                else if (json[member.ValueStart] == 'n')
                    cid = null;
                else
                    throw new ArgumentException("The _cid is not a string.", nameof(json));
            }

            cid = string.IsNullOrEmpty(cid) ? null : cid;
            return WithoutCid(json, members);
        }

        /// <summary>Checks that a text to be sent is one value; with the members that it has.</summary>
        /// <exception cref="ArgumentException">It is not.</exception>
        public static List<Member> Check(string json, string name, string advice = "")
        {
            try
            {
                _ = new UTF8Encoding(false, true).GetByteCount(json); // half a surrogate pair can't be sent
                return ReadMembers(json, MaxWrittenDepth);
            }
            catch (Exception e) when (e is FormatException || e is EncoderFallbackException)
            {
                throw new ArgumentException("Not one JSON value: " + e.Message + advice, name, e);
            }
        }

        /// <summary>The text, without the members <c>_cid</c> if it is an object.</summary>
        public static string WithoutCid(string json)
        {
            if (!json.Contains("_cid", StringComparison.Ordinal) && !json.Contains('\\', StringComparison.Ordinal))
                return json; // nor spelled with escapes
            List<Member>? members = TryReadMembers(json);
            return members != null && members.Exists(m => m.Name == "_cid") ? WithoutCid(json, members) : json;
        }

        /// <summary>The members of these names of an object, as they are written; null for each that it has not; for all if it is no
        /// object.</summary>
        public static string?[] Members(string json, params string[] names)
        {
            List<Member>? members = TryReadMembers(json);
            return Array.ConvertAll(names, name =>
                members?.FindLast(m => m.Name == name) is { } m ? json.Substring(m.ValueStart, m.End - m.ValueStart) : null);
        }

        /// <summary>The values of an object's members, as they are written; none if it is no object.</summary>
        public static IEnumerable<string> Values(string json, char opening = '{') =>
            TryReadMembers(json, opening)?.Select(m => json.Substring(m.ValueStart, m.End - m.ValueStart)) ?? Array.Empty<string>();

        /// <summary>The elements of an array, as they are written; none if it is no array.</summary>
        public static IEnumerable<string> Elements(string json) => Values(json, '[');

        /// <summary>What a value that is a string stands for; null if it is none.</summary>
        public static string? AsString(string? value)
        {
            try
            {
                return !string.IsNullOrEmpty(value) && value[0] == '"' && SkipString(value, 0) == value.Length
                    ? Unquote(value, 0, value.Length)
                    : null;
            }
            catch (FormatException)
            {
                return null;
            }
        }

        /// <summary>A value that is a whole number, not negative and of at most 18 digits; null if it is none.</summary>
        public static long? AsNumber(string? value) => value?.Length < 19 &&
            long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : (long?)null;

        /// <summary>As AsNumber; null also if it is larger than an int: cut off, it would be another peer's number.</summary>
        public static int? AsInt(string? value) => AsNumber(value) is { } number && number <= int.MaxValue ? (int?)number : null;

        public static string Quote(string text)
        {
            var quoted = new StringBuilder("\"");
            foreach (char c in text)
            {
                if (c == '"' || c == '\\')
                    quoted.Append('\\').Append(c);
                else if (c < ' ')
                    quoted.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                else
                    quoted.Append(c);
            }

            return quoted.Append('"').ToString();
        }

        private static string WithoutCid(string json, List<Member> members)
        {
            var rest = new StringBuilder("{");
            foreach (Member member in members)
                if (member.Name != "_cid")
                    rest.Append(rest.Length > 1 ? "," : "").Append(json, member.Start, member.End - member.Start);
            return rest.Append('}').ToString();
        }

        /// <summary>As ReadMembers, but null if it is not one JSON value.</summary>
        private static List<Member>? TryReadMembers(string json, char opening = '{')
        {
            try
            {
                return ReadMembers(json, MaxReadDepth, opening);
            }
            catch (FormatException)
            {
                return null;
            }
        }

        /// <summary>The members of the object that the text is, or the elements, without names, of the array; none if it does not begin
        /// so.</summary>
        /// <exception cref="FormatException">It is not one JSON value, or is nested deeper.</exception>
        private static List<Member> ReadMembers(string s, int maxDepth, char opening = '{')
        {
            var members = new List<Member>();
            int start = SkipSpace(s, 0);
            int end = SkipSpace(s, SkipValue(s, start, maxDepth, CharAt(s, start) == opening ? members : null));
            return end == s.Length ? members : throw Unexpected(s, end);
        }

        private static int SkipValue(string s, int at, int levels, List<Member>? members = null)
        {
            char first = CharAt(s, at);
            if (first == '{' || first == '[')
                return SkipContainer(s, at, levels - 1, members);
            if (first == '"')
                return SkipString(s, at);
            foreach (string word in Words)
                if (string.CompareOrdinal(s, at, word, 0, word.Length) == 0)
                    return at + word.Length;
            return SkipNumber(s, at);
        }

        private static int SkipContainer(string s, int at, int levels, List<Member>? members)
        {
            if (levels < 0)
                throw new FormatException("It is nested too deep: more than " + MaxWrittenDepth + " levels can't be sent.");
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
                at = SkipValue(s, at, levels);
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
                else if (!"\"\\/bfnrt".Contains(s[at], StringComparison.Ordinal))
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
                    text.Append("\"\\/\b\f\n\r\t"["\"\\/bfnrt".IndexOf(s[at], StringComparison.Ordinal)]);
                }
            }

            return text.ToString();
        }

        private static char CharAt(string s, int at) => at < s.Length ? s[at] : throw Unexpected(s, at);

        private static bool IsAt(string s, int at, char one, char other) => at < s.Length && (s[at] == one || s[at] == other);

        private static FormatException Unexpected(string s, int at) =>
            new FormatException(at < s.Length ? "There is something unexpected at position " + at + "." : "It ends too early.");

        /// <summary>A member of an object, from its name's quote at Start to End.</summary>
        internal sealed class Member
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
