using System.Text.Json;

namespace Moshpit.Tests.Support;

/// <summary>An EventSource of an <see cref="EventSourcePage"/>.</summary>
internal sealed class PageSource(Browser browser, int index, ResettingRelay relay) : IDisposable
{
    /// <summary>Each look takes the time of two other processes, so there are only so many.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    private string _told = "";

    public ResettingRelay Relay { get; } = relay;

    /// <summary>The session's secret, which the page made.</summary>
    public string Secret { get; } = browser.Evaluate($"notes[{index}].secret");

    /// <summary>All events so far. Their <c>From</c> is the sender's number, which the page took from <c>lastEventId</c>.</summary>
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

    /// <summary>Waits until <paramref name="condition"/> holds. The properties are brought up to date before each look at it.</summary>
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
