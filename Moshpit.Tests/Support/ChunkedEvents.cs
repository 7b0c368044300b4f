using System.Globalization;
using System.Text;

namespace Moshpit.Tests.Support;

/// <summary>
/// Takes the chunks off an event stream, and fails where one of them is not just one event or comment (PROTOCOL.md, part 2).
/// </summary>
internal sealed class ChunkedEvents
{
    private readonly StringBuilder _line = new();
    private State _state;
    private int _left;
    private int _lineFeeds;

    private enum State
    {
        Size,
        Data,
        DataEnd,
        Trailer,
        Ended,
    }

    /// <summary>The last chunk has come: the stream ended in good order.</summary>
    public bool HasEnded => _state == State.Ended;

    /// <summary>Takes in more of the stream, cut anywhere, and adds what is data of it to <paramref name="events"/>.</summary>
    public void Decode(ReadOnlySpan<byte> bytes, Action<byte> events)
    {
        foreach (byte next in bytes)
        {
            if (_state == State.Data)
            {
                TakeData(next);
                events(next);
                continue;
            }

            _line.Append((char)next);
            if (next == '\n')
                TakeLine(_line.ToString());
        }
    }

    private void TakeData(byte next)
    {
        // Without a constraint: it is looked at for each byte.
        if (_lineFeeds == 2)
            Assert.Fail("Something followed an event in its chunk.");
        _lineFeeds = next == '\n' ? _lineFeeds + 1 : 0;
        if (--_left > 0)
            return;
        Assert.That(_lineFeeds, Is.EqualTo(2), "A chunk ended before its event did.");
        _state = State.DataEnd;
    }

    private void TakeLine(string line)
    {
        _line.Clear();
        Assert.That(line, Does.EndWith("\r\n"), "Only CRLF ends a line of the framing.");
        switch (_state)
        {
            case State.Size:
                Assert.That(line, Does.Match("^(0|[1-9a-f][0-9a-f]*)\r\n$"),
                    "A size is lower-case hex without zeros before it, extensions or blanks.");
                _left = int.Parse(line.AsSpan(0, line.Length - 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                _lineFeeds = 0;
                _state = _left > 0 ? State.Data : State.Trailer;
                break;
            case State.DataEnd:
            case State.Trailer:
                Assert.That(line, Is.EqualTo("\r\n"), "A chunk ends where its size says, and no trailers are sent.");
                _state = _state == State.DataEnd ? State.Size : State.Ended;
                break;
            default:
                Assert.Fail("Something came after the last chunk.");
                break;
        }
    }
}
