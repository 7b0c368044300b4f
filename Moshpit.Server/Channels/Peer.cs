using Moshpit.Server.Buffers;
using Moshpit.Server.Limits;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Channels;

/// <summary>One participant of a channel: its ids, and the sink that takes its frames.</summary>
internal sealed class Peer : ISlotted
{
    private SendRate? _rate;

    public Peer(Channel channel, PeerId cid, Token token, FrameSink sink, AddressUsage? usage = null)
    {
        Usage = usage;
        Channel = channel;
        Cid = cid;
        Token = token;
        Sink = sink;
    }

    public Channel Channel { get; }

    /// <summary>Its public name within the channel.</summary>
    public PeerId Cid { get; }

    /// <summary>Its secret.</summary>
    public Token Token { get; }

    /// <summary>Takes its frames. Its lock guards <see cref="Position"/> too.</summary>
    public FrameSink Sink { get; }

    /// <summary>Where its stream counts, held until that ends; null for a client that is not limited.</summary>
    public AddressUsage? Usage { get; }

    /// <summary>How fast it may send, where it is limited: made when it first sends.</summary>
    public SendRate Rate => _rate ?? Interlocked.CompareExchange(ref _rate, new SendRate(), null) ?? _rate;

    /// <summary>The fan-out that serves it, as long as it is in the channel.</summary>
    public FanOut? FanOut { get; set; }

    /// <summary>Its slot there.</summary>
    public int Slot { get; set; }

    /// <summary>Everything broadcast before this position of its fan-out was given to its sink, or was before its time.</summary>
    public long Position { get; set; }
}
