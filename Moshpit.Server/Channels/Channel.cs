using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Channels;

/// <summary>
/// Peers that hear each other. The first is the owner: it is told of joins and leaves, and when it goes, the channel goes.
/// Every peer sees all broadcasts in one order, and one sender's messages, broadcast or direct, in the order of its calls.
/// </summary>
internal sealed class Channel
{
    /// <summary>Up to so many peers are served by the thread that publishes; a hop to another thread would cost more.</summary>
    private const int InlinePeers = 16;

    /// <summary>Enough for a <c>join</c> or <c>leave</c> event.</summary>
    private const int PresenceLength = 128;

    /// <summary>A channel with more peers than this is split over several threads.</summary>
    private const int PeersPerFanOut = 256;

    /// <summary>Tables with room for so many peers are not worth smaller ones.</summary>
    private const int FewPeers = 64;

    private readonly ChannelRegistry _registry;
    private readonly Lock _gate = new();
    private readonly Dictionary<PeerId, Peer> _byCid = [];
    private readonly Dictionary<Token, Peer> _byToken = [];
    private Peer? _owner;
    private FanOut[] _fanOuts = [];
    private bool _closed;
    private volatile TaskCompletionSource? _room;

    internal Channel(ChannelId id, ChannelRegistry registry)
    {
        Id = id;
        _registry = registry;
    }

    public ChannelId Id { get; }

    /// <summary>The first peer; null before it has joined.</summary>
    public Peer? Owner => Volatile.Read(ref _owner);

    /// <summary>Takes no more peers and messages.</summary>
    public bool IsClosed => Volatile.Read(ref _closed);

    /// <summary>Bytes that were published and that some peers have not been given yet.</summary>
    public long PendingBytes
    {
        get
        {
            long most = 0;
            foreach (FanOut fanOut in Volatile.Read(ref _fanOuts))
                most = Math.Max(most, fanOut.PendingBytes);
            return most;
        }
    }

    /// <summary>
    /// Lets <paramref name="peer"/> in; the first one is the owner. <paramref name="opening"/>, with its <c>connect</c> event, is the first thing that it gets; the owner
    /// hears of it before anything that the peer does next.
    /// </summary>
    public JoinOutcome TryJoin(Peer peer, SharedFrame opening)
    {
        // Encoded first: if there is no memory for it, nothing has happened yet. The first peer made the channel, so no other knows its id.
        SharedFrame? news = Owner is null ? null : EncodePresence(peer, joined: true);
        try
        {
            return TryJoin(peer, opening, news);
        }
        finally
        {
            news?.Release();
        }
    }

    private JoinOutcome TryJoin(Peer peer, SharedFrame opening, SharedFrame? news)
    {
        // Holding the sink throughout keeps everything else (a pass, a direct message) behind the opening.
        lock (peer.Sink)
        {
            lock (_gate)
            {
                if (_closed)
                    return JoinOutcome.Closed;
                if (_byCid.Count >= _registry.MaxPeersPerChannel)
                    return JoinOutcome.Full;
                try
                {
                    _byCid.Add(peer.Cid, peer);
                    _byToken.Add(peer.Token, peer);
                    ChooseFanOut(peer.Sink.IsChunked).Add(peer);
                }
                catch
                {
                    // No memory for larger tables: the peer is in none of them.
                    Forget(peer);
                    throw;
                }

                _owner ??= peer;
            }

            if (news is not null)
                TellOwner(news);
            peer.Sink.Write(opening, 0..opening.Length);
        }

        return JoinOutcome.Joined;
    }

    /// <summary>Lets <paramref name="peer"/> go, which joined: its token dies, and the owner is told; with the owner, all go.</summary>
    public void Leave(Peer peer)
    {
        Forget(peer);
        if (peer != _owner)
            TellOwnerOfLeave(peer);
        else if (TryClose())
            EndAll();
    }

    /// <summary>Takes no more peers and messages, and is forgotten. False: it was closed before.</summary>
    public bool TryClose()
    {
        lock (_gate)
        {
            if (_closed)
                return false;
            _closed = true;
        }

        _registry.Remove(this);
        _room?.TrySetResult();
        return true;
    }

    /// <summary>The peer whose secret <paramref name="token"/> is, or null.</summary>
    public Peer? FindByToken(Token token)
    {
        lock (_gate)
            return _byToken.GetValueOrDefault(token);
    }

    /// <summary>The peer named <paramref name="cid"/>, or null.</summary>
    public Peer? FindByCid(PeerId cid)
    {
        lock (_gate)
            return _byCid.GetValueOrDefault(cid);
    }

    /// <summary>
    /// Gives <paramref name="frame"/> its place in the order of what every peer gets; the caller keeps its reference, and calls <see cref="Drain()"/>
    /// when it has published what it has. Completes at once unless too much is pending: then it waits for room. False: the channel closed.
    /// </summary>
    public ValueTask<bool> PublishAsync(SharedFrame frame)
    {
        Task? room = TryPublish(frame, out bool published);
        return room is null ? new(published) : new(PublishWhenRoomAsync(frame, room));
    }

    /// <summary>Sees to it that what was published is on its way. A sender of several messages calls it once after the last, and they go out together.</summary>
    public void Drain() => Drain(inline: true);

