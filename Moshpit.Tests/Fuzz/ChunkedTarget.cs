using System.Buffers;
using System.Globalization;
using System.Text;
using Moshpit.Server.Http;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// A chunked body: decoded alike however it is cut, and, where it is accepted, as a decoder that knows nothing of pieces does.
/// </summary>
internal sealed class ChunkedTarget : FuzzTarget
{
    private static readonly Rejection TooLarge = new RequestLimits().BodyTooLarge;

    private const int Room = 512;

    private readonly byte[] _destination = new byte[Room];

    public override string Name => "chunked";

    public override int AllocationFactor => 0;

    public override bool CountsArraysInCheck => true;

    public override string[] Dictionary =>
    [
        "\r\n", "\r", "\n", "\r\n\r\n", "0\r\n\r\n", "0\r\n", "1\r\na\r\n", "5;a=b\r\nhello\r\n", "a\r\n0123456789\r\n", ";", "=", "\"",
        "\\\"",
        ";a", ";a=\"b\"", "ffffffffffffffff", "8000000000000000", "0000000000000001", "X: y\r\n", " ", "\t", "1f", "200\r\n", "201\r\n",
        "\0",
    ];

    public override string Check(byte[] input)
    {
        (string whole, string shape) = Decode([input], together: true);
        byte[][] pieces = Feed.Cut(input);
        RequireSame(Decode(pieces, together: false).Result, whole, "arriving in pieces");
        RequireSame(Decode(pieces, together: true).Result, whole, "as segments");
        if (whole.StartsWith("Done", StringComparison.Ordinal))
            RequireSame(whole, "Done " + Naively(Encoding.Latin1.GetString(input)), "read naively");
        return shape;
    }

    public override void Probe(byte[] input)
    {
        ChunkedDecoder decoder = default;
        int written = 0;
        var reader = new SequenceReader<byte>(new ReadOnlySequence<byte>(input));
        decoder.Decode(ref reader, _destination, ref written, TooLarge, out _);
    }

    private (string Result, string Shape) Decode(byte[][] pieces, bool together)
    {
        ChunkedDecoder decoder = default;
        int written = 0;
        Rejection? rejection = null;
        var feed = new Feed(pieces, together);
        ParseOutcome outcome = feed.Drive((ref SequenceReader<byte> reader) =>
            decoder.Decode(ref reader, _destination, ref written, TooLarge, out rejection));
        Require(written <= Room, "More was written than there is room for.");
        string data = Encoding.Latin1.GetString(_destination, 0, outcome == ParseOutcome.Done ? written : 0);
        string left = outcome == ParseOutcome.Done ? $" {feed.Left}" : "";
        return ($"{outcome} {rejection?.Name}{data}{left}", $"{outcome} {rejection?.Name} {Magnitude(written)} {left.Length}");
    }

    /// <summary>Of a body that is known to be well-formed.</summary>
    private static string Naively(string body)
    {
        var data = new StringBuilder();
        for (int at = 0; ;)
        {
            int line = body.IndexOf("\r\n", at, StringComparison.Ordinal);
            int size = int.Parse(body[at..line].Split(';')[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            at = line + 2;
            if (size > 0)
            {
                data.Append(body, at, size);
                at += size + 2;
                continue;
            }

            for (; line >= 0 && body.IndexOf("\r\n", at, StringComparison.Ordinal) != at; at = line + 2)
                line = body.IndexOf("\r\n", at, StringComparison.Ordinal);
            return $"{data} {body.Length - at - 2}";
        }
    }
}
