using System.Text;
using System.Text.Json;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// What a user of the client may write: exactly what the runtime takes for one JSON value, so that nothing breaks out of the request;
/// and the addressee is taken out of it, and nothing else.
/// </summary>
internal sealed class ClientJsonTarget : FuzzTarget
{
    public override string Name => "client-json";

    public override int AllocationFactor => 64;

    public override string[] Dictionary =>
    [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "{}", "[]", "null", "true", "false", "0", "-", "1.5", "e+9", " ", "\n", "\"_cid\":",
        "\"_cid\":\"a\"",
        "\"_cid\":null", "\\u005fcid", "\\ud83d\\ude00", "\\ud800", "\u00f0\u009f\u0098\u0080", "\\\\", "\\\"", "01", "1,\"token\":\"x\"",
        "[[[[[[[[[[[[[[[[", "]]]]]]]]]]]]]]]]",
        "{\"a\":1,\"_cid\":\"b\",\"c\":[]}", "/**/", "\u00a0", "\u0085",
    ];

    public override string Check(byte[] input)
    {
        string json = Encoding.UTF8.GetString(input);
        string? cid = null;
        string? data = null;
        string? refusal = null;
        try
        {
            data = Json.TakeOutCid(json, out cid);
        }
        catch (ArgumentException e)
        {
            refusal = e.Message;
        }

        using JsonDocument? document = Read(json);
        bool badCid = refusal is not null && refusal.Contains("_cid", StringComparison.Ordinal);
        bool agreed = badCid ? document is not null : (data is not null) == document is not null;
        Require(agreed, $"Refused: {refusal}; the runtime takes it: {document is not null}");
        if (data is null)
            return refusal![..Math.Min(60, refusal!.Length)];
        using JsonDocument rest = Read(data) ?? throw new FuzzException($"What is left is no JSON: {data}");
        if (ReferenceEquals(data, json))
            return $"{rest.RootElement.ValueKind} {Magnitude(json.Length)}";
        string[] expected = [.. document!.RootElement.EnumerateObject().Where(p => NameOf(p) != "_cid").Select(p => p.ToString())];
        RequireSame(string.Join(',', rest.RootElement.EnumerateObject().Select(p => p.ToString())), string.Join(',', expected), "left");
        Require(rest.RootElement.EnumerateObject().All(p => NameOf(p) != "_cid"), "An addressee was left in.");
        return $"{cid is null} {expected.Length}";
    }

    public override void Probe(byte[] input)
    {
        try
        {
            Json.TakeOutCid(Encoding.UTF8.GetString(input), out _);
        }
        catch (ArgumentException)
        {
            // It is the documented one.
        }
    }

    private static string? NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static JsonDocument? Read(string json)
    {
        try
        {
            return JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 64 });
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
