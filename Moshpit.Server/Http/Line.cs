using System.Buffers;

namespace Moshpit.Server.Http;

/// <summary>
/// One line as contiguous bytes: in place where it lies in one segment, as nearly always, or else copied to a rented array,
/// which <see cref="Dispose"/> returns. Dispose it once.
/// </summary>
internal readonly ref struct Line
{
    private readonly byte[]? _rented;

    public Line(ReadOnlySequence<byte> line)
    {
        if (line.IsSingleSegment)
        {
            Bytes = line.FirstSpan;
            return;
        }

        int length = (int)line.Length;
        _rented = ArrayPool<byte>.Shared.Rent(length);
        line.CopyTo(_rented);
        Bytes = _rented.AsSpan(0, length);
    }

    public ReadOnlySpan<byte> Bytes { get; }

    public void Dispose()
    {
        if (_rented is not null)
            ArrayPool<byte>.Shared.Return(_rented);
    }
}
