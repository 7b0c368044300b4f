using System.Diagnostics;
using System.Net;
using Moshpit.Client;

namespace Moshpit.Benchmarks.Clients;

/// <summary>The owner of a channel of its own, made by the C# client, that writes messages and reads them back.</summary>
internal sealed class EchoPeer : IAsyncDisposable
{
    /// <summary>Characters of a message's JSON, as in the other benchmarks.</summary>
    private const int Length = 64;

    private readonly CancellationTokenSource _patience;
    private readonly MoshpitPeer _peer;
    private readonly IAsyncEnumerator<MoshpitEvent> _events;

    private EchoPeer(IPEndPoint server, TimeSpan patience)
    {
        _patience = new CancellationTokenSource(patience);
        _peer = new MoshpitClient($"http://{server}").Open(_patience.Token);
        _events = _peer.GetAsyncEnumerator();
    }

    /// <summary>Opens a channel.</summary>
    /// <param name="server">A moshpit, or a relay to one.</param>
    /// <param name="patience">How long the peer may live. A run that takes longer fails, so that a lost message does not hang it.</param>
    public static async Task<EchoPeer> OpenAsync(IPEndPoint server, TimeSpan patience)
    {
        var peer = new EchoPeer(server, patience);
        try
        {
            await peer._peer.Connected.ConfigureAwait(false);
            await peer._events.MoveNextAsync().ConfigureAwait(false);
            return peer;
        }
        catch
        {
            await peer.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Writes messages; fails unless each is answered and comes back, whole and in order.</summary>
    /// <param name="messages">How many, at least 1.</param>
    /// <param name="window">
    /// Messages written and not yet both answered and read back. 1: each waits for the one before it.
    /// </param>
    public async Task<EchoRun> RunAsync(int messages, int window)
    {
        string[] texts = [.. Enumerable.Range(0, messages).Select(Text)];
        var writes = new Task[messages];
        long allocated = GC.GetTotalAllocatedBytes(precise: true);
        long began = Stopwatch.GetTimestamp();
        int written = 0;
        for (int done = 0; done < messages; done++)
        {
            for (; written < messages && written < done + window; written++)
                writes[written] = _peer.Write(texts[written]);
            if (!await _events.MoveNextAsync().ConfigureAwait(false))
                throw new BenchmarkException("The stream ended before its time.");
            if (_events.Current is not { Name: "signal" } echo || echo.Data != texts[done])
                throw new BenchmarkException($"The peer read '{_events.Current.Data}' where '{texts[done]}' was due.");
            await writes[done].ConfigureAwait(false);
        }

        TimeSpan elapsed = Stopwatch.GetElapsedTime(began);
        return new EchoRun(messages, elapsed, GC.GetTotalAllocatedBytes(precise: true) - allocated);
    }

    public async ValueTask DisposeAsync()
    {
        await _events.DisposeAsync().ConfigureAwait(false);
        await _peer.DisposeAsync().ConfigureAwait(false);
        _patience.Dispose();
    }

    /// <summary>Compact JSON, which the server delivers as it came.</summary>
    private static string Text(int number)
    {
        string start = $$"""{"n":{{number}},"text":"x""";
        return start.PadRight(Length - 2, 'x') + "\"}";
    }
}
