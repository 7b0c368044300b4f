using System.Buffers.Text;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;

namespace Moshpit.Server.Api;

/// <summary>What the sender of a message hears of it, as JSON.</summary>
internal static class Receipt
{
    /// <summary>Bytes of the longest one that does not name peers.</summary>
    public const int MaxLength = 96;

    /// <summary>Bytes of a receipt for one of several peers, besides its name.</summary>
    private const int StateLength = 8;

    /// <summary>Bytes of a cid as JSON.</summary>
    private const int CidLength = HexId.Length + 2;

    /// <summary>Bytes that suffice for a receipt; <paramref name="several"/> is null where the message named no array of peers.</summary>
    public static int LengthBound(Addressees? several)
    {
        int bound = MaxLength;
        foreach (Addressee addressee in several?.All ?? [])
            bound += (addressee.Unknown?.Length ?? CidLength) + StateLength;
        return bound;
    }

    /// <summary>Writes it to the start of <paramref name="destination"/>.</summary>
    /// <returns>Its length.</returns>
    public static int Write(Span<byte> destination, in Delivery delivery, Addressees? several)
    {
        if (delivery.Outcome == DeliveryOutcome.Repeated)
        {
            "{\"duplicate\":true}"u8.CopyTo(destination);
            return "{\"duplicate\":true}"u8.Length;
        }

        int length = 0;
        Put(destination, ref length, "{"u8);
        if (delivery.Sequence != 0)
        {
            Put(destination, ref length, "\"event\":\""u8);
            Put(destination, ref length, delivery.Sequence);
            Put(destination, ref length, "."u8);
            Put(destination, ref length, delivery.Sender);
            Put(destination, ref length, "\","u8);
        }

        Put(destination, ref length, "\"to\":"u8);
        if (several is not null)
        {
            PutEach(destination, ref length, several);
            Put(destination, ref length, "}"u8);
            return length;
        }

        Put(destination, ref length, delivery.To);
        if (delivery.Away > 0)
        {
            Put(destination, ref length, ",\"away\":"u8);
            Put(destination, ref length, delivery.Away);
        }

        Put(destination, ref length, "}"u8);
        return length;
    }

    private static void PutEach(Span<byte> destination, ref int length, Addressees several)
    {
        ReadOnlySpan<byte> before = "{"u8;
        foreach (Addressee addressee in several.All)
        {
            Put(destination, ref length, before);
            before = ","u8;
            if (addressee.Unknown is { } unknown)
            {
                Put(destination, ref length, unknown);
            }
            else
            {
                Put(destination, ref length, "\""u8);
                addressee.Cid.Value.Format(destination[length..]);
                length += HexId.Length;
                Put(destination, ref length, "\""u8);
            }

            Put(destination, ref length, addressee.State switch
            {
                AddresseeState.Sent => ":\"sent\""u8,
                AddresseeState.Away => ":\"away\""u8,
                _ => ":\"gone\""u8,
            });
        }

        Put(destination, ref length, "}"u8);
    }

    private static void Put(Span<byte> destination, ref int length, ReadOnlySpan<byte> text)
    {
        text.CopyTo(destination[length..]);
        length += text.Length;
    }

    private static void Put(Span<byte> destination, ref int length, long number)
    {
        Utf8Formatter.TryFormat(number, destination[length..], out int written);
        length += written;
    }
}
