using System.Net.ServerSentEvents;
using BenchmarkDotNet.Attributes;

namespace Moshpit.Benchmarks.Micro;

/// <summary>A received stream of 64 signals, from its bytes to strings; the time is that of one event.</summary>
[MemoryDiagnoser]
public class StreamParserBenchmarks
{
    private const int Events = 64;
    private const string Data = """{"boom":"boom","text":"a message of about one hundred bytes, which is what many messages are","n":1}""";

    private static readonly byte[] Stream = System.Text.Encoding.UTF8.GetBytes(
        string.Concat(Enumerable.Repeat($"event: signal\ndata: {Data}\n\n", Events)));

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
    }

    [Benchmark(OperationsPerInvoke = Events, Baseline = true)]
    public int SystemNetServerSentEvents()
    {
        int length = 0;
        foreach (SseItem<string> item in SseParser.Create(new MemoryStream(Stream)).Enumerate())
            length += item.Data.Length;
        return length;
    }
}
