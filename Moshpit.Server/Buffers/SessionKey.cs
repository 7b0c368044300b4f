using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Moshpit.Server.Buffers;

/// <summary>
/// What the server keeps of a session's secret: a hash of it and of the channel that it is for. Nothing that the server holds leads back to
/// the secret, and the keys of one session in two channels have nothing in common.
/// </summary>
internal readonly record struct SessionKey(HexId Value)
{
    /// <summary>Bytes of the shortest and the longest secret.</summary>
    public const int ShortestSecret = 22, LongestSecret = 64;

    /// <summary>The key of the session with the secret <paramref name="secret"/> in the channel <paramref name="id"/>.</summary>
    public static SessionKey Of(ChannelId id, ReadOnlySpan<byte> secret)
    {
        // The slash: otherwise a short name and a long secret could be the same text as a long name and a short secret.
        Span<byte> text = stackalloc byte[ChannelId.MaxLength + 1 + LongestSecret];
        id.Format(text);
        text[id.Length] = (byte)'/';
        secret.CopyTo(text[(id.Length + 1)..]);
        return new SessionKey(Hash(text[..(id.Length + 1 + secret.Length)]));
    }

    /// <summary>The key by which that session finds the channel that it created.</summary>
    public static SessionKey OfCreator(ReadOnlySpan<byte> secret)
    {
        Span<byte> text = stackalloc byte[1 + LongestSecret];
        text[0] = (byte)'/';
        secret.CopyTo(text[1..]);
        return new SessionKey(Hash(text[..(1 + secret.Length)]));
    }

    /// <summary>The first half of the SHA-256 of <paramref name="text"/>.</summary>
    public static HexId Hash(ReadOnlySpan<byte> text)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(text, hash);
        return new HexId(BinaryPrimitives.ReadUInt128BigEndian(hash));
    }

    /// <summary>Nothing of it, as with a token.</summary>
    public override string ToString() => "(session)";
}
