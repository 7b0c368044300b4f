using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Moshpit.Server.Api;

/// <summary>The decoded keys and values of a form, one behind the other in a buffer that is as long as the body.</summary>
internal ref struct FormText(Span<byte> buffer)
{
    private readonly Span<byte> _buffer = buffer;
    private int _length;

    /// <summary>
    /// Decodes <paramref name="component"/>: <c>+</c> is a space, <c>%XX</c> a byte. One with a bad escape, or with escapes that
    /// aren't UTF-8, stays as it was sent, every <c>+</c> and <c>%</c> of it.
    /// </summary>
    public Slice Decode(ReadOnlySpan<byte> component)
    {
        Span<byte> destination = _buffer[_length..];
        if (!TryDecode(component, destination, out int written))
        {
            component.CopyTo(destination);
            written = component.Length;
        }

        var slice = new Slice(_length, written);
        _length += written;
        return slice;
    }

    /// <summary>Copies <paramref name="body"/> with U+FFFD for what isn't UTF-8, which makes it three times as long at most.</summary>
    public static ReadOnlySpan<byte> Repair(ReadOnlySpan<byte> body, Span<byte> destination)
    {
        int written = 0;
        while (!body.IsEmpty)
        {
            Rune.DecodeFromUtf8(body, out Rune rune, out int length);
            written += rune.EncodeToUtf8(destination[written..]);
            body = body[length..];
        }

        return destination[..written];
    }

    private static bool TryDecode(ReadOnlySpan<byte> component, Span<byte> destination, out int written)
    {
        written = 0;
        while (true)
        {
            int plain = component.IndexOfAny((byte)'%', (byte)'+');
            if (plain < 0)
                break;
            component[..plain].CopyTo(destination[written..]);
            written += plain;
            component = component[plain..];
            if (component[0] == '+')
            {
                destination[written++] = (byte)' ';
                component = component[1..];
                continue;
            }

            // A character's bytes are either all escaped or none, so each run of escapes is UTF-8 in itself.
            int start = written;
            while (component.StartsWith((byte)'%'))
            {
                if (component.Length < 3
                    || Convert.FromHexString(component[1..3], destination.Slice(written, 1), out _, out _) != OperationStatus.Done)
                    return false;
                written++;
                component = component[3..];
            }

            if (!Utf8.IsValid(destination[start..written]))
                return false;
        }

        component.CopyTo(destination[written..]);
        written += component.Length;
        return true;
    }
}
