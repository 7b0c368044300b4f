using System.Buffers;
using System.Text;
using CsCheck;
using Moshpit.Server.Forms;
using Moshpit.Server.Http;
using Moshpit.Tests.Fuzz;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>What is written into a body comes out of it. How often it is tried, and how to try more: <see cref="Any"/>.</summary>
[Parallelizable]
public sealed class BodyProperties
{
    private const string Id = "0123456789abcdef0123456789abcdef";

    [Test]
    public void A_chunked_body_is_what_went_into_its_chunks()
    {
        Gen<string> extension = Gen.OneOf("", "", ";a", ";a=b", ";a=\";\\\"\";c");
        Gen<string> trailer = Gen.OneOf("", "X: y\r\n", "Content-Length: 5\r\nY:\r\n");
        Gen.Select(Any.Bytes, Any.Cuts, extension, trailer, Any.Cuts).Sample((data, chunks, chunkExtension, trailers, cuts) =>
        {
            byte[][] pieces = [.. Any.Cut(data, chunks).Where(piece => piece.Length > 0)];
            string sent = string.Concat(pieces.Select(piece =>
                $"{piece.Length:x}{chunkExtension}\r\n{Encoding.Latin1.GetString(piece)}\r\n"));
            byte[] body = Encoding.Latin1.GetBytes($"{sent}0{chunkExtension}\r\n{trailers}\r\nnext");
            foreach (bool together in new[] { false, true })
            {
                ChunkedDecoder decoder = default;
                byte[] decoded = new byte[256];
                int written = 0;
                var feed = new Feed(Any.Cut(body, cuts), together);
                ParseOutcome outcome = feed.Drive((ref SequenceReader<byte> reader) =>
                    decoder.Decode(ref reader, decoded, ref written, new RequestLimits().BodyTooLarge, out _));
                Any.RequireSame((outcome, feed.Left), (ParseOutcome.Done, 4));
                Any.RequireSame(Convert.ToHexString(decoded[..written]), Convert.ToHexString(data));
            }
        });
    }

    [Test]
    public void Any_JSON_value_is_delivered_as_that_value_on_one_line()
    {
        Gen.Select(Any.Json, Any.Blank, Gen.Bool).Sample((value, blank, dataFirst) =>
        {
            string token = $"\"token\"{blank}:\"{Id}\"";
            string data = $"\"\\u0064ata\":{blank}{value}";
            ParsedBody parsed = ParsedBody.Json($"{{{(dataFirst ? $"{data},{token}" : $"{token}{blank},{data}")}}}");
            Any.RequireSame((parsed.Ok, parsed.Message.TokenField), (true, IdField.Present));
            byte[] delivered = Any.Utf8(parsed.Data);
            EventData.RequireSafe(delivered);
            Any.RequireSame(EventData.Tokens(delivered), EventData.Tokens(Any.Utf8(value)));
        });
    }

    [Test]
    public void What_the_original_client_posts_as_a_form_is_read_as_it_was_written()
    {
        Gen.Select(FormValue.Any, Gen.Bool, Gen.Bool).Sample((value, brackets, plus) =>
        {
            string form = $"token={Id}{value.Stringify("data", brackets, plus)}";
            ParsedBody parsed = ParsedBody.Form(form);
            Any.RequireSame(parsed.Message.HasData, value.Json is not null);
            if (value.Json is not null)
                Any.RequireSame(EventData.Tokens(Any.Utf8(parsed.Data)), EventData.Tokens(Any.Utf8(value.Json)));
        });
    }
}
