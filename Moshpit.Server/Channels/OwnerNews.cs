using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>Tells an owner without a session of the other peers: that they join and leave, and nothing else.</summary>
/// <param name="frames">Where news is encoded.</param>
internal sealed class OwnerNews(FramePool frames)
{
    /// <summary>Enough for an event that tells of one peer, with its id.</summary>
    private const int Length = 256;

    /// <summary>A frame for <see cref="TellOfJoin"/>, rented before the join, so that a lack of memory comes first.</summary>
    public SharedFrame Rent() => frames.Rent(Length);

    /// <summary>Tells that <paramref name="peer"/> has joined, by means of <paramref name="news"/>, which stays the caller's.</summary>
    public void TellOfJoin(Peer peer, SharedFrame news)
    {
        if (peer.Channel.Owner is not { Session: null } owner)
            return;
        EventWriter.WriteJoin(news, peer.Channel.Id, peer.Cid);
        Send(owner, news);
    }

    /// <summary>Tells that <paramref name="peer"/> has left.</summary>
    public void TellOfLeave(Peer peer)
    {
        if (peer.Channel.Owner is not { Session: null, IsListening: true } owner || owner == peer)
            return;
        SharedFrame? news = null;
        try
        {
            news = Rent();
            EventWriter.WriteLeave(news, peer.Channel.Id, peer.Cid);
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
