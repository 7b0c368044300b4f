namespace Moshpit.Server.Buffers;

/// <summary>
/// A set whose members know their slot: adding and removing are O(1), nothing ever moves, so a pass over
/// <see cref="Snapshot"/> needs no lock and skips nobody who was there when it began. It may meet who has left since, or,
/// in a slot that was used again, who came since.
/// </summary>
internal sealed class SlotTable<T>
    where T : class
{
    private readonly Lock _gate = new();
    private T?[] _slots = [];
    private int _used;
    private int[] _free = [];
    private int _freeCount;

    /// <summary>Members now.</summary>
    public int Count => Volatile.Read(ref _used) - Volatile.Read(ref _freeCount);

    /// <summary>The slots as they are now; empty ones are null.</summary>
    public ReadOnlySpan<T?> Snapshot()
    {
        lock (_gate)
            return _slots.AsSpan(0, _used);
    }

    /// <inheritdoc cref="Snapshot"/>
    public ReadOnlyMemory<T?> SnapshotMemory()
    {
        lock (_gate)
            return _slots.AsMemory(0, _used);
    }

    /// <summary>Adds <paramref name="item"/> and says in which slot.</summary>
    public int Add(T item)
    {
        lock (_gate)
        {
            int slot = _freeCount > 0 ? _free[--_freeCount] : _used++;
            if (slot == _slots.Length)
                Array.Resize(ref _slots, Math.Max(2, _slots.Length * 2));
            Volatile.Write(ref _slots[slot], item);
            return slot;
        }
    }

    /// <summary>Empties <paramref name="slot"/>, which holds <paramref name="item"/>.</summary>
    public void Remove(int slot, T item)
    {
        lock (_gate)
        {
            if (!ReferenceEquals(_slots[slot], item))
                throw new InvalidOperationException("The slot holds somebody else.");
            Volatile.Write(ref _slots[slot], null);
            if (_freeCount == _free.Length)
                Array.Resize(ref _free, Math.Max(2, _free.Length * 2));
            _free[_freeCount++] = slot;
            if (_freeCount == _used)
                Clear();
        }
    }

    /// <summary>Nobody is left: what a crowd needed is given back.</summary>
    private void Clear()
    {
        _slots = [];
        _free = [];
        _used = _freeCount = 0;
    }
}
