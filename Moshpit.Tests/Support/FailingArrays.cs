using System.Buffers;

namespace Moshpit.Tests.Support;

/// <summary>A pool of arrays that has no memory left for one of its renters.</summary>
internal sealed class FailingArrays : ArrayPool<byte>
{
    private int _left;

    /// <summary>The renter that there was no memory for has come.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>From now on, the <paramref name="number"/>th array can't be had; 0: all can be.</summary>
    public void FailAt(int number) => Volatile.Write(ref _left, number);

    public override byte[] Rent(int minimumLength)
    {
        if (Interlocked.Decrement(ref _left) != 0)
            return Shared.Rent(minimumLength);
        HasFailed = true;
        throw new OutOfMemoryException("There is no memory, says the test.");
    }

    public override void Return(byte[] array, bool clearArray = false) => Shared.Return(array, clearArray);
}
