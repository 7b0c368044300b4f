namespace Moshpit.Server.Buffers;

/// <summary>
/// A set whose members know their slot: adding and removing are O(1), and nothing moves within an array, so a pass over
/// <see cref="Snapshot"/> needs no lock and skips no member that was there when it began. It may still see members that left after that,
/// and new members in reused slots. When most of a crowd has left, the rest moves to a smaller array.
/// </summary>
internal sealed class SlotTable<T>
    where T : class, ISlotted
{
    /// <summary>Of so many slots one in use is enough to keep the array.</summary>
    private const int Sparse = 4;

    /// <summary>An array of so many slots is not worth a smaller one.</summary>
    private const int FewSlots = 64;

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

    /// <summary>Sees to it that the next <see cref="Add"/> needs no memory.</summary>
    public void EnsureRoom()
    {
        lock (_gate)
            Reserve();
    }

    /// <summary>Adds <paramref name="item"/>, which is in no table.</summary>
    public void Add(T item)
    {
        lock (_gate)
        {
            Reserve();
            int slot = _freeCount > 0 ? _free[--_freeCount] : _used++;
            item.Slot = slot;
            Volatile.Write(ref _slots[slot], item);
        }
    }

    /// <summary>Removes <paramref name="item"/>, which was added and not removed.</summary>
    public void Remove(T item)
    {
        lock (_gate)
        {
            int slot = item.Slot;
            if (slot >= _used || !ReferenceEquals(_slots[slot], item))
                throw new InvalidOperationException("The slot holds another member.");
            if (_freeCount == _free.Length)
                Array.Resize(ref _free, Math.Max(2, _free.Length * 2));
            Volatile.Write(ref _slots[slot], null);
            _free[_freeCount++] = slot;
            int count = _used - _freeCount;
            if (count == 0 || (_used >= FewSlots && count * Sparse <= _used))
                Compact(count);
        }
    }

    /// <summary>Makes room for one more, if there is none. The lock is held.</summary>
    private void Reserve()
    {
        if (_freeCount == 0 && _used == _slots.Length)
            Array.Resize(ref _slots, Math.Max(2, _slots.Length * 2));
    }

    /// <summary>Gives back what a crowd needed. A pass over the old array still meets every member.</summary>
    private void Compact(int count)
    {
        var slots = new T?[count];
        int used = 0;
        foreach (T? item in _slots.AsSpan(0, _used))
        {
            if (item is null)
                continue;
            item.Slot = used;
            slots[used++] = item;
        }

        (_slots, _free, _freeCount) = (slots, [], 0);
        Volatile.Write(ref _used, used);
    }
}
