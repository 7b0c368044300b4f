using Moshpit.Server.Buffers;

namespace Moshpit.Server.Channels;

/// <summary>A message that is allowed.</summary>
/// <param name="Sender">The peer that says it.</param>
/// <param name="Addressee">The one peer that gets it; null: all get it.</param>
/// <param name="Frame">Its event, encoded. It stays the caller's, and no other holder knows it yet.</param>
/// <param name="Number">The sender's own number for it, by which a repetition is known; 0: none.</param>
internal readonly record struct Publication(Peer Sender, Peer? Addressee, SharedFrame Frame, long Number = 0)
{
    public Channel Channel => Sender.Channel;

    /// <summary>The peers that get it, where it names several; null otherwise.</summary>
    public Addressees? Several { get; init; }

    /// <summary>Its sender does not get it, though it is for all.</summary>
    public bool HasNoEcho { get; init; }

    /// <summary>The peer that must not be lost for it: the addressee, or the owner, with which the channel would end.</summary>
    public Peer? MustKeepUp =>
        Addressee ?? (Channel.Owner is { } owner && (Several is null || Several.Include(owner)) ? owner : null);

    /// <summary>What is to be done by the number that a session peer gave it. The lock of the channel is held.</summary>
    public DeliveryOutcome Judge() => Sender.Session?.Judge(Number) ?? DeliveryOutcome.Delivered;

    /// <summary>It has its place in the order: its number is known from now on. The lock of the channel is held.</summary>
    public void Accept()
    {
        if (Number != 0 && Sender.Session is { } session)
            session.Numbers.Accept(Number);
    }
}

/// <summary>What became of a <see cref="Publication"/>.</summary>
/// <param name="Outcome">Whether it has its place in the order.</param>
/// <param name="Sequence">Its number; 0 in a channel whose peers are told none.</param>
/// <param name="Sender">The number of the peer that sent it.</param>
/// <param name="To">To how many peers it goes.</param>
/// <param name="Away">How many of these are away.</param>
internal readonly record struct Delivery(DeliveryOutcome Outcome, long Sequence = 0, int Sender = 0, int To = 0, int Away = 0);

/// <summary>Whether a message has its place in the order.</summary>
internal enum DeliveryOutcome : byte
{
    Delivered,
    ChannelClosed,
    AddresseeGone,

    /// <summary>Its sender's number was accepted before, and it is not delivered again.</summary>
    Repeated,

    /// <summary>Its sender's number is so old that nothing is known of it.</summary>
    TooOld,
}

/// <summary>Why a peer left, as others are told.</summary>
internal enum LeaveReason : byte
{
    Lost,
    Left,
    Kicked,
}
