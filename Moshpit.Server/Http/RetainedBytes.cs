namespace Moshpit.Server.Http;

/// <summary>
/// A field value that outlives the buffer it came in. Its storage is kept from request to request, so that a warm one allocates
/// nothing.
/// </summary>
internal struct RetainedBytes
{
    /// <summary>Larger storage is for the rare request and is not worth keeping in a pool of thousands.</summary>
    private const int MaxKept = 1024;

    private const int FirstLength = 64;

    private byte[]? _storage;
    private int _length;

    public readonly ReadOnlySpan<byte> Span => _storage.AsSpan(0, _length);

    public readonly bool IsEmpty => _length == 0;

    /// <summary>Adds one more field line's value: <c>a</c>, then <c>a, b</c> (RFC 9110 section 5.3).</summary>
    public void AppendListed(ReadOnlySpan<byte> value)
    {
        if (!IsEmpty)
            Append(", "u8);
        Append(value);
    }

    public void Set(ReadOnlySpan<byte> value)
    {
        _length = 0;
        Append(value);
    }

    public void Clear()
    {
        _length = 0;
        if (_storage?.Length > MaxKept)
            _storage = null;
    }

    // Storage at least doubles. With room for no more than is needed, each of a hundred lines would copy all lines before it.
    private void Append(ReadOnlySpan<byte> bytes)
    {
        int needed = _length + bytes.Length;
        if (_storage is null || _storage.Length < needed)
            Array.Resize(ref _storage, Math.Max(needed, _storage is null ? FirstLength : 2 * _storage.Length));
        bytes.CopyTo(_storage.AsSpan(_length));
        _length = needed;
    }
}
