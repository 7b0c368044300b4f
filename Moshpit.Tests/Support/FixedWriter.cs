using System.Buffers;

namespace Moshpit.Tests.Support;

/// <summary>A writer that owns its memory from the start, so that what a test measures is the parser's.</summary>
internal sealed class FixedWriter(int capacity) : IBufferWriter<byte>
{
    private readonly byte[] _buffer = new byte[capacity];

    public int Written { get; private set; }

    public ReadOnlySpan<byte> WrittenSpan => _buffer.AsSpan(0, Written);

    public void Clear() => Written = 0;

    public void Advance(int count) => Written += count;

    public Memory<byte> GetMemory(int sizeHint = 0) => throw new NotSupportedException();

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Span<byte> rest = _buffer.AsSpan(Written);
        return rest.Length >= sizeHint ? rest : throw new InvalidOperationException("The test's buffer is too small.");
    }
}
