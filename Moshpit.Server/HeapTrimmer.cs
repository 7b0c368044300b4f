
namespace Moshpit.Server;

/// <summary>
/// Has the heap collected once when a crowd has come and it is calm again, and once when much of what was in use is not any more. What a
/// connection needed before it became a stream is garbage by then, and so is what waited for peers that have left. The collector, which
/// thinks in sizes of the processor's cache and wakes only when something is allocated, may let it lie for hours. For the program alone: a
/// program that embeds the server decides about its heap.
/// </summary>
internal sealed class HeapTrimmer : IDisposable
{
    /// <summary>How long hardly anything must have been allocated.</summary>
    public static readonly TimeSpan Calm = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Bytes allocated within <see cref="Calm"/> that are hardly anything: some hundred joins or none, and any number of messages.
    /// </summary>
    private const long HardlyAnything = 512 * 1024;

    /// <summary>
    /// Bytes allocated or released since the last collection that are worth one, unless a quarter of the heap is more: a large one takes
    /// longer.
    /// </summary>
    private const long Worthwhile = 4 * 1024 * 1024;

    /// <summary>
    /// Looks in a row at which much less must be in use than before. Messages allocate nothing, so under a steady load of them the heap
    /// seems calm, while what waits for slow peers comes and goes within seconds.
    /// </summary>
    private const int LooksAfterRelease = 5;

    /// <summary>Managed memory of a connection or stream, about.</summary>
    private const int ConnectionBytes = 1024;

    private readonly Func<long> _allocated;
    private readonly Func<long> _inUse;
    private readonly Func<long> _collect;
    private readonly ITimer _timer;
    private long _atLastLook;
    private long _atLastCollection;
    private long _heap;
    private long _mostInUse;
    private int _looksAfterRelease;

    /// <param name="time">The source of time.</param>
    /// <param name="allocated">Bytes allocated in all so far.</param>
    /// <param name="inUse">Bytes that are in use now, as far as they are counted.</param>
    /// <param name="collect">Collects, and answers how large the heap is then.</param>
    public HeapTrimmer(TimeProvider time, Func<long> allocated, Func<long> inUse, Func<long> collect)
    {
        _allocated = allocated;
        _inUse = inUse;
        _collect = collect;
        _timer = time.CreateTimer(static trimmer => ((HeapTrimmer)trimmer!).OnTimer(), this, Calm, Calm);
    }

    /// <summary>One for this process, which runs <paramref name="server"/> and little else.</summary>
    public static HeapTrimmer Start(ServerParts server) => new(
        TimeProvider.System,
        static () => GC.GetTotalAllocatedBytes(),
        () => server.Frames.OutstandingBytes + server.Admission.Connections * (long)ConnectionBytes,
        static () =>
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            return GC.GetTotalMemory(forceFullCollection: false);
        });

    public void Dispose() => _timer.Dispose();

    private void OnTimer()
    {
        long allocated = _allocated();
        long inUse = _inUse();
        long worthwhile = Math.Max(Worthwhile, _heap / 4);
        bool isCalm = allocated - _atLastLook < HardlyAnything;
        _atLastLook = allocated;
        _mostInUse = Math.Max(_mostInUse, inUse);
        _looksAfterRelease = _mostInUse - inUse >= worthwhile ? _looksAfterRelease + 1 : 0;
        if (!isCalm || (allocated - _atLastCollection < worthwhile && _looksAfterRelease < LooksAfterRelease))
            return;
        _heap = _collect();
        _atLastCollection = _atLastLook = _allocated();
        _mostInUse = inUse;
        _looksAfterRelease = 0;
    }
}
