using System.Buffers;
using System.Text;
using Moshpit.Server.Api;
using Moshpit.Server.Forms;

namespace Moshpit.Tests.Support;

/// <summary>What came of a body.</summary>
internal sealed record ParsedBody(bool Ok, Message Message, string Data, string? Error)
{
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

    private static string TextOf(ArrayBufferWriter<byte> data) =>
        new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(data.WrittenSpan);
}
