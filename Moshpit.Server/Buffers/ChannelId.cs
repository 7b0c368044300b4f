namespace Moshpit.Server.Buffers;

/// <summary>The name of a channel, and the key to it: a client that knows it can join.</summary>
internal readonly record struct ChannelId(HexId Value)
{
    /// <inheritdoc cref="HexId.TryParse"/>
    public static bool TryParse(ReadOnlySpan<byte> text, out ChannelId id)
    {
        bool parsed = HexId.TryParse(text, out HexId value);
        id = new ChannelId(value);
        return parsed;
    }

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();
}
