namespace Moshpit.Tests.Fuzz;

/// <summary>A stream that gives one piece a read, without waiting, and then ends.</summary>
internal sealed class PieceStream(byte[][] pieces) : MemoryStream
{
    private int _next;
    private ReadOnlyMemory<byte> _piece;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_piece.IsEmpty && _next < pieces.Length)
            _piece = pieces[_next++];
        int count = Math.Min(buffer.Length, _piece.Length);
        _piece[..count].CopyTo(buffer);
        _piece = _piece[count..];
        return new(count);
    }
}
