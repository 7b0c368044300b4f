using System.Net.ServerSentEvents;
using BenchmarkDotNet.Attributes;
using Moshpit.Client;
using SseParser = System.Net.ServerSentEvents.SseParser;

namespace Moshpit.Benchmarks.Micro;

/// <summary>A received stream of 64 signals, from its bytes to strings; the time is that of one event.</summary>
[MemoryDiagnoser]
public class StreamParserBenchmarks
{
    private const int Events = 64;
    private const string Data = """{"boom":"boom","text":"a message of about one hundred bytes, which is what many messages are","n":1}""";

    private static readonly byte[] Stream = System.Text.Encoding.UTF8.GetBytes(
        string.Concat(Enumerable.Repeat($"event: signal\ndata: {Data}\n\n", Events)));

    private readonly List<MoshpitEvent> _events = new(Events);

    [GlobalSetup]
    public void Validate()
    {
        int count = 0;
        foreach (SseItem<string> item in SseParser.Create(new MemoryStream(Stream)).Enumerate())
        {
            Check.That(item is { EventType: "signal", Data: Data }, "An event was misread.");
            count++;
        }

        Check.That(count == Events, "Events went missing.");
        Check.That(MoshpitClient() == Events * Data.Length, "The client's parser lost something.");
        Check.That(_events.TrueForAll(e => e is { Name: "signal", Data: Data }), "The client's parser misread an event.");
    }

    [Benchmark(OperationsPerInvoke = Events, Baseline = true)]
    public int SystemNetServerSentEvents()
    {
        int length = 0;
        foreach (SseItem<string> item in SseParser.Create(new MemoryStream(Stream)).Enumerate())
            length += item.Data.Length;
        return length;
    }

    [Benchmark(OperationsPerInvoke = Events)]
    public int MoshpitClient()
    {
        _events.Clear();
        new Client.SseParser(Stream.Length).Push(Stream, _events);
        int length = 0;
        foreach (MoshpitEvent received in _events)
            length += received.Data.Length;
        return length;
    }
}
