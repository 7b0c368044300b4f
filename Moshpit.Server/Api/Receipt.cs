using System.Buffers.Text;
using Moshpit.Server.Channels;

namespace Moshpit.Server.Api;

/// <summary>What the sender of a message hears of it, as JSON.</summary>
internal static class Receipt
{
    /// <summary>Bytes of the longest one.</summary>
    public const int MaxLength = 96;

    /// <summary>Writes it to the start of <paramref name="destination"/>.</summary>
    /// <returns>Its length.</returns>
    public static int Write(Span<byte> destination, in Delivery delivery)
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
        Put(destination, ref length, delivery.To);
        if (delivery.Away > 0)
        {
            Put(destination, ref length, ",\"away\":"u8);
            Put(destination, ref length, delivery.Away);
        }

        Put(destination, ref length, "}"u8);
        return length;
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
