using Moshpit.Server.Channels;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;

namespace Moshpit.Server.Api;

/// <summary>The refusals of what is asked for, not of how it is written.</summary>
internal static class ApiRejections
{
    // What is asked for.
    public static readonly Rejection MethodNotAllowed = new(
        405, "method-not-allowed", "This method is not allowed here; use GET or HEAD, POST or OPTIONS.");

    public static readonly Rejection UnknownTarget = new(
        404, "unknown-target", "There is nothing here; GET / creates a channel, and /id is the path of one.");

    public static readonly Rejection UnknownChannel = new(
        404, "unknown-channel", "There is no such channel; it may have ended with its owner. Create one by GET /.");

    public static readonly Rejection UnknownChannelYet = new(
        404, "unknown-channel-yet",
        "There is no such channel yet; the server has just started, and it may come back. Try again in a few seconds.", isTemporary: true);

    public static readonly Rejection MalformedSession = new(
        400, "malformed-session",
        "The session is malformed; it must be a secret of 22 to 64 letters, digits, - and _, at least 8 of them different.");

    public static readonly Rejection RepeatedSession = new(
        400, "repeated-session", "The query names session more than once; name it once.");

    public static readonly Rejection OtherOrigin = new(
        403, "other-origin", "The session was opened from another origin; come back from a page of the same origin, or use a new session.");

    public static readonly Rejection TooManyOpens = new(
        429, "too-many-opens", "This session opened too many streams within a few seconds; wait before it opens another.",
        retryAfter: 10);

    public static readonly Rejection RepeatedParameter = new(
        400, "repeated-parameter",
        "The query names a parameter more than once; name create, presence, meta, max, publish and keep once each.");

    public static readonly Rejection MalformedCreate = new(
        400, "malformed-create", "The parameter create is malformed; it must be 1, or be left out to join a channel that is there.");

    public static readonly Rejection MalformedPresence = new(
        400, "malformed-presence", "The parameter presence is malformed; it must be all, or be left out.");

    public static readonly Rejection MalformedMeta = new(
        400, "malformed-meta", "The parameter meta is malformed; it must be one JSON value of at most 512 bytes, percent-encoded.");

    public static readonly Rejection MalformedSettings = new(
        400, "malformed-settings",
        "The settings of the new channel are malformed; max must be a whole number, publish owner or all, and keep 0 or 1.");

    public static readonly Rejection Locked = new(
        403, "locked", "The owner of this channel has locked it; peers that are in it may come back, others may not join.");

    public static readonly Rejection RoomFull = new(
        503, "room-full", "The channel has as many peers as its owner allows.", isTemporary: false);

    public static readonly Rejection NotAcceptable = new(
        406, "not-acceptable", "Accept does not allow an event stream; it must allow text/event-stream.");

    // What is posted, in the order in which it is checked.
    public static readonly Rejection UnsupportedMediaType = new(
        415, "unsupported-media-type", "This Content-Type is not understood; use application/json or application/x-www-form-urlencoded.");

    public static readonly Rejection UnsupportedContentEncoding = new(
        415, "unsupported-content-encoding", "This Content-Encoding is not understood; send the body as it is, without compression.");

    public static readonly Rejection MalformedJson = new(
        400, "malformed-json", "The body is no valid JSON; it must be one object with the fields token and data.");

    public static readonly Rejection MissingToken = new(
        401, "missing-token", "The field token is missing; send the token from your connect event in it.");

    public static readonly Rejection InvalidToken = new(
        401, "invalid-token", "The token belongs to no peer that is now in this channel; send the token from your own connect event.");

    public static readonly Rejection MissingData = new(
        400, "missing-data", "The field data is missing; send the value to deliver in it.");

    public static readonly Rejection MalformedNumber = new(
        400, "malformed-seq", "The field seq is malformed; it must be a whole number from 1 to 9007199254740991.");

