using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Http;

namespace Moshpit.Server.Api;

/// <summary>A message that was understood and is allowed.</summary>
/// <param name="Channel">Where it was posted.</param>
/// <param name="Sender">The peer whose token it came with.</param>
/// <param name="Addressee">The one peer that gets it; null: all get it.</param>
/// <param name="Frame">Its event, encoded; held by the publication until it is delivered or refused.</param>
internal readonly record struct Publication(Channel Channel, Peer Sender, Peer? Addressee, SharedFrame Frame)
{
    /// <summary>The peer that must not be lost for it: the addressee, or the owner, with which the channel would end.</summary>
    public Peer? MustKeepUp => Addressee ?? Channel.Owner;

    /// <summary>Why it could not be delivered, when it could not.</summary>
    public Rejection Failure => Addressee is null || Channel.IsClosed ? ApiRejections.UnknownChannel : ApiRejections.UnknownPeer;

    /// <summary>Delivers it, once. Completes when its place in the order is certain. False: the channel closed meanwhile, or the addressee left.</summary>
    public ValueTask<bool> DeliverAsync() => Addressee is null ? PublishAsync(Channel, Frame) : new(Send(Addressee, Frame));

    private static bool Send(Peer addressee, SharedFrame frame)
    {
        try
        {
            return Channel.TrySend(addressee, frame);
        }
        finally
        {
            frame.Release();
        }
    }

    private static async ValueTask<bool> PublishAsync(Channel channel, SharedFrame frame)
    {
        try
        {
            return await channel.PublishAsync(frame).ConfigureAwait(false);
        }
        finally
        {
            frame.Release();
        }
    }
}
