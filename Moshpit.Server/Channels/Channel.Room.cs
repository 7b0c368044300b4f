using System.Diagnostics.CodeAnalysis;
using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <content>What a channel is beyond its messages: its owner and the line of succession, its settings, and the list of its peers.</content>
internal sealed partial class Channel
{
    /// <summary>
    /// Makes <paramref name="heir"/>, whose lock is held, the owner. False: <paramref name="from"/> is not the owner, or the heir is not a
    /// member.
    /// </summary>
    /// <param name="heir">A session peer that has a stream.</param>
    /// <param name="from">The owner so far; null: there is none.</param>
    /// <param name="offset">Up to where the heir has had the log; it has had all of it then.</param>
    /// <param name="isChunked">What its outlet is.</param>
    /// <param name="news">What it has missed, and the event that makes it the owner, in a frame of the caller's.</param>
    /// <param name="sequence">The number of that event.</param>
    internal bool TrySetOwner(
        Peer heir, Peer? from, ref long offset, bool isChunked, [NotNullWhen(true)] out SharedFrame? news, out long sequence)
    {
        (news, sequence) = (null, 0);
        lock (_gate)
        {
            if (_closed || _owner != from || heir == from || _sessions?.Find(heir.Session!.Key) != heir)
                return false;
            sequence = _log.Sequence + 1;
            long end = offset;
            SharedFrame own = WriteOwner(heir, from, sequence, hasRoster: true);
            SharedFrame? told = null;
            try
            {
                news = CopyFrom(heir, ref end, own.Length, isChunked, out _) ?? _registry.Frames.Rent(own.Length);
                news.Append(isChunked ? own.Span : own.Span[ChunkFraming.EventIn(own.Span)]);
                told = WriteOwner(heir, from, sequence, hasRoster: false);
                heir.NamedTo = _log.End + told.Length;
                _log.Append(told, sequence, [Audience.SessionsBut(heir.Number)]);
            }
            catch
            {
                news?.Release();
                throw;
            }
            finally
            {
                own.Release();
                told?.Release();
            }

            offset = _log.End;
            Volatile.Write(ref _owner, heir);
            return true;
        }
    }

    /// <summary>Changes the settings as <paramref name="owner"/> wishes, and tells all session peers. False: it is not the owner.</summary>
    internal bool TryChange(Peer owner, RoomChanges changes)
    {
        lock (_gate)
        {
            if (_closed || _owner != owner)
                return false;
            RoomSettings settings = changes.ApplyTo(Settings);
            if (settings == Settings)
                return true;
            if (_sessions is { Count: > 0 })
            {
                SharedFrame news = _registry.Frames.Rent(NewsLength);
                try
                {
                    EventWriter.BeginNews(news, "room"u8, Id);
                    settings.Write(news);
                    EventWriter.EndNews(news, _log.Sequence + 1);
                    _log.Append(news, _log.Sequence + 1, [Audience.SessionsBut(0)]);
                }
                finally
                {
                    news.Release();
                }
            }

            Volatile.Write(ref _settings, settings);
        }

        Drain();
        return true;
    }

    /// <summary>Ends the channel as <paramref name="owner"/> wishes. False: it is not the owner.</summary>
    internal bool TryEnd(Peer owner)
    {
        lock (_gate)
        {
            if (_closed || _owner != owner)
                return false;
            CloseForGood();
        }

        _registry.Remove(this);
        EndAll();
        return true;
    }

    /// <summary>Writes the peers from the number <paramref name="from"/> on to a frame of the caller's, as JSON.</summary>
    internal SharedFrame ListPeers(int from)
    {
        lock (_gate)
        {
            SharedFrame list = _registry.Frames.Rent(NewsLength + Roster.LengthBound(_members, from));
            if (_sessions is not null)
            {
                EventWriter.WriteMember(list, "{\"event\":\""u8, _log.Sequence);
                list.Append(".0\","u8);
            }
            else
            {
                list.Append("{"u8);
            }

            EventWriter.WriteMember(list, "\"count\":"u8, _members.Count);
            Roster.Write(list, _members, from);
            list.Append("}"u8);
            return list;
        }
    }

    private SharedFrame WriteOwner(Peer heir, Peer? from, long sequence, bool hasRoster)
    {
        SharedFrame news = _registry.Frames.Rent(NewsLength + (hasRoster ? Roster.LengthBound(_members, from: 1) : 0));
        EventWriter.BeginNews(news, "owner"u8, Id);
        EventWriter.WriteCid(news, ",\"cid\":"u8, heir.Cid);
        EventWriter.WriteCid(news, ",\"was\":"u8, from?.Cid ?? _vacancy.Was);
        news.Append(from is not null ? ",\"reason\":\"given\""u8 : Presence.ReasonOf(_vacancy.Reason));
        if (hasRoster)
        {
            EventWriter.WriteMember(news, ",\"count\":"u8, _members.Count);
            Roster.Write(news, _members, from: 1);
        }

        EventWriter.EndNews(news, sequence);
        return news;
    }

    /// <summary>
    /// Makes the session peer with the lowest number that is here the owner. If all are away, the first that comes becomes it.
    /// </summary>
    private void FindOwner()
    {
        Peer? heir = null;
        try
        {
            do
            {
                lock (_gate)
                    heir = _closed || _owner is not null ? null : _sessions?.FirstHere();
            }
            while (heir is not null && !heir.TryTakeOver(from: null));
        }
        catch (Exception e)
        {
            // No memory to tell it, for example. When it is away, the next one is tried.
            CutForError(heir!, e);
        }
    }

    /// <summary>A peer has a stream now, so that it can become the owner.</summary>
    internal void OnHere()
    {
        if (Settings.IsKept && Owner is null)
            FindOwnerLater();
        DrainNews(inline: true);
    }

    /// <summary>On another thread: it takes the locks of peers, and the caller may hold one.</summary>
    private void FindOwnerLater() =>
        ThreadPool.UnsafeQueueUserWorkItem(static channel => channel.FindOwner(), this, preferLocal: false);
}
