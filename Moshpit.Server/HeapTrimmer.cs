namespace Moshpit.Server;

/// <summary>
/// Has the heap collected once when a crowd has come and it is calm again. What a connection needed before it became a stream is garbage by then,
/// and the collector, which thinks in sizes of the processor's cache, may let it lie for hours: 40 % of what an idle peer costs. For the program
/// alone: whoever embeds the server decides about the heap himself.
/// </summary>
internal sealed class HeapTrimmer : IDisposable
{
    /// <summary>How long hardly anything must have been allocated.</summary>
    public static readonly TimeSpan Calm = TimeSpan.FromSeconds(1);

    /// <summary>Bytes allocated within <see cref="Calm"/> that are hardly anything: some hundred joins or none, and any number of messages.</summary>
    private const long HardlyAnything = 512 * 1024;

    /// <summary>Bytes allocated since the last collection that are worth one, unless half of the heap is more: a large one takes longer.</summary>
    private const long Worthwhile = 4 * 1024 * 1024;

    private readonly Func<long> _allocated;
    private readonly Func<long> _collect;
    private readonly ITimer _timer;
    private long _atLastLook;
    private long _atLastCollection;
    private long _heap;

    /// <param name="time">The source of time.</param>
    /// <param name="allocated">Bytes allocated in all so far.</param>
    /// <param name="collect">Collects, and answers how large the heap is then.</param>
    public HeapTrimmer(TimeProvider time, Func<long> allocated, Func<long> collect)
    {
        _allocated = allocated;
        _collect = collect;
        _timer = time.CreateTimer(static trimmer => ((HeapTrimmer)trimmer!).OnTimer(), this, Calm, Calm);
    }

    /// <summary>One for this process.</summary>
    public static HeapTrimmer Start() => new(TimeProvider.System, static () => GC.GetTotalAllocatedBytes(), static () =>
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return GC.GetTotalMemory(forceFullCollection: false);
    });

    public void Dispose() => _timer.Dispose();

    private void OnTimer()
    {
        long allocated = _allocated();
        bool isCalm = allocated - _atLastLook < HardlyAnything;
        _atLastLook = allocated;
        if (!isCalm || allocated - _atLastCollection < Math.Max(Worthwhile, _heap / 2))
            return;
        _heap = _collect();
        _atLastCollection = _atLastLook = _allocated();
    }
}
