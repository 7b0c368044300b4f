using System.Globalization;
using static Moshpit.Tests.Client.RawServer;
using static Moshpit.Tests.Client.SessionScript;

namespace Moshpit.Tests.Client;

/// <summary>A stream that is cut at any of its bytes goes on behind the last event that came whole.</summary>
[Parallelizable(ParallelScope.All)]
public sealed class StreamCutTests
{
    private const int Signals = 3;

    /// <summary>So many servers at once.</summary>
    private const int AtOnce = 64;

    private static readonly string ChunkedHead = StreamHead.Insert(StreamHead.Length - 2, "Transfer-Encoding: chunked\r\n");

    [Test]
    public async Task It_is_the_same_stream_to_its_reader([Values] bool chunked, [Values] bool resets)
    {
        string head = chunked ? ChunkedHead : StreamHead;
        string connect = Encode(Connect(), chunked);
        string rest = string.Concat(Rest(0).Select(text => Encode(text, chunked)));
        var options = new ParallelOptions { MaxDegreeOfParallelism = AtOnce };
        await Parallel.ForAsync(0, rest.Length + 1, options, async (cut, _) =>
        {
            using var server = new RawServer();
            await using MoshpitPeer peer = new MoshpitClient(server.Url).Open();
            Task<List<MoshpitEvent>> reading = peer.ToListAsync();
            using (RawConnection stream = await server.AcceptAsync())
            {
                await stream.ReadRequestAsync();
                await stream.SendAsync(head + connect + rest[..cut]);
                await peer.Connected.Soon();
                if (resets)
                    stream.Reset();
            }

            using RawConnection next = await server.AcceptAsync();
            string last = FieldOf(await next.ReadRequestAsync(), "Last-Event-ID")!;
            long had = long.Parse(last.Split('.')[0], CultureInfo.InvariantCulture) - Joined;
            string missed = string.Concat(Rest(had));
            await next.SendAsync(StreamHead + Connect(resumed: true, id: Joined + had) + missed + Bye("closed", again: false, "-1"));
            List<MoshpitEvent> events = await reading.Soon();
            Assert.That(events.Where(e => e.Kind == MoshpitEventKind.Signal).Select(e => e.Data), Is.EqualTo(new[] { "1", "2", "3" }));
            Assert.That(events.Count(e => e.Kind == MoshpitEventKind.Gap), Is.EqualTo(1));
            Assert.That(events.Count(e => e.Kind is MoshpitEventKind.Lost or MoshpitEventKind.Connect), Is.EqualTo(3));
        });
    }

    /// <summary>What the server has to tell to a peer whose last event has this number: signals, and a gap behind them.</summary>
    private static IEnumerable<string> Rest(long had)
    {
        for (long number = had + 1; number <= Signals; number++)
            yield return Signal(number) + ":\n\n";
        if (had <= Signals)
            yield return $"event: gap\ndata: {{\"after\":{Joined + Signals},\"missed\":1}}\nid: {Joined + Signals + 1}.0\n\n";
    }

    private static string Encode(string text, bool chunked) => chunked ? Chunk(text) : text;
}
