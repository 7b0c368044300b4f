namespace Moshpit.Server.Http;

/// <summary>
/// What all Accept fields of a request together say of <c>text/event-stream; charset=utf-8</c> (RFC 9110 section 12.5.1):
/// the most specific media range that matches it decides, by its weight. An element that is malformed matches nothing
/// and does no other harm.
/// </summary>
internal struct AcceptField
{
    private bool _hasElements;
    private Match _best;
    private bool _admits;

    /// <summary>How specific a matching range is, in the order of section 12.5.1.</summary>
    private enum Match : byte
    {
        None,
        Anything,
        Type,
        Subtype,
        Parameters,
    }

    /// <summary>
    /// True where there is no Accept, or an empty one, as well: "a request without any Accept header field implies any media type".
    /// </summary>
    public readonly bool AdmitsEventStream => !_hasElements || _admits;

    /// <summary>The media type itself is admitted, by its name.</summary>
    public readonly bool NamesEventStream => _admits && _best >= Match.Subtype;

    /// <summary>An element names <c>application/json</c>, whatever its parameters but for a weight of 0.</summary>
    public bool NamesJson { get; private set; }

    /// <summary>Takes in one field line's value; repeated lines make one list.</summary>
    public void Add(ReadOnlySpan<byte> value)
    {
        while (!value.IsEmpty)
        {
            ReadOnlySpan<byte> element = Grammar.CutListed(ref value);
            if (element.IsEmpty)
                continue;
            _hasElements = true;
            NamesJson |= IsJson(element);
            Match match = MatchRange(element, out bool admits);
            if (match == Match.None || match < _best)
                continue;

            // Of two ranges that are equally specific the better weight counts.
            _admits = match == _best ? _admits | admits : admits;
            _best = match;
        }
    }

    // media-range parameters, each of them OWS ";" OWS [ name "=" value ]; the one named q is the weight, wherever it stands
    // (section 12.4.2).
    private static Match MatchRange(ReadOnlySpan<byte> element, out bool admits)
    {
        admits = true;
        Match match = MatchType(Grammar.TrimBlanks(Grammar.Cut(ref element, (byte)';')));
        bool weighted = false;
        while (!element.IsEmpty)
        {
            element = element[1..];
            ReadOnlySpan<byte> parameter = Grammar.TrimBlanks(Grammar.Cut(ref element, (byte)';'));
            if (parameter.IsEmpty)
                continue;
            if (!Grammar.TryReadParameter(parameter, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> text) || text.IsEmpty)
                return Match.None;
            if (Grammar.Is(name, "q"u8))
            {
                if (weighted || !TryReadWeight(text, out admits))
                    return Match.None;
                weighted = true;
            }
            else if (match >= Match.Subtype && IsOurs(name, text))
            {
                match = Match.Parameters;
            }
            else
            {
                // Some other form of the type than the one that is sent here.
                return Match.None;
            }
        }

        return match;
    }

    private static bool IsJson(ReadOnlySpan<byte> element)
    {
        bool isJson = Grammar.Is(Grammar.TrimBlanks(Grammar.Cut(ref element, (byte)';')), "application/json"u8);
        while (isJson && !element.IsEmpty)
        {
            element = element[1..];
            ReadOnlySpan<byte> parameter = Grammar.TrimBlanks(Grammar.Cut(ref element, (byte)';'));
            if (Grammar.TryReadParameter(parameter, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> text) && Grammar.Is(name, "q"u8))
                isJson = TryReadWeight(text, out bool admits) && admits;
        }

        return isJson;
    }

    private static Match MatchType(ReadOnlySpan<byte> range)
    {
        if (Grammar.Is(range, "text/event-stream"u8))
            return Match.Subtype;
        if (Grammar.Is(range, "text/*"u8))
            return Match.Type;
        return range.SequenceEqual("*/*"u8) ? Match.Anything : Match.None;
    }

    private static bool IsOurs(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) =>
        Grammar.Is(name, "charset"u8) && (Grammar.Is(value, "utf-8"u8) || Grammar.Is(value, "\"utf-8\""u8));

    // qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3"0" ] ), and whatever else is a number, as in the original: Java says "*/*; q=.2".
    private static bool TryReadWeight(ReadOnlySpan<byte> text, out bool admits)
    {
        admits = text.ContainsAnyInRange((byte)'1', (byte)'9');
        int digits = text.Length - text.Count((byte)'.');
        return digits >= Math.Max(1, text.Length - 1) && !text.ContainsAnyExcept("0123456789."u8);
    }
}
