using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Moshpit.Server.Api;
using Moshpit.Server.Channels;
using Moshpit.Server.Forms;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// A JSON body: accepted where the runtime's own reader accepts it, with the fields and the data that the runtime finds in it.
/// </summary>
internal sealed class JsonBodyTarget : FuzzTarget
{
    private readonly ArrayBufferWriter<byte> _data = new();

    public override string Name => "json-body";

    // The message of the exception that a bad body is: it may quote all of it, and is put together in steps.
    public override int AllocationFactor => 32;

    public override string[] Dictionary =>
    [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "{}", "[]", "\"\"", "null", "true", "false", "0", "-1", "1e9", "-0.5E+10", " ", "\n",
        "\r\n", "\t",
        "\"token\":", "\"data\":", "\"cid\":", "\"0123456789abcdef0123456789abcdef\"", "\\u0064ata", "\\u0020", "\\ud800", "\\udc00",
        "\\n", "\\/",
        ": ", ":  ", "\": \"", ":\\u0020", "[[[[[[[[[[[[[[[[", "]]]]]]]]]]]]]]]]", "{\"data\":{\"data\":", "\u00ef\u00bb\u00bf",
        "\u00c3\u00a9", "\u00ed\u00a0\u0080",
        "{\"token\":\"0123456789abcdef0123456789abcdef\",\"data\":{\"a\": \"b: c\"}}", "//", "/*", "\u007f", "\u0000", "\u00e2\u0080\u00a8",
        "\u00c2\u0085", "\"cid\":[\"0123456789abcdef0123456789abcdef\"]",
        "\"0123456789abcdef0123456789abcdef\",\"0123456789abcdef0123456789abcdef\",",
    ];

    public override string Check(byte[] input)
    {
        _data.ResetWrittenCount();
        bool accepted = JsonBody.TryParse(input, _data, out Message message, out string? error);
        Require(accepted == (error is null), "A refusal has a reason, and nothing else has.");
        Require(error is null || (error.Length < 300 && !error.Any(char.IsControl)), "A reason is not one short line of text.");
        using JsonDocument? document = Read(input);
        Require(accepted == document is not null, $"Accepted: {accepted}, which the runtime's own reader does not say: {error}");
        if (!accepted)
        {
            Require(_data.WrittenCount == 0 && !message.HasData, "Something was written for a refused body.");
            return "refused";
        }

        CheckFields(document!.RootElement, message);
        return $"{message.TokenField} {message.CidField} {message.HasData} {Magnitude(_data.WrittenCount)}";
    }

    public override void Probe(byte[] input)
    {
        _data.ResetWrittenCount();
        JsonBody.TryParse(input, _data, out _, out _);
    }

    private static JsonDocument? Read(byte[] input)
    {
        if (!Utf8.IsValid(input))
            return null;
        try
        {
            JsonDocument document = JsonDocument.Parse(input, new JsonDocumentOptions { MaxDepth = JsonBody.MaxDepth });
            if (document.RootElement.ValueKind is JsonValueKind.Object or JsonValueKind.Array)
                return document;
            document.Dispose();
            return null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void CheckFields(JsonElement root, in Message message)
    {
        JsonElement? data = Last(root, "data");
        Require(message.HasData == data.HasValue, "data was overlooked, or found where there is none.");
        if (data is { } value)
        {
            EventData.RequireSafe(_data.WrittenSpan);
            RequireSame(EventData.Tokens(_data.WrittenSpan), EventData.Tokens(Encoding.UTF8.GetBytes(value.GetRawText())), "data");
        }

        JsonElement? token = Last(root, "token");
        RequireSame(message.TokenField, token is null ? IdField.Absent : IsId(token.Value) ? IdField.Present : IdField.Malformed, "token");
        JsonElement? cid = Last(root, "cid");
        bool none = cid is null || cid.Value.ValueKind == JsonValueKind.Null || cid.Value.GetRawText() == "\"\"";
        List<string>? names = NamesIn(cid);
        IdField field = none ? IdField.Absent : names is not null || IsId(cid!.Value) ? IdField.Present : IdField.Malformed;
        RequireSame(message.CidField, field, "cid");
        RequireSame(message.Several is null, names is null, "several cids");
        if (message.Several is { } several)
        {
            RequireSame(several.AreTooMany, names!.Count > Addressees.Most, "too many cids");
            RequireSame(several.All.Count, names.Take(Addressees.Most).Distinct(StringComparer.Ordinal).Count(), "different cids");
        }
    }

    private static JsonElement? Last(JsonElement root, string name)
    {
        JsonElement? last = null;
        if (root.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty property in root.EnumerateObject())
            {
                if (TextOf(() => property.Name) == name)
                    last = property.Value;
            }
        }

        return last;
    }

    /// <summary>The strings of an array that has nothing else: a cid itself, another text as it is written. Else null.</summary>
    private static List<string>? NamesIn(JsonElement? value)
    {
        if (value is not { ValueKind: JsonValueKind.Array } array)
            return null;
        List<JsonElement> elements = [.. array.EnumerateArray()];
        return elements.TrueForAll(element => element.ValueKind == JsonValueKind.String)
            ? elements.ConvertAll(element => IsId(element) ? element.GetString()! : element.GetRawText())
            : null;
    }

    private static bool IsId(JsonElement value) =>
        value.ValueKind == JsonValueKind.String && TextOf(() => value.GetString()) is { Length: 32 } text
            && text.All(char.IsAsciiHexDigitLower);

    /// <summary>Null where it is no text: half a surrogate pair.</summary>
    private static string? TextOf(Func<string?> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }
}
