using Moshpit.Server.Buffers;

namespace Moshpit.Server.Api;

/// <summary>What a POST's body says, besides its data.</summary>
internal struct Message
{
    public IdField TokenField;
    public Token Token;
    public IdField CidField;
    public PeerId Cid;
    public bool HasData;

    /// <summary>A <c>token</c> that was sent as the string <paramref name="text"/>; empty for one that is no string.</summary>
    public void SetToken(ReadOnlySpan<byte> text) => TokenField = Token.TryParse(text, out Token) ? IdField.Present : IdField.Malformed;

    /// <summary>A <c>cid</c> that was sent as the string <paramref name="text"/>; an empty one is none.</summary>
    public void SetCid(ReadOnlySpan<byte> text)
    {
        bool parsed = PeerId.TryParse(text, out Cid);
        CidField = parsed ? IdField.Present : text.IsEmpty ? IdField.Absent : IdField.Malformed;
    }

    /// <summary>
    /// A <c>cid</c> that was sent as an array with the string <paramref name="text"/> alone. An empty one names no peer there: taken for
    /// none, it would send to everyone what was meant for one.
    /// </summary>
    public void SetListedCid(ReadOnlySpan<byte> text) => CidField = PeerId.TryParse(text, out Cid) ? IdField.Present : IdField.Malformed;

    /// <summary>A <c>cid</c> that was sent as something else than a string or an array of one.</summary>
    public void SetMalformedCid()
    {
        CidField = IdField.Malformed;
        Cid = default;
    }
}
