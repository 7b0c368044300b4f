using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Server.Channels;

/// <summary>The peers of a channel as JSON, in the order in which they joined. For the holder of the channel's lock.</summary>
internal static class Roster
{
    /// <summary>Bytes of the longest one: peers beyond that are left out.</summary>
    public const int MaxLength = 64 * 1024;

    /// <summary>Bytes of the longest entry, but for what the peer says about itself.</summary>
    private const int EntryLength = 90;

    /// <summary>Bytes that suffice for the peers from the number <paramref name="from"/> on.</summary>
    public static int LengthBound(Members members, int from)
    {
        int bound = 0;
        foreach (Peer peer in members.From(from))
        {
            bound += EntryLength + (peer.Session?.Meta?.Length ?? 0);
            if (bound >= MaxLength)
                return MaxLength;
        }

        return bound;
    }

    /// <summary>Adds the member <c>peers</c> with the peers from the number <paramref name="from"/> on, as many as fit.</summary>
    public static void Write(SharedFrame output, Members members, int from)
    {
        output.Append(",\"peers\":["u8);
        int start = output.Length;
        foreach (Peer peer in members.From(from))
        {
            byte[]? meta = peer.Session?.Meta;
            if (output.Length - start + EntryLength + (meta?.Length ?? 0) > MaxLength)
                break;
            output.Append(output.Length == start ? "{\"cid\":\""u8 : ",{\"cid\":\""u8);
            EventWriter.WriteId(output, peer.Cid.Value);
            EventWriter.WriteMember(output, "\",\"n\":"u8, peer.Number);
            if (peer.Session is { IsAway: true })
                output.Append(",\"away\":true"u8);
            if (meta is not null)
            {
                output.Append(",\"meta\":"u8);
                output.Append(meta);
            }

            output.Append("}"u8);
        }

        output.Append("]"u8);
    }
}
