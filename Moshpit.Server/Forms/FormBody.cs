using System.Buffers;
using System.Numerics;
using System.Text;
using System.Text.Unicode;
using Moshpit.Server.Channels;

namespace Moshpit.Server.Forms;

/// <summary>
/// Reads a POST's body as <c>application/x-www-form-urlencoded</c>, with the nesting of the npm library <c>qs</c> 2.4
/// (PROTOCOL.md, part 1), except that names such as <c>toString</c> and <c>__proto__</c> are names like any other. Every value is a string.
/// </summary>
internal static class FormBody
{
    /// <summary>Parameters that are looked at, empty ones included; the rest is ignored (<c>qs</c>: <c>parameterLimit</c>).</summary>
    public const int MaxParameters = 1000;

    // A form of common shape stays on the stack.
    private const int StackText = 1024;
    private const int StackNodes = 32;

    /// <summary>
    /// Reads <paramref name="body"/>; writes its <c>data</c> as compact JSON on one line to <paramref name="data"/>. Any body is a form, if
    /// not always a useful one.
    /// </summary>
    public static void Parse(ReadOnlySpan<byte> body, IBufferWriter<byte> data, out Message message)
    {
        byte[]? repaired = null;
        byte[]? rented = null;
        try
        {
            if (!Utf8.IsValid(body))
            {
                repaired = ArrayPool<byte>.Shared.Rent(checked(body.Length * 3));
                body = Repair(body, repaired);
            }

            Span<byte> text = body.Length <= StackText ? stackalloc byte[StackText] : rented = ArrayPool<byte>.Shared.Rent(body.Length);
            Parse(body, text, data, out message);
        }
        finally
        {
            if (rented is not null)
                ArrayPool<byte>.Shared.Return(rented);
            if (repaired is not null)
                ArrayPool<byte>.Shared.Return(repaired);
        }
    }

    /// <summary>Copies <paramref name="body"/> with U+FFFD for what isn't UTF-8, which makes it three times as long at most.</summary>
    private static ReadOnlySpan<byte> Repair(ReadOnlySpan<byte> body, Span<byte> destination)
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

    /// <param name="body">The body, valid UTF-8.</param>
    /// <param name="text">Receives the decoded keys and values; as long as the body.</param>
    /// <param name="data">Receives the data as JSON.</param>
    /// <param name="message">The other fields.</param>
    private static void Parse(ReadOnlySpan<byte> body, Span<byte> text, IBufferWriter<byte> data, out Message message)
    {
        int parameters = Math.Min(body.Count((byte)'&') + 1, MaxParameters);
        Span<int> buckets = stackalloc int[(int)BitOperations.RoundUpToPowerOf2((uint)parameters * 2)];
        var tree = new FormTree(text, buckets, stackalloc FormNode[StackNodes]);
        try
        {
            Gather(body, parameters, text, ref tree);
            tree.Merge();
            message = default;
            if (tree.Field("token"u8, out ReadOnlySpan<byte> token) is not null)
                message.SetToken(token);
            FormNodeKind? cid = tree.Field("cid"u8, out ReadOnlySpan<byte> cidText);
            if (cid == FormNodeKind.Text)
                message.SetCid(cidText);
            else if (tree.TryReadStrings("cid"u8, out Addressees? several))
                message.SetCids(several);
            else if (cid is not null)
                message.SetMalformedCid();
            if (tree.Field("echo"u8, out ReadOnlySpan<byte> echo) is not null)
                message.SetEcho(echo);
            if (tree.Field("seq"u8, out ReadOnlySpan<byte> number) is not null)
                message.SetNumber(number);
            if (tree.Field("do"u8, out ReadOnlySpan<byte> verb) is not null)
                message.SetVerb(verb);
            if (tree.Field("stream"u8, out ReadOnlySpan<byte> stream) is not null)
                message.SetStream(stream);
            if (tree.Field("after"u8, out ReadOnlySpan<byte> after) is not null)
                message.SetAfter(after);
            if (tree.Field("from"u8, out ReadOnlySpan<byte> from) is not null)
                message.SetFrom(from);
            if (tree.Field("max"u8, out ReadOnlySpan<byte> max) is not null)
                message.SetMax(max);
            if (tree.Field("publish"u8, out ReadOnlySpan<byte> publish) is not null)
                message.SetPublish(publish);
            if (tree.Field("locked"u8, out ReadOnlySpan<byte> locked) is not null)
                message.SetLocked(locked);
            if (tree.Field("keep"u8, out ReadOnlySpan<byte> keep) is not null)
                message.SetKeep(keep);
            message.HasData = tree.TryWriteField("data"u8, data);
        }
        finally
        {
            tree.Dispose();
        }
    }

    private static void Gather(ReadOnlySpan<byte> body, int parameters, Span<byte> text, ref FormTree tree)
    {
        int used = 0;
        for (; parameters > 0; parameters--)
        {
            int end = body.IndexOf((byte)'&');
            ReadOnlySpan<byte> parameter = end < 0 ? body : body[..end];
            body = body[(end + 1)..];

            // An "=" may stand within brackets; the one behind them ends the key.
            int bracket = parameter.IndexOf("]="u8);
            int equals = bracket >= 0 ? bracket + 1 : parameter.IndexOf((byte)'=');
            Slice key = Decode(equals < 0 ? parameter : parameter[..equals], text, ref used);
            Slice? value = equals < 0 ? null : Decode(parameter[(equals + 1)..], text, ref used);
            if (key.Length > 0)
                tree.Gather(key, value);
        }
    }

    /// <summary>
    /// Decodes <paramref name="component"/> into <paramref name="text"/> at <paramref name="used"/>: <c>+</c> is a space, <c>%XX</c>
    /// a byte. A component with a bad escape, or with escapes that aren't UTF-8, stays as it was sent, every <c>+</c> and <c>%</c> of it.
    /// </summary>
    private static Slice Decode(ReadOnlySpan<byte> component, Span<byte> text, ref int used)
    {
        Span<byte> destination = text[used..];
        if (!TryDecode(component, destination, out int written))
        {
            component.CopyTo(destination);
            written = component.Length;
        }

        var slice = new Slice(used, written);
        used += written;
        return slice;
    }

    /// <summary>
    /// <paramref name="component"/> decoded into <paramref name="text"/>, as in a body; one that is longer than <paramref name="text"/> as
    /// it was sent.
    /// </summary>
    public static ReadOnlySpan<byte> DecodeShort(ReadOnlySpan<byte> component, Span<byte> text) =>
        component.Length <= text.Length && TryDecode(component, text, out int written) ? text[..written] : component;

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

/// <summary>A stretch of a form's decoded text.</summary>
internal readonly record struct Slice(int Start, int Length)
{
    public ReadOnlySpan<byte> Of(ReadOnlySpan<byte> text) => text.Slice(Start, Length);
}
