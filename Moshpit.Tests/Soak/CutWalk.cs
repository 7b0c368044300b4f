namespace Moshpit.Tests.Soak;

/// <summary>
/// Chooses cuts so that each kind comes to every byte in the long run: for each kind and direction of streams, and of connections with
/// POSTs, the place goes on by one byte from cut to cut, and begins again past the bytes that matter.
/// </summary>
internal sealed class CutWalk
{
    /// <summary>The head of a stream's response, <c>connect</c>, <c>gap</c>, some signals, and in a short stream <c>bye</c>.</summary>
    private const int LongestStream = 1600;

    /// <summary>The GET of a stream.</summary>
    private const int LongestGet = 200;

    /// <summary>Some POSTs on one connection.</summary>
    private const int LongestPosts = 1200;

    /// <summary>The answers to some POSTs.</summary>
    private const int LongestAnswers = 800;

    /// <summary>A last event, and the last chunk.</summary>
    private const int LongestBye = 120;

    /// <summary>Longest silence and delay of a piece, in milliseconds.</summary>
    private const int LongestSilence = 100, LongestDelay = 4;

    private static readonly CutKind[] Kinds = [.. Enum.GetValues<CutKind>().Where(kind => kind != CutKind.None)];

    private readonly Lock _gate = new();
    private readonly Random _random;
    private readonly Dictionary<(CutPart Part, CutKind Kind, bool OfRequest), int> _places = [];
    private readonly HashSet<int> _cutBytes = [];
    private readonly HashSet<int> _cutBytesOfByes = [];

    public CutWalk(Random random)
    {
        _random = random;
        foreach (CutKind kind in Kinds)
        {
            foreach (CutPart part in Enum.GetValues<CutPart>())
            {
                foreach (bool ofRequest in new[] { false, true })
                    _places[(part, kind, ofRequest)] = random.Next(Length(part, ofRequest));
            }
        }
    }

    /// <summary>Cuts that broke a connection.</summary>
    public int Count { get; private set; }

    /// <summary>At how many different bytes of a stream's response a cut broke it.</summary>
    public int CutBytes
    {
        get
        {
            lock (_gate)
                return _cutBytes.Count;
        }
    }

    /// <summary>Each byte of a stream's response was cut.</summary>
    public bool HasCutEveryByte => CutBytes == LongestStream;

    /// <summary>As <see cref="CutBytes"/>, of <c>bye</c> and the last chunk.</summary>
    public int CutBytesOfByes
    {
        get
        {
            lock (_gate)
                return _cutBytesOfByes.Count;
        }
    }

    /// <summary>The next cut of <paramref name="part"/>.</summary>
    public Cut Next(CutPart part)
    {
        lock (_gate)
        {
            // A response has more places than a request.
            CutKind kind = Kinds[_random.Next(Kinds.Length)];
            bool ofRequest = part != CutPart.Bye && _random.Next(4) == 0;
            int place = _places[(part, kind, ofRequest)] % Length(part, ofRequest) + 1;
            _places[(part, kind, ofRequest)] = place;
            return new Cut(kind, part, ofRequest, place, _random.Next(1, kind == CutKind.Silence ? LongestSilence : LongestDelay));
        }
    }

    /// <summary>A relay has done <paramref name="cut"/>.</summary>
    public void Happened(Cut cut)
    {
        if (!cut.Breaks)
            return;
        lock (_gate)
        {
            Count++;
            if (cut.Part != CutPart.Posts && !cut.OfRequest)
                (cut.Part == CutPart.Bye ? _cutBytesOfByes : _cutBytes).Add(cut.After);
        }
    }

    private static int Length(CutPart part, bool ofRequest) => part switch
    {
        CutPart.Posts => ofRequest ? LongestPosts : LongestAnswers,
        CutPart.Stream => ofRequest ? LongestGet : LongestStream,
        _ => LongestBye,
    };
}
