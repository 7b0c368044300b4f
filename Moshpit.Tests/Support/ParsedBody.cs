using System.Buffers;
using System.Text;
using Moshpit.Server.Api;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Forms;

namespace Moshpit.Tests.Support;

/// <summary>What came of a body.</summary>
internal sealed record ParsedBody(bool Ok, Message Message, string Data, string? Error)
{
    /// <summary>The peers that it is for: <c>all</c>, <c>none</c>, a cid, or in brackets what an array names.</summary>
    public string For => Message switch
    {
        { CidField: IdField.Absent } => "all",
        { CidField: IdField.Malformed } => "none",
        { Several: { } several } => $"[{string.Join(',', several.All.Select(NameOf))}]",
        _ => TextOf(Message.Cid),
    };

    public static ParsedBody Json(string body) => Json(Encoding.UTF8.GetBytes(body));

    public static ParsedBody Json(byte[] body)
    {
        var data = new ArrayBufferWriter<byte>();
        bool ok = JsonBody.TryParse(body, data, out Message message, out string? error);
        return new ParsedBody(ok, message, TextOf(data), error);
    }

    public static ParsedBody Form(string body) => Form(Encoding.UTF8.GetBytes(body));

    public static ParsedBody Form(byte[] body)
    {
        var data = new ArrayBufferWriter<byte>();
        FormBody.Parse(body, data, out Message message);
        return new ParsedBody(true, message, TextOf(data), null);
    }

    /// <summary>The data of a form that must have some.</summary>
    public static string FormData(string body)
    {
        ParsedBody parsed = Form(body);
        Assert.That(parsed.Message.HasData, Is.True, body);
        return parsed.Data;
    }

    private static string NameOf(Addressee addressee) =>
        addressee.Unknown is { } unknown ? Encoding.UTF8.GetString(unknown) : TextOf(addressee.Cid);

    private static string TextOf(PeerId cid)
    {
        Span<byte> text = stackalloc byte[HexId.Length];
        cid.Value.Format(text);
        return Encoding.ASCII.GetString(text);
    }

    private static string TextOf(ArrayBufferWriter<byte> data) =>
        new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(data.WrittenSpan);
}
