using System.Buffers;
using System.Text;

namespace Moshpit.Server.Buffers;

/// <summary>
/// What a channel is called: 128 random bits, which are the key to it as well, or a name of 1 to 64 of <c>[a-z0-9]</c> that its creator
/// chose, which is no secret. What has 32 hex digits is never a chosen name.
/// </summary>
internal readonly struct ChannelId : IEquatable<ChannelId>
{
    /// <summary>Bytes of the longest one.</summary>
    public const int MaxLength = 64;

    private static readonly SearchValues<byte> NameBytes = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789"u8);

    private readonly HexId _value;
    private readonly byte[]? _name;

    public ChannelId(HexId value) => _value = value;

    private ChannelId(byte[] name) => _name = name;

    /// <summary>It was chosen.</summary>
    public bool IsName => _name is not null;

    /// <summary>Bytes of its wire form.</summary>
    public int Length => _name?.Length ?? HexId.Length;

    /// <summary>Reads the wire form; anything else is no id.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out ChannelId id)
    {
        id = default;
        if (HexId.TryParse(text, out HexId value))
            id = new ChannelId(value);
        else if (IsValidName(text))
            id = new ChannelId(text.ToArray());
        else
            return false;
        return true;
    }

    /// <summary>Whether <paramref name="text"/> may be chosen.</summary>
    public static bool IsValidName(ReadOnlySpan<byte> text) =>
        text.Length is > 0 and <= MaxLength && !text.ContainsAnyExcept(NameBytes) && !HexId.TryParse(text, out _);

    /// <summary>Writes the wire form to the start of <paramref name="destination"/>.</summary>
    public void Format(Span<byte> destination)
    {
        if (_name is null)
            _value.Format(destination);
        else
            _name.CopyTo(destination);
    }

    public bool Equals(ChannelId other) =>
        _name is null ? other._name is null && _value.Equals(other._value) : _name.AsSpan().SequenceEqual(other._name);

    public override bool Equals(object? obj) => obj is ChannelId other && Equals(other);

    public override int GetHashCode() => _name is null ? _value.GetHashCode() : HashOf(_name);

    /// <summary>The name, or the first 8 digits, for logs: a whole id is a key.</summary>
    public override string ToString() => _name is null ? _value.ToString() : Encoding.ASCII.GetString(_name);

    // Clients choose names: the hash has a secret, so that they can't crowd a bucket.
    private static int HashOf(ReadOnlySpan<byte> name)
    {
        var hash = default(HashCode);
        hash.AddBytes(name);
        return hash.ToHashCode();
    }

    /// <summary>Compares ids, and finds one by its wire form without making it.</summary>
    public sealed class Comparer : IEqualityComparer<ChannelId>, IAlternateEqualityComparer<ReadOnlySpan<byte>, ChannelId>
    {
        public static readonly Comparer Instance = new();

        public bool Equals(ChannelId one, ChannelId other) => one.Equals(other);

        public int GetHashCode(ChannelId id) => id.GetHashCode();

        public bool Equals(ReadOnlySpan<byte> text, ChannelId id) => id._name is null
            ? HexId.TryParse(text, out HexId value) && value.Equals(id._value)
            : text.SequenceEqual(id._name);

        public int GetHashCode(ReadOnlySpan<byte> text) => HexId.TryParse(text, out HexId value) ? value.GetHashCode() : HashOf(text);

        public ChannelId Create(ReadOnlySpan<byte> text) => throw new NotSupportedException();
    }
}
