using Moshpit.Server.Buffers;
using Moshpit.Server.Limits;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>
/// One participant of a channel. Its outlet takes what it is to hear; a peer can be without one, or be given another. It has heard the
/// channel's broadcasts up to an offset in the channel's log.
/// </summary>
internal sealed class Peer : ISlotted, ISinkOwner
{
    /// <summary>
    /// Guards the fields that follow, and the order of what the outlet is given. Taken before a channel's and a sink's lock.
    /// </summary>
    private readonly object _gate = new();
    private FrameSink? _outlet;

    /// <summary>The shard that delivers to it, as long as it is in the channel.</summary>
    private Shard? _shard;
    private long _offset;

    private SendRate? _rate;

    public Peer(Channel channel, PeerId cid, Token token, AddressUsage? usage = null)
    {
        Usage = usage;
        Channel = channel;
        Cid = cid;
        Token = token;
    }

    public Channel Channel { get; }

    /// <summary>Its public name within the channel.</summary>
    public PeerId Cid { get; }

    /// <summary>Its secret.</summary>
    public Token Token { get; }

    /// <summary>Its place in the order of joining, from 1 on; 0 before it has joined.</summary>
    public int Number { get; internal set; }

    /// <summary>Where its stream counts, held until that ends; null for a client that is not limited.</summary>
    public AddressUsage? Usage { get; }

    /// <summary>How fast it may send, where it is limited: made when it first sends.</summary>
    public SendRate Rate => _rate ?? Interlocked.CompareExchange(ref _rate, new SendRate(), null) ?? _rate;

    /// <summary>Its slot in its shard.</summary>
    public int Slot { get; set; }

    /// <summary>Something waits for it to read.</summary>
    public bool IsBehind => Volatile.Read(ref _outlet) is { IsBehind: true };

    /// <summary>What it is sent may still arrive.</summary>
    public bool IsListening => Volatile.Read(ref _outlet) is { HasEnded: false };

    /// <inheritdoc cref="FrameSink.WhenRoom"/>
    public Task? WhenRoom() => Volatile.Read(ref _outlet)?.WhenRoom();

    /// <summary>
    /// Joins its channel with <paramref name="outlet"/>, which gets <paramref name="opening"/> before anything else. The first peer of a
    /// channel is its owner; the owner hears of each later one before anything that this does next.
    /// </summary>
    public JoinOutcome Join(FrameSink outlet, SharedFrame opening)
    {
        // Encoded first: if there is no memory for it, nothing has happened yet.
        SharedFrame? news = Channel.EncodeJoin(this);
        try
        {
            lock (_gate)
            {
                JoinOutcome outcome = Channel.TryEnter(this, outlet.IsChunked, out _shard, out _offset);
                if (outcome != JoinOutcome.Joined)
                    return outcome;
                if (news is not null)
                    Channel.TellOwner(news);
                Volatile.Write(ref _outlet, outlet);
                outlet.Write(opening, 0..opening.Length);
                return JoinOutcome.Joined;
            }
        }
        finally
        {
            news?.Release();
        }
    }

    /// <summary>
    /// Has <paramref name="outlet"/> take over: it gets <paramref name="opening"/>, and then everything that follows the event with the
    /// number
    /// <paramref name="sequence"/>. What the present outlet was given goes no further than it has come; it is the caller's to end.
    /// </summary>
    /// <param name="outlet">The new outlet.</param>
    /// <param name="opening">Stays the caller's.</param>
    /// <param name="sequence">The last event that need not be delivered again.</param>
    /// <param name="replaced">The present outlet; null where there was none.</param>
    /// <returns>False: the peer has left, or something after that event is not in the log any more. Nothing has happened.</returns>
    public bool TryReplaceOutlet(FrameSink outlet, SharedFrame opening, long sequence, out FrameSink? replaced)
    {
        lock (_gate)
        {
            replaced = _outlet;
            if (_shard is null || !Channel.TrySetBack(this, outlet.IsChunked, sequence, ref _shard, out long offset))
                return false;
            _offset = offset;
            Volatile.Write(ref _outlet, outlet);
            outlet.Write(opening, 0..opening.Length);
        }

        Channel.Drain();
        return true;
    }

    /// <summary>
    /// Sends it <paramref name="frame"/>, after everything that was published so far; the caller keeps its reference. False: it has left.
    /// </summary>
    public bool TrySend(SharedFrame frame)
    {
        lock (_gate)
        {
            if (_shard is null || _outlet is not { HasEnded: false } outlet)
                return false;
            if (Channel.TakeNumber(ref _offset, frame, outlet.IsChunked) is { } missed)
                WriteOnce(outlet, missed);
            else
                outlet.Write(frame, outlet.IsChunked ? 0..frame.Length : ChunkFraming.EventIn(frame.Span));
            return true;
        }
    }

    /// <inheritdoc/>
    public void End(DisconnectReason reason)
    {
        lock (_gate)
        {
            if (_shard is null || _outlet is not { HasEnded: false } outlet)
                return;
            if (Channel.CopyMissed(ref _offset, outlet.IsChunked) is { } missed)
                WriteOnce(outlet, missed);
            outlet.Complete(reason);
        }
    }

    /// <summary>Ends its outlet at once.</summary>
    public void Cut(DisconnectReason reason) => Volatile.Read(ref _outlet)?.Abort(reason);

    /// <summary>The end of its outlet is its leave.</summary>
    public void OnEnded(FrameSink sink, SinkEnd end)
    {
        Channel.OnOutletEnded(this, end);
        lock (_gate)
        {
            if (sink != _outlet)
                return;
            Volatile.Write(ref _outlet, null);
        }

        Channel.Leave(this);
    }

    /// <summary>Delivers what it has not had, as far as the drain goes that <paramref name="shard"/> is at.</summary>
    internal void Deliver(Shard shard)
    {
        lock (_gate)
        {
            if (_shard != shard || _outlet is not { HasEnded: false } outlet || !shard.Reaches(_offset))
                return;
            long to = shard.EndFor(_offset);
            if (to > _offset)
            {
                SharedFrame frame = shard.Read(_offset, to, out Range bytes);
                _offset = to;
                outlet.Write(frame, bytes);
            }

            if (shard.Ending != DisconnectReason.None)
                outlet.Complete(shard.Ending);
        }
    }

    /// <summary>Neither broadcasts nor direct messages reach it from now on.</summary>
    internal void LeaveShard()
    {
        Shard? shard;
        lock (_gate)
        {
            shard = _shard;
            _shard = null;
        }

        shard?.Remove(this);
    }

    private static void WriteOnce(FrameSink outlet, SharedFrame frame)
    {
        outlet.Write(frame, 0..frame.Length);
        frame.Release();
    }
}
