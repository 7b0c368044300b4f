namespace Moshpit.Server.Buffers;

/// <summary>A peer's secret: a client that knows it can send in the peer's name.</summary>
internal readonly record struct Token(HexId Value)
{
    /// <inheritdoc cref="HexId.TryParse"/>
    public static bool TryParse(ReadOnlySpan<byte> text, out Token token)
    {
        bool parsed = HexId.TryParse(text, out HexId value);
        token = new Token(value);
        return parsed;
    }

    /// <summary>Nothing of it: a token must be in no log.</summary>
    public override string ToString() => "(token)";
}
