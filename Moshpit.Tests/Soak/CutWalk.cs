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
    private const int LongestGet = 256;

    /// <summary>Some POSTs on one connection.</summary>
    private const int LongestPosts = 1200;

    /// <summary>The answers to some POSTs.</summary>
    private const int LongestAnswers = 800;

    /// <summary>Longest silence and delay of a piece, in milliseconds.</summary>
    private const int LongestSilence = 100, LongestDelay = 4;

    private static readonly CutKind[] Kinds = [.. Enum.GetValues<CutKind>().Where(kind => kind != CutKind.None)];

    private readonly Lock _gate = new();
    private readonly Random _random;
    private readonly Dictionary<(bool IsStream, CutKind Kind, bool OfRequest), int> _places = [];
    private readonly HashSet<int> _cutBytes = [];

    public CutWalk(Random random)
    {
        _random = random;
        foreach (CutKind kind in Kinds)
        {
            foreach (bool isStream in new[] { false, true })
            {
                foreach (bool ofRequest in new[] { false, true })
                    _places[(isStream, kind, ofRequest)] = random.Next(Length(isStream, ofRequest));
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

    /// <summary>The next cut of a stream.</summary>
    public Cut OfStream() => Next(isStream: true);

    /// <summary>The next cut of a connection with POSTs.</summary>
    public Cut OfPosts() => Next(isStream: false);

    /// <summary>A relay has done <paramref name="cut"/>.</summary>
    public void Happened(Cut cut)
    {
        if (!cut.Breaks)
            return;
        lock (_gate)
        {
            Count++;
            if (cut is { OfStream: true, OfRequest: false })
                _cutBytes.Add(cut.After);
        }
    }

    private static int Length(bool isStream, bool ofRequest) =>
        ofRequest ? (isStream ? LongestGet : LongestPosts) : isStream ? LongestStream : LongestAnswers;

    private Cut Next(bool isStream)
    {
        lock (_gate)
        {
            // A response has more places than a request.
            CutKind kind = Kinds[_random.Next(Kinds.Length)];
            bool ofRequest = _random.Next(4) == 0;
            int place = _places[(isStream, kind, ofRequest)] % Length(isStream, ofRequest) + 1;
            _places[(isStream, kind, ofRequest)] = place;
            return new Cut(kind, isStream, ofRequest, place, _random.Next(1, kind == CutKind.Silence ? LongestSilence : LongestDelay));
        }
    }
}
