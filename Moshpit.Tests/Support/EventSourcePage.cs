using System.Text.Json;

namespace Moshpit.Tests.Support;

/// <summary>
/// A page whose script opens EventSources and notes what they hear. It does nothing else: whether a source comes back is the browser's
/// affair alone.
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

    /// <summary>The page's, as its EventSources name it.</summary>
    public string Origin => _browser.Origin;

    /// <summary>Opens an EventSource, with a session of its own, through <paramref name="relay"/>.</summary>
    /// <param name="relay">What leads to the server.</param>
    /// <param name="path">Of a channel, or the root.</param>
    public PageSource Listen(ResettingRelay relay, string path) =>
        new(_browser, int.Parse(_browser.Evaluate($"listen('http://127.0.0.1:{relay.Port}{path}')")), relay);

    public void Dispose() => _browser.Dispose();
}

/// <summary>An EventSource of the page.</summary>
internal sealed class PageSource(Browser browser, int index, ResettingRelay relay) : IDisposable
{
    /// <summary>Each look goes through two other processes, so looks come at intervals.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    private string _told = "";

    public ResettingRelay Relay { get; } = relay;

    /// <summary>The session's secret, which the page made.</summary>
    public string Secret { get; } = browser.Evaluate($"notes[{index}].secret");

    /// <summary>All events so far, as the page saw them. <c>From</c> is what the page takes for the sender's number.</summary>
    public SessionEvent[] Events { get; private set; } = [];

    public EventSourceState State { get; private set; }

    /// <summary>How many error events there were.</summary>
    public int Errors { get; private set; }

    public SessionEvent[] Signals => Of("signal");

    public SessionEvent[] Of(string name) => [.. Events.Where(e => e.Name == name)];

    /// <summary>Waits until there are <paramref name="count"/> events of that name. The result is the last of them.</summary>
    public async Task<SessionEvent> WhenAsync(string name, int count = 1)
    {
        await WhenAsync(() => Of(name).Length >= count);
        return Of(name)[count - 1];
    }

    /// <summary>Waits until the browser has given the source up. It can't come back then.</summary>
    public Task WhenClosedAsync() => WhenAsync(() => State == EventSourceState.Closed);

    /// <summary>Waits until <paramref name="condition"/> holds; the properties are looked up before each look at it.</summary>
    public async Task WhenAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(RawConnection.Patience);
        for (Look(); !condition(); Look())
        {
            if (patience.IsCancellationRequested)
                Assert.Fail($"What was waited for did not happen. The page says {_told}.\nRequests:\n{string.Join("", Relay.Requests)}");
            await Task.Delay(Interval);
        }
    }

    public void Dispose() => browser.Evaluate($"notes[{index}].source.close()");

    private void Look()
    {
        _told = browser.Evaluate($"tell({index})");
        JsonElement note = JsonDocument.Parse(_told).RootElement;
        State = (EventSourceState)note.GetProperty("state").GetInt32();
        Errors = note.GetProperty("errors").GetInt32();
        Events = [.. note.GetProperty("events").EnumerateArray().Select(Event)];
    }

    private static SessionEvent Event(JsonElement e) => new(
        e.GetProperty("name").GetString()!, e.GetProperty("data"), e.GetProperty("id").GetString(),
        e.TryGetProperty("sender", out JsonElement sender) ? sender.GetString() : null, Retry: null);
}

/// <summary>The values of <c>readyState</c>.</summary>
internal enum EventSourceState
{
    Connecting,
    Open,
    Closed,
}
