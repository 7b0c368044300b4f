using Moshpit.Server.Buffers;

namespace Moshpit.Server.Forms;

/// <summary>What the body of a POST says, besides its data. Its text may be a form or JSON.</summary>
internal struct Message
{
    public IdField TokenField;
    public Token Token;
    public IdField CidField;
    public PeerId Cid;
    public bool HasData;

    /// <summary>Sets a <c>token</c> that was sent as the string <paramref name="text"/>; empty for one that is no string.</summary>
    public void SetToken(ReadOnlySpan<byte> text) => TokenField = Token.TryParse(text, out Token) ? IdField.Present : IdField.Malformed;

    /// <summary>Sets a <c>cid</c> that was sent as the string <paramref name="text"/>. An empty one counts as absent.</summary>
    public void SetCid(ReadOnlySpan<byte> text)
    {
        bool parsed = PeerId.TryParse(text, out Cid);
        CidField = parsed ? IdField.Present : text.IsEmpty ? IdField.Absent : IdField.Malformed;
    }

    /// <summary>
    /// Sets a <c>cid</c> that was sent as an array with the string <paramref name="text"/> alone. An empty string is malformed there: if it
    /// counted as absent, a message for one peer would go to all.
    /// </summary>
    public void SetListedCid(ReadOnlySpan<byte> text) => CidField = PeerId.TryParse(text, out Cid) ? IdField.Present : IdField.Malformed;

    /// <summary>Sets a <c>cid</c> that was sent as something else than a string or an array of one.</summary>
    public void SetMalformedCid()
    {
        CidField = IdField.Malformed;
        Cid = default;
    }
}

/// <summary>What stood in a field that should name a peer.</summary>
internal enum IdField : byte
{
    /// <summary>There is no such field, or, for <c>cid</c>, the field is empty.</summary>
    Absent,

    /// <summary>
    /// The field is there, but is no string of 32 lower-case hex digits, nor, for <c>cid</c>, an array of one such string. Such a field can
    /// name no peer.
    /// </summary>
    Malformed,

    /// <summary>The field is there, and well formed.</summary>
    Present,
}
