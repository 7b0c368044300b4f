using Moshpit.Server.Buffers;
using Moshpit.Server.Limits;

namespace Moshpit.Server.Channels;

/// <summary>What a session peer has beyond a plain one. The lock of its peer guards it, unless a member says otherwise.</summary>
/// <param name="key">By which the channel finds it.</param>
/// <param name="creatorKey">By which it finds the channel that it created; null if it created none.</param>
/// <param name="origin">The hash of the Origin that it was opened from.</param>
/// <param name="hearsAll">It asked to hear of all other peers.</param>
/// <param name="meta">What it says about itself, as JSON; null: nothing.</param>
internal sealed class Session(SessionKey key, SessionKey? creatorKey, HexId origin, bool hearsAll = false, byte[]? meta = null)
{
    /// <summary>Streams that a session may open within <see cref="OpensPeriod"/> milliseconds.</summary>
    private const int MostOpens = 10;

    private const long OpensPeriod = 10_000;

    /// <summary>Which numbers of its own were accepted. The channel's lock guards it.</summary>
    public SequenceWindow Numbers;

    private TokenBucket _opens;

    public SessionKey Key { get; } = key;

    public SessionKey? CreatorKey { get; } = creatorKey;

    public HexId Origin { get; } = origin;

    public bool HearsAll { get; } = hearsAll;

    public byte[]? Meta { get; } = meta;

    /// <summary>It has no stream now. The channel's lock guards it.</summary>
    public bool IsAway { get; set; }

    /// <summary>The sequence number of its join.</summary>
    public long Joined { get; set; }

    /// <summary>The number of the newest event to it alone that is not kept any more. The channel's lock guards it.</summary>
    public long DroppedAddressed { get; set; }

    /// <summary>The number of the last event on its stream but for broadcasts, which the channel's log tells.</summary>
    public long LastAddressed { get; set; }

    /// <summary>How many streams it has had, the present one included.</summary>
    public int Streams { get; set; }

    /// <summary>Counts up with all that makes an earlier deadline of its absence void.</summary>
    public int Absence { get; set; }

    /// <summary>When the grace of the present absence is over, in milliseconds since the server's start.</summary>
    public long AwayUntil { get; set; }

    /// <summary>What its present stream counts against, and what it goes on to count against while it is away.</summary>
    public AddressUsage? Usage { get; set; }

    /// <summary>Its first stream begins, with the join that has the number <paramref name="joined"/>.</summary>
    public void Begin(long joined) => (Streams, Joined, LastAddressed) = (1, joined, joined);

    /// <summary>A new stream begins, which has had everything up to the number <paramref name="last"/>.</summary>
    public void Resume(long last)
    {
        Streams++;
        Absence++;
        LastAddressed = last;
    }

    /// <summary>Its stream was given what ends with the event <paramref name="last"/>; 0: with a broadcast.</summary>
    public void OnWritten(long last) => LastAddressed = Math.Max(LastAddressed, last);

    /// <summary>
    /// What is to be done with a message to which its peer gave the number <paramref name="number"/>; 0: it gave none. The lock of the
    /// channel is held.
    /// </summary>
    public DeliveryOutcome Judge(long number) => (number == 0 ? SequenceVerdict.New : Numbers.Judge(number)) switch
    {
        SequenceVerdict.Repeated => DeliveryOutcome.Repeated,
        SequenceVerdict.TooOld => DeliveryOutcome.TooOld,
        _ => DeliveryOutcome.Delivered,
    };

    /// <summary>Counts a stream. False: there were too many within a short time.</summary>
    public bool TryOpen(long now) => _opens.TryTake(now, MostOpens, OpensPeriod);
}

/// <summary>One stream of a session peer. It ends for itself, since another may have taken its place.</summary>
internal sealed class SessionStream(Peer peer, AddressUsage? usage) : ISinkOwner
{
    public void End(DisconnectReason reason) => peer.End(reason);

    public void OnEnded(FrameSink sink, SinkEnd end) => peer.OnEnded(sink, end, usage);
}
