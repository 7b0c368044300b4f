namespace Moshpit.Server.Http;

/// <summary>
/// Forwarded = 1#forwarded-element (RFC 7239 section 4), one element for each proxy:
/// forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ); forwarded-pair = token "=" ( token / quoted-string )
/// </summary>
internal static class ForwardedField
{
    /// <summary>
    /// Cuts the next element off <paramref name="rest"/>, which is not empty. <paramref name="node"/> is what its "for" says, without
    /// quotes; empty if there is no "for", or if the element is. False: the element is malformed, so that where the next one begins can't
    /// be trusted.
    /// </summary>
    public static bool TryCutElement(ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> node, out bool isEmpty)
    {
        node = default;
        ReadOnlySpan<byte> element = Grammar.CutListed(ref rest);
        isEmpty = element.IsEmpty;
        bool hasFor = false;
        while (!element.IsEmpty)
        {
            // Blanks around ";" are not in the grammar, but proxies write them.
            ReadOnlySpan<byte> pair = Grammar.TrimBlanks(Grammar.Cut(ref element, (byte)';'));
            if (!element.IsEmpty)
                element = element[1..];
            if (pair.IsEmpty)
                continue;
            if (!Grammar.TryReadParameter(pair, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value) || value.IsEmpty)
                return false;
            if (!Grammar.Is(name, "for"u8))
                continue;

            // "Each parameter MUST NOT occur more than once per field-value."
            if (hasFor)
                return false;
            hasFor = true;
            node = value[0] == '"' ? value[1..^1] : value;
        }

        return true;
    }
}
