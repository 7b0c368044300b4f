using System.Text;
using Moshpit.Server.Api;
using Moshpit.Server.Forms;

namespace Moshpit.Tests.Support;

/// <summary>What came of a body.</summary>
internal sealed record ParsedBody(bool Ok, Message Message, string Data, string? Error)
{
    private delegate bool Parser(
        ReadOnlySpan<byte> body, System.Buffers.IBufferWriter<byte> data, out Message message, out string? error);

    public static ParsedBody Json(string body) => Json(Encoding.UTF8.GetBytes(body));

    public static ParsedBody Json(byte[] body) => Parse(JsonBody.TryParse!, body);

    public static ParsedBody Form(string body) => Form(Encoding.UTF8.GetBytes(body));

    public static ParsedBody Form(byte[] body) => Parse(FormBody.TryParse!, body);

    /// <summary>The data of a form that must have some.</summary>
    public static string FormData(string body)
    {
        ParsedBody parsed = Form(body);
        Assert.That(parsed.Message.HasData, Is.True, body);
        return parsed.Data;
    }

    private static ParsedBody Parse(Parser parser, byte[] body)
    {
        var data = new System.Buffers.ArrayBufferWriter<byte>();
        bool ok = parser(body, data, out Message message, out string? error);
        return new ParsedBody(ok, message, new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(data.WrittenSpan), error);
    }
}
