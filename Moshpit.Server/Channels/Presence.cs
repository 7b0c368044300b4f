using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>Tells the owner of a channel of its other peers: of joins and leaves, and of session peers that are away and back.</summary>
/// <param name="frames">Where news is encoded.</param>
internal sealed class Presence(FramePool frames)
{
    /// <summary>Enough for an event that tells of one peer.</summary>
    private const int NewsLength = 192;

    /// <summary>A frame for <see cref="TellOfJoin"/>, rented before the join, so that a lack of memory comes first.</summary>
    public SharedFrame RentNews() => frames.Rent(NewsLength);

    /// <summary>Tells that <paramref name="peer"/> has joined, by means of <paramref name="news"/>, which stays the caller's.</summary>
    public void TellOfJoin(Peer peer, SharedFrame news)
    {
        Peer owner = peer.Channel.Owner!;
        if (owner.Session is null)
            EventWriter.WriteJoin(news, peer.Channel.Id, peer.Cid);
        else
            EventWriter.WriteJoin(news, peer.Channel.Id, peer.Cid, peer.Number);
        Send(owner, news);
    }

    /// <summary>Tells that <paramref name="peer"/> has left.</summary>
    public void TellOfLeave(Peer peer, LeaveReason reason) => Tell(peer, (owner, news) =>
    {
        if (owner.Session is null)
            EventWriter.WriteLeave(news, peer.Channel.Id, peer.Cid);
        else
            EventWriter.WriteLeave(news, peer.Channel.Id, peer.Cid, peer.Number, reason == LeaveReason.Left ? "left"u8 : "lost"u8);
    });

    /// <summary>Tells an owner with a session that <paramref name="peer"/> has no stream now.</summary>
    public void TellOfAway(Peer peer)
    {
        if (peer.Channel.Owner!.Session is not null)
            Tell(peer, (_, news) => EventWriter.WriteAway(news, peer.Channel.Id, peer.Cid));
    }

    /// <summary>Tells an owner with a session that <paramref name="peer"/> has a stream again.</summary>
    public void TellOfBack(Peer peer)
    {
        if (peer.Channel.Owner!.Session is not null)
            Tell(peer, (_, news) => EventWriter.WriteBack(news, peer.Channel.Id, peer.Cid));
    }

    private void Tell(Peer peer, Action<Peer, SharedFrame> write)
    {
        Peer owner = peer.Channel.Owner!;
        if (peer == owner || !owner.IsListening)
            return;
        SharedFrame? news = null;
        try
        {
            news = RentNews();
            write(owner, news);
            Send(owner, news);
        }
        catch (OutOfMemoryException e)
        {
            owner.Channel.CutForError(owner, e);
        }
        finally
        {
            news?.Release();
        }
    }

    private static void Send(Peer owner, SharedFrame news)
    {
        try
        {
            owner.TrySend(news);
        }
        catch (OutOfMemoryException e)
        {
            // An owner that missed a join or a leave would be wrong about its channel from now on.
            owner.Channel.CutForError(owner, e);
        }
    }
}
