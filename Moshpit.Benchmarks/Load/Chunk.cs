using System.Buffers.Text;

namespace Moshpit.Benchmarks.Load;

/// <summary>
/// A chunk of a chunked response (RFC 9112, section 7.1): <c>chunk-size CRLF chunk-data CRLF</c>. Extensions and trailers are not
/// supported.
/// </summary>
internal static class Chunk
{
    private static ReadOnlySpan<byte> CrLf => "\r\n"u8;

    /// <summary>Reads the chunk that <paramref name="bytes"/> begins with; false: more is to come.</summary>
    /// <param name="bytes">What came.</param>
    /// <param name="data">The chunk-data; empty for the last chunk.</param>
    /// <param name="length">Bytes of the whole chunk.</param>
    /// <exception cref="BenchmarkException">This is no chunk.</exception>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> data, out int length)
    {
        data = default;
        length = 0;
        int digits = bytes.IndexOf(CrLf);
        if (digits < 0)
            return false;
        if (!Utf8Parser.TryParse(bytes[..digits], out int size, out int read, 'x') || read != digits || size < 0)
            throw new BenchmarkException("The server sent a chunk without a size.");
        int start = digits + CrLf.Length;
        if (bytes.Length - start - CrLf.Length < size)
            return false;
        data = bytes.Slice(start, size);
        length = start + size + CrLf.Length;
        return bytes.Slice(start + size, CrLf.Length).SequenceEqual(CrLf)
            ? true
            : throw new BenchmarkException("The server sent a chunk that is longer than its size.");
    }
}