    public static readonly Rejection NumberTooOld = new(
        409, "seq-too-old",
        "The seq is more than 63 below the highest that was accepted, so nothing is known of it; send the message with a new one.");

    public static readonly Rejection MalformedEcho = new(
        400, "malformed-echo", "The field echo is malformed; it must be false for a message that you do not want back, or true.");

    public static readonly Rejection TooManyCids = new(
        400, "too-many-cids", $"The cid names more than {Addressees.Most} peers; send the message to them in several parts.");

    public static readonly Rejection UnknownVerb = new(
        400, "unknown-verb",
        "The field do is not understood; the verbs are leave, peers, kick, owner, room and close. To send a message, send data.");

    public static readonly Rejection MalformedFrom = new(
        400, "malformed-from", "The field from is malformed; it must be the number of a peer, from which on you want the others.");

    public static readonly Rejection MissingCid = new(
        400, "missing-cid", "The field cid is missing; name the peer that you want to throw out or hand over to.");

    public static readonly Rejection MalformedChange = new(
        400, "malformed-room",
        "The settings of the room are missing or malformed; send locked or keep (true or false), max (a whole number) or publish (owner or "
        + "all).");

    public static readonly Rejection OwnerOnly = new(
        403, "owner-only", "Only the owner of this channel may do that.");

    public static readonly Rejection OwnerPublishes = new(
        403, "owner-publishes", "Only the owner of this channel sends to more than one peer; name one peer in cid.");

    public static readonly Rejection NoHeir = new(
        409, "no-heir", "That peer has no session or no stream just now; hand over to a peer with a session that is here.");

    public static readonly Rejection MalformedLeave = new(
        400, "malformed-leave",
        "The fields of this leave are malformed; stream must be the number of a stream, and after whole seconds, at most the grace.");

    public static readonly Rejection UnknownPeer = new(
        404, "unknown-peer", "The cid is of no peer in this channel; leave it out to reach all peers.");

    // The state of the server.
    public static readonly Rejection ShuttingDown = new(
        503, "shutting-down", "The server is shutting down; try again in a few seconds.", close: true);

    public static readonly Rejection TooManyConnections = new(
        503, "too-many-connections", "The server has as many connections as it takes; try again in a few seconds.", close: true);

    public static readonly Rejection TooManyChannels = new(
        503, "too-many-channels", "The server has as many channels as it takes; try again in a few seconds.");

    public static readonly Rejection ChannelFull = new(
        503, "channel-full", "The channel has as many peers as it takes; try again in a few seconds.");

    // What one client address may do.
    public static readonly Rejection TooManyConnectionsFromAddress = new(
        429, "too-many-connections-from-address", "Your address has too many connections open; close some of them first.", close: true);

    public static readonly Rejection TooManyRequests = new(
        429, "too-many-requests", "There were too many requests from your address within a second; send fewer.",
        retryAfter: 1);

    public static readonly Rejection SenderTooFast = new(
        429, "sender-too-fast", "This peer sends more bytes a second than a peer may; wait for some seconds, then send again.",
        retryAfter: 2);

    public static readonly Rejection ReceiverBehind = new(
        429, "receiver-behind",
        "A peer that must get this message reads more slowly than you send; wait for some seconds, then send again.");

    public static readonly Rejection OwnerBehind = new(
        503, "owner-behind", "The owner of this channel reads too slowly to hear of one more join; try again in a few seconds.");

    public static readonly Rejection TooManyNewChannels = new(
        429, "too-many-new-channels",
        "Your address created too many channels within a minute; create fewer, or join those that are there.");

    public static readonly Rejection TooManyStreams = new(
        429, "too-many-streams", "Your address has too many streams open; close some of them first.");

    /// <summary>Why a connection that is one too many is refused.</summary>
    public static Rejection Of(Excess excess) => excess == Excess.Connections ? TooManyConnections : TooManyConnectionsFromAddress;
}