    /// <summary>Sends <paramref name="frame"/> to <paramref name="addressee"/> alone; the caller keeps its reference. False: it has left.</summary>
    public static bool TrySend(Peer addressee, SharedFrame frame) => addressee.FanOut?.TrySend(addressee, frame) ?? false;

    /// <summary>Ends the stream of <paramref name="peer"/> after everything that was published so far.</summary>
    public static void End(Peer peer, DisconnectReason reason) => peer.FanOut?.End(peer, reason);

    /// <summary>Called by a fan-out that took something.</summary>
    internal void OnRoom()
    {
        if (_room is null)
            return;
        TaskCompletionSource? room = null;
        lock (_gate)
        {
            if (HasRoom())
                (room, _room) = (_room, null);
        }

        room?.TrySetResult();
    }

    /// <summary>Ends every stream, after what was published.</summary>
    private void EndAll()
    {
        // Closed: no more fan-outs are added.
        foreach (FanOut fanOut in _fanOuts)
            fanOut.EndAll(DisconnectReason.ChannelClosed);
        Drain(inline: false);
    }

    private async Task<bool> PublishWhenRoomAsync(SharedFrame frame, Task room)
    {
        while (true)
        {
            await room.ConfigureAwait(false);
            if (TryPublish(frame, out bool published) is not { } next)
                return published;
            room = next;
        }
    }

    /// <summary>Null: done. Otherwise what to wait for before the next try.</summary>
    private Task? TryPublish(SharedFrame frame, out bool published)
    {
        published = false;
        Task room;
        lock (_gate)
        {
            if (_closed)
                return null;
            if (HasRoom())
            {
                // All fan-outs get it under one lock: that is the one order for all peers.
                foreach (FanOut fanOut in _fanOuts)
                    fanOut.Append(frame);
                published = true;
                return null;
            }

            room = (_room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }

        // Room comes from what is pending going out. It may have gone meanwhile, before this wait could be seen.
        Drain(inline: false);
        OnRoom();
        return room;
    }

    private void Drain(bool inline)
    {
        FanOut[] fanOuts = Volatile.Read(ref _fanOuts);
        if (inline)
        {
            int peers = 0;
            foreach (FanOut fanOut in fanOuts)
                peers += fanOut.Count;
            inline = peers <= InlinePeers;
        }

        foreach (FanOut fanOut in fanOuts)
        {
            if (!fanOut.TryStart())
                continue;
            if (inline)
                fanOut.RunInline();
            else
                fanOut.Schedule();
        }
    }

    private bool HasRoom() => PendingBytes < _registry.PendingLimit;

    /// <summary>Of the fan-outs with or without chunks the one with the fewest peers, or one more when all have enough.</summary>
    private FanOut ChooseFanOut(bool isChunked)
    {
        FanOut? fewest = null;
        int count = 0;
        foreach (FanOut fanOut in _fanOuts)
        {
            if (fanOut.IsChunked != isChunked)
                continue;
            count++;
            if (fewest is null || fanOut.Count < fewest.Count)
                fewest = fanOut;
        }

        if (fewest is not null && (fewest.Count < PeersPerFanOut || count == _registry.MaxFanOuts))
            return fewest;
        var added = new FanOut(this, _registry, isChunked);
        _fanOuts = [.. _fanOuts, added];
        return added;
    }

    private void Forget(Peer peer)
    {
        lock (_gate)
        {
            Remove(_byCid, peer.Cid);
            Remove(_byToken, peer.Token);
        }

        peer.FanOut?.Remove(peer);
    }

    private static void Remove<TKey>(Dictionary<TKey, Peer> peers, TKey key)
        where TKey : struct
    {
        peers.Remove(key);

        // What a crowd needed is given back, in so few steps that they cost no more than its coming did.
        if (peers.Capacity > FewPeers && peers.Count < peers.Capacity / 8)
            peers.TrimExcess(peers.Count * 2);
    }

    private SharedFrame EncodePresence(Peer peer, bool joined)
    {
        SharedFrame frame = _registry.Frames.Rent(PresenceLength);
        if (joined)
            EventWriter.WriteJoin(frame, Id, peer.Cid);
        else
            EventWriter.WriteLeave(frame, Id, peer.Cid);
        return frame;
    }

    private void TellOwnerOfLeave(Peer peer)
    {
        if (_owner!.Sink.HasEnded)
            return;
        try
        {
            SharedFrame news = EncodePresence(peer, joined: false);
            TellOwner(news);
            news.Release();
        }
        catch (OutOfMemoryException e)
        {
            CutOwner(e);
        }
    }

    private void TellOwner(SharedFrame news)
    {
        try
        {
            TrySend(_owner!, news);
        }
        catch (OutOfMemoryException e)
        {
            CutOwner(e);
        }
    }

    /// <summary>An owner that missed a join or a leave would be wrong about its channel from now on.</summary>
    private void CutOwner(OutOfMemoryException e)
    {
        ChannelLog.ServeFailed(_registry.Logger, e);
        lock (_owner!.Sink)
            _owner.Sink.Abort(DisconnectReason.ServerError);
    }
}

/// <summary>How an attempt to join a channel went.</summary>
internal enum JoinOutcome : byte
{
    Joined,

    /// <summary>The channel has just closed.</summary>
    Closed,

    /// <summary>The channel has as many peers as it may have.</summary>
    Full,
}
