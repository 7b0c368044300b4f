using System.Buffers;
using System.Text;
using BenchmarkDotNet.Attributes;
using Moshpit.Server.Buffers;
using Moshpit.Server.Sse;

namespace Moshpit.Benchmarks.Micro;

/// <summary>An event from its values to its bytes in a pooled frame, which is then given back.</summary>
[MemoryDiagnoser]
public class EventWriterBenchmarks
{
    private const int FrameLength = 256;

    private const string Digits = "a1ad1a210063392d29027dbdd5fc9dd7";

    private static readonly HexId Id = HexId.TryParse(Encoding.ASCII.GetBytes(Digits), out HexId id) ? id : throw new FormatException();
    private static readonly byte[] Data = """{"boom":"boom"}"""u8.ToArray();

    private readonly FramePool _frames = new();

    [GlobalSetup]
    public void Validate()
    {
        SharedFrame signal = WriteSignal();
        Check.Equal("25\r\nevent: signal\ndata: {\"boom\":\"boom\"}\n\n\r\n", signal.Span);
        signal.Release();
        SharedFrame join = WriteJoin();
        Check.Equal($"66\r\nevent: join\ndata: {{\"id\":\"{Digits}\",\"cid\":\"{Digits}\"}}\n\n\r\n", join.Span);
        join.Release();
        Check.That(_frames.Outstanding == 0, "A frame was not given back.");
    }

    [Benchmark]
    public int Signal()
    {
        SharedFrame frame = WriteSignal();
        int length = frame.Length;
        frame.Release();
        return length;
    }

    [Benchmark]
    public int Join()
    {
        SharedFrame frame = WriteJoin();
        int length = frame.Length;
        frame.Release();
        return length;
    }

    private SharedFrame WriteSignal()
    {
        SharedFrame frame = _frames.Rent(FrameLength);
        EventWriter.BeginSignal(frame);
        frame.Write(Data);
        EventWriter.EndSignal(frame);
        return frame;
    }

    private SharedFrame WriteJoin()
    {
        SharedFrame frame = _frames.Rent(FrameLength);
        EventWriter.WriteJoin(frame, new ChannelId(Id), new PeerId(Id));
        return frame;
    }
}
