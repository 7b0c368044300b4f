using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>
/// Tells the watchers of a channel (its owner, if that has a session, and session peers that asked for it) of the other peers, by events in
/// the channel's log. In a crowd they are told a count instead, at most once a second. For the holder of the channel's lock.
/// </summary>
internal sealed class Presence(Channel channel, EventLog log, Members members, FramePool frames)
{
    /// <summary>A channel with more peers is a crowd, until it has fewer than <see cref="LeastOfCrowd"/>.</summary>
    public const int MostTold = 1000;

    public const int LeastOfCrowd = 900;

    /// <summary>Milliseconds from one count to the next.</summary>
    private const long CountPeriod = 1000;

    /// <summary>Bytes of an event that tells of one peer, but for what the peer says about itself.</summary>
    private const int NewsLength = 256;

    private bool _isCrowd;

    /// <summary>Watchers have not been told of a change.</summary>
    private bool _isCountDue;

    /// <summary>Watchers must be told anew which peers there are before they can make sense of a single change.</summary>
    private bool _isRosterDue;
    private long _countedAt = long.MinValue / 2;

    /// <summary>
    /// Tells that <paramref name="peer"/> joins, by the next event. False: that is not told by an event of its own. If it fails, the peer
    /// has not joined.
    /// </summary>
    public bool TryTellJoin(Peer peer)
    {
        if (IsUntold())
            return false;
        byte[]? meta = peer.Session?.Meta;
        SharedFrame news = frames.Rent(NewsLength + (meta?.Length ?? 0));
        try
        {
            EventWriter.BeginNews(news, "join"u8, channel.Id);
            EventWriter.WriteCid(news, ",\"cid\":"u8, peer.Cid);
            EventWriter.WriteMember(news, ",\"n\":"u8, peer.Number);
            if (meta is not null)
            {
                news.Append(",\"meta\":"u8);
                news.Append(meta);
            }

            Append(news);
            return true;
        }
        finally
        {
            news.Release();
        }
    }

    /// <summary>Tells that <paramref name="peer"/> has left.</summary>
    public void TellLeave(Peer peer, LeaveReason reason) => Tell(peer, "leave"u8, reason);

    /// <summary>Tells that <paramref name="peer"/> has no stream now.</summary>
    public void TellAway(Peer peer) => Tell(peer, "away"u8, null);

    /// <summary>Tells that <paramref name="peer"/> has a stream again.</summary>
    public void TellBack(Peer peer) => Tell(peer, "back"u8, null);

    /// <summary>Tells the count, if that is due at <paramref name="now"/>. False: it is due, but not yet.</summary>
    public bool TryTellCount(long now)
    {
        if (!_isCountDue)
            return true;
        if (now - _countedAt < CountPeriod)
            return false;
        _countedAt = now;
        try
        {
            AppendCount(hasRoster: !_isCrowd);
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }

    /// <summary>What peers there are is told by a count now, not by single events.</summary>
    private bool IsUntold()
    {
        bool wasCrowd = _isCrowd;
        _isCrowd = wasCrowd ? members.Count >= LeastOfCrowd : members.Count > MostTold;
        if (_isCrowd)
        {
            _isCountDue = _isRosterDue = true;
            channel.OnCountDue();
        }
        else if (_isRosterDue)
        {
            AppendCount(hasRoster: true);
        }

        return _isCrowd;
    }

    private void Tell(Peer peer, ReadOnlySpan<byte> name, LeaveReason? reason)
    {
        SharedFrame? news = null;
        try
        {
            if (IsUntold())
                return;
            news = frames.Rent(NewsLength);
            EventWriter.BeginNews(news, name, channel.Id);
            EventWriter.WriteCid(news, ",\"cid\":"u8, peer.Cid);
            if (reason is { } why)
            {
                EventWriter.WriteMember(news, ",\"n\":"u8, peer.Number);
                news.Append(ReasonOf(why));
            }

            Append(news);
        }
        catch (OutOfMemoryException)
        {
            // As after a crowd: they are told as soon as that is possible, and of all peers before they are told of one.
            _isCountDue = _isRosterDue = true;
            channel.OnCountDue();
        }
        finally
        {
            news?.Release();
        }
    }

    /// <summary>The member that says why a peer has left.</summary>
    public static ReadOnlySpan<byte> ReasonOf(LeaveReason reason) => reason switch
    {
        LeaveReason.Left => ",\"reason\":\"left\""u8,
        LeaveReason.Kicked => ",\"reason\":\"kicked\""u8,
        _ => ",\"reason\":\"lost\""u8,
    };

    private void AppendCount(bool hasRoster)
    {
        SharedFrame news = frames.Rent(NewsLength + (hasRoster ? Roster.LengthBound(members, from: 1) : 0));
        try
        {
            EventWriter.BeginNews(news, "count"u8, channel.Id);
            EventWriter.WriteMember(news, ",\"count\":"u8, members.Count);
            if (hasRoster)
                Roster.Write(news, members, from: 1);
            Append(news);
            _isCountDue = false;
            _isRosterDue &= !hasRoster;
        }
        finally
        {
            news.Release();
        }
    }

    private void Append(SharedFrame news)
    {
        EventWriter.EndNews(news, log.Sequence + 1);
        log.Append(news, log.Sequence + 1, [Audience.Watchers]);
    }
}
