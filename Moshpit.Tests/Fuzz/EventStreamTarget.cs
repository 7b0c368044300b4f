using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// The client's parser of event streams: the same events however the stream is cut, and those that the text of the standard, taken
/// literally, finds.
/// </summary>
internal sealed partial class EventStreamTarget : FuzzTarget
{
    private const int Small = 64;

    public override string Name => "event-stream";

    // An event is an object with three strings, and may be as short as "data\n\n".
    public override int AllocationFactor => 64;

    public override string[] Dictionary =>
    [
        "\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", ":", ": ", ":\n\n", "event: ", "event:", "data: ", "data:", "data", "id: ", "id\n",
        "retry: ",
        "retry:1000", "\u00ef\u00bb\u00bf", "\u0000", "\u00ff", "\u00e2\u0080\u00a8", "connect\n", "join\n", "leave\n", "signal\n", " ",
        "{}", "\"\"", "\"id\":\"a\"",
        "event: connect\ndata: {\"id\":\"a\",\"cid\":\"b\",\"token\":\"c\"}\n\n", "event: signal\ndata: 1\n\n", "9999999999999999999",
        "\\u00e9", "event: signal\ndata: {\"_cid\":\"a\",\"b\":1}\n\n", "\"_cid\":1,", "\\u005fcid",
    ];

    public override string Check(byte[] input)
    {
        Result whole = Parse([input], int.MaxValue);
        Require(whole.Failure is null, "A stream within every limit was refused.");
        byte[][] pieces = Feed.Cut(input);
        RequireSame(Parse(pieces, int.MaxValue).Text, whole.Text, "arriving in pieces");
        RequireSame(Parse(pieces, Small).Text, Parse([input], Small).Text, "arriving in pieces, with a small limit");
        string ours = string.Join('\n', whole.Events.Select(e => $"{e.Name}|{WithoutCid(e.Name, e.Data)}|{e.LastEventId}"));
        Require(whole.Events.TrueForAll(e => ReferenceEquals(WithoutCid(e.Name, e.Data), e.Data)), "A cid was left in.");
        RequireSame(ours, Literally(Encoding.UTF8.GetString(input)), "ours");
        return $"{Magnitude(whole.Events.Count)} {whole.IsInsideEvent}\n{string.Join('\n', whole.Events.Select(Shape))}";
    }

    public override void Probe(byte[] input)
    {
        var events = new List<MoshpitEvent>();
        new SseParser(int.MaxValue).Push(input, events);
    }

    private static string Shape(MoshpitEvent e) =>
        $"{(e.Name.Length < 8 ? e.Name : "?")}{Magnitude(e.Data.Length)}{e.Id is null}{e.Token is null}{e.LastEventId.Length > 0}";

    private static Result Parse(byte[][] pieces, int limit)
    {
        var parser = new SseParser(limit);
        var result = new Result();
        try
        {
            foreach (byte[] piece in pieces)
                parser.Push(piece, result.Events);
        }
        catch (MoshpitException e)
        {
            result.Failure = e.Message;
        }

        result.IsInsideEvent = parser.IsInsideEvent;
        result.Text = string.Concat(result.Events.Select(e => $"{e.Name}|{e.Data}|{e.LastEventId}|{e.Id}|{e.Cid}|{e.Token}\n")) +
            (result.Failure ?? $"{parser.LastEventId} {parser.IsInsideEvent}");
        return result;
    }

    /// <summary>
    /// WHATWG HTML 9.2.6, sentence by sentence. (The parser of the runtime differs from it: there an event without data hands its name on
    /// to the next one.)
    /// </summary>
    private static string Literally(string stream)
    {
        string[] lines = LineEnd().Split(stream.StartsWith('\uFEFF') ? stream[1..] : stream);
        var events = new List<string>();
        var data = new StringBuilder();
        string type = "";
        string idBuffer = "";
        foreach (string line in lines[..^1])
        {
            if (line.Length == 0)
            {
                if (data.Length > 0)
                    events.Add($"{(type.Length > 0 ? type : "message")}|{WithoutCid(type, data.ToString(0, data.Length - 1))}|{idBuffer}");
                type = "";
                data.Clear();
                continue;
            }

            string[] parts = line.Split(':', 2);
            string value = parts.Length < 2 ? "" : parts[1].StartsWith(' ') ? parts[1][1..] : parts[1];
            if (parts[0] == "event")
                type = value;
            else if (parts[0] == "data")
                data.Append(value).Append('\n');
            else if (parts[0] == "id" && !value.Contains('\0'))
                idBuffer = value;
        }

        return string.Join('\n', events);
    }

    /// <summary>What is left of a signal, by the runtime's reader of JSON; the same string if nothing has to go.</summary>
    private static string WithoutCid(string type, string data)
    {
        if (type != "signal")
            return data;
        try
        {
            using JsonDocument document = JsonDocument.Parse(data, new JsonDocumentOptions { MaxDepth = 63 });
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.EnumerateObject().Any(IsCid))
                return data;
            return $"{{{string.Join(',', document.RootElement.EnumerateObject().Where(p => !IsCid(p)))}}}";
        }
        catch (JsonException)
        {
            return data;
        }
    }

    private static bool IsCid(JsonProperty property)
    {
        try
        {
            return property.NameEquals("_cid");
        }
        catch (InvalidOperationException)
        {
            return false; // half a surrogate pair
        }
    }

    [GeneratedRegex("\r\n|\n|\r")]
    private static partial Regex LineEnd();

    private sealed class Result
    {
        public List<MoshpitEvent> Events { get; } = [];

        public string Text { get; set; } = "";

        public string? Failure { get; set; }

        public bool IsInsideEvent { get; set; }
    }
}
