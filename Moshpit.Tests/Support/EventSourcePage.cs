namespace Moshpit.Tests.Support;

/// <summary>
/// A page whose script opens EventSources and notes what they hear. The script does nothing else, so the browser alone decides whether a
/// source comes back.
/// </summary>
internal sealed class EventSourcePage : IDisposable
{
    private const string Page =
        """
        <!doctype html>
        <title>EventSource</title>
        <script>
        const notes = [];
        function listen(url) {
            const secret = crypto.randomUUID();
            const source = new EventSource(`${url}?session=${secret}`);
            const note = { secret, source, events: [], errors: 0 };
            for (const name of ['connect', 'signal', 'gap', 'bye', 'join', 'leave', 'away', 'back'])
                source.addEventListener(name, e => note.events.push(
                    { name, data: JSON.parse(e.data), id: e.lastEventId, sender: e.lastEventId.split('.')[1] }));
            source.onerror = () => note.errors++;
            return notes.push(note) - 1;
        }
        function tell(index) {
            const { source, events, errors } = notes[index];
            return JSON.stringify({ state: source.readyState, errors, events });
        }
        </script>
        """;

    private readonly Browser _browser = new(Page);

    /// <summary>What the page's EventSources send as <c>Origin</c>.</summary>
    public string Origin => _browser.Origin;

    /// <summary>Opens an EventSource with a new session.</summary>
    /// <param name="relay">Leads to the server.</param>
    /// <param name="path">A channel's, or the root's.</param>
    public PageSource Listen(ResettingRelay relay, string path) =>
        new(_browser, int.Parse(_browser.Evaluate($"listen('http://127.0.0.1:{relay.Port}{path}')")), relay);

    public void Dispose() => _browser.Dispose();
}
