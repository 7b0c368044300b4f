using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Text.Unicode;

namespace Moshpit.Server.Api;

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

    /// <summary>Reads <paramref name="body"/>; writes its <c>data</c> as compact JSON on one line to <paramref name="data"/>.</summary>
    /// <returns>True: anything is a form, if not always a useful one.</returns>
    public static bool TryParse(
        ReadOnlySpan<byte> body, IBufferWriter<byte> data, out Message message, [NotNullWhen(false)] out string? error)
    {
        error = null;
        byte[]? repaired = null;
        byte[]? rented = null;
        try
        {
            if (!Utf8.IsValid(body))
            {
                repaired = ArrayPool<byte>.Shared.Rent(checked(body.Length * 3));
                body = FormText.Repair(body, repaired);
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

        return true;
    }

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
            else if (tree.IsListOfOne("cid"u8, out cidText))
                message.SetListedCid(cidText);
            else if (cid is not null)
                message.SetMalformedCid();
            message.HasData = tree.TryWriteField("data"u8, data);
        }
        finally
        {
            tree.Dispose();
        }
    }

    private static void Gather(ReadOnlySpan<byte> body, int parameters, Span<byte> buffer, ref FormTree tree)
    {
        var text = new FormText(buffer);
        for (; parameters > 0; parameters--)
        {
            int end = body.IndexOf((byte)'&');
            ReadOnlySpan<byte> parameter = end < 0 ? body : body[..end];
            body = body[(end + 1)..];

            // An "=" may stand within brackets; the one behind them ends the key.
            int bracket = parameter.IndexOf("]="u8);
            int equals = bracket >= 0 ? bracket + 1 : parameter.IndexOf((byte)'=');
            Slice key = text.Decode(equals < 0 ? parameter : parameter[..equals]);
            Slice? value = equals < 0 ? null : text.Decode(parameter[(equals + 1)..]);
            if (key.Length > 0)
                tree.Gather(key, value);
        }
    }
}
