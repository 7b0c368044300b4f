namespace Moshpit.Server.Http;

/// <summary>
/// field-line = field-name ":" OWS field-value OWS (RFC 9112 section 5), of a header or a trailer section.
/// The line scanner has already refused what no value may hold.
/// </summary>
internal static class FieldLine
{
    /// <summary>Null, or why the line is refused.</summary>
    public static Rejection? Read(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> value)
    {
        name = value = default;

        // Section 5.2: obs-fold. Section 2.2: whitespace between the start-line and the first field. Both hide a field from someone.
        if (IsBlank(line[0]))
            return Rejections.LineFolding;
        int colon = line.IndexOf((byte)':');
        if (colon < 0)
            return Rejections.MissingColon;
        name = line[..colon];
        if (!Grammar.IsToken(name))
        {
            // Section 5.1: "A server MUST reject, with a response status code of 400, any received request message that contains
            // whitespace between a header field name and colon."
            return colon > 0 && IsBlank(line[colon - 1]) ? Rejections.BlankBeforeColon : Rejections.MalformedFieldName;
        }

        value = Grammar.TrimBlanks(line[(colon + 1)..]);
        return null;
    }

    private static bool IsBlank(byte octet) => octet is (byte)' ' or (byte)'\t';
}
