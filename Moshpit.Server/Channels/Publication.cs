using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>A message that is allowed.</summary>
/// <param name="Sender">The peer that says it.</param>
/// <param name="Addressee">The one peer that gets it; null: all get it.</param>
/// <param name="Frame">Its event, encoded. It stays the caller's.</param>
internal readonly record struct Publication(Peer Sender, Peer? Addressee, SharedFrame Frame)
{
    public Channel Channel => Sender.Channel;

    /// <summary>The peer that must not be lost for it: the addressee, or the owner, with which the channel would end.</summary>
    public Peer? MustKeepUp => Addressee ?? Channel.Owner;
}
