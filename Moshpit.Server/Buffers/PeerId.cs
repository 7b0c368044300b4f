namespace Moshpit.Server.Buffers;

/// <summary>A peer's public name within its channel, <c>cid</c> on the wire.</summary>
internal readonly record struct PeerId(HexId Value)
{
    /// <inheritdoc cref="HexId.TryParse"/>
    public static bool TryParse(ReadOnlySpan<byte> text, out PeerId id)
    {
        bool parsed = HexId.TryParse(text, out HexId value);
        id = new PeerId(value);
        return parsed;
    }

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();
}
