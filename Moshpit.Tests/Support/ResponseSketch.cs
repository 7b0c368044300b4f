using System.Globalization;
using System.Text.RegularExpressions;

namespace Moshpit.Tests.Support;

/// <summary>One of the responses in what a connection brought, as far as telling it from the next needs.</summary>
/// <param name="Status">Null where the bytes are no response.</param>
/// <param name="Complete">Nothing of it is still to come. An event stream counts as complete with its head.</param>
internal readonly record struct ResponseSketch(int? Status, bool Complete)
{
    public static List<ResponseSketch> ReadAll(string text, bool closed, bool isHead)
    {
        var responses = new List<ResponseSketch>();
        for (int start = 0; start < text.Length;)
        {
            int end = text.IndexOf("\r\n\r\n", start, StringComparison.Ordinal);
            Match line = Regex.Match(text[start..(end < 0 ? text.Length : end)], @"\AHTTP/1\.[01] (\d{3})(?: |\r|\z)");
            if (end < 0 || !line.Success)
            {
                responses.Add(new(line.Success ? Number(line) : null, end >= 0 && closed));
                break;
            }

            int status = Number(line);
            var response = new RawResponse(text[start..(end + 4)]);
            start = end + 4;
            if (status is < 200 or 204 or 304 || isHead)
            {
                responses.Add(new(status, true));
                continue;
            }

            if (response["Content-Type"]?.StartsWith("text/event-stream", StringComparison.Ordinal) == true && status < 300)
            {
                responses.Add(new(status, true));
                break;
            }

            bool whole = response.Length is { } length && start + length <= text.Length;
            responses.Add(new(status, whole || closed));
            if (!whole)
                break;
            start += response.Length!.Value;
        }

        return responses;
    }

    private static int Number(Match line) => int.Parse(line.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
}
