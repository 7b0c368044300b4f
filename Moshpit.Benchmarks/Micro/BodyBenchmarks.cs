using System.Buffers;
using BenchmarkDotNet.Attributes;
using Moshpit.Server.Api;
using Moshpit.Server.Forms;

namespace Moshpit.Benchmarks.Micro;

/// <summary>The body of a POST: small and larger, as JSON and as the form that the original client sends.</summary>
[MemoryDiagnoser]
public class BodyBenchmarks
{
    private const string Token = "3b970f792805fd3081b058a5655a534d";
    private const string SmallData = """{"boom":"boom"}""";
    private const int PointCount = 40;

    private static readonly string[] Points = [.. Enumerable.Range(0, PointCount).Select(i => $"{i * 7}")];

    private static readonly string LargeData =
        $"{{\"points\":{{\"x\":[\"{string.Join("\",\"", Points)}\"],\"y\":[\"{string.Join("\",\"", Points)}\"]}}}}";

    private readonly ArrayBufferWriter<byte> _data = new(16 * 1024);
    private readonly byte[] _smallJson = System.Text.Encoding.UTF8.GetBytes($"{{\"token\":\"{Token}\",\"data\":{SmallData}}}");
    private readonly byte[] _largeJson = System.Text.Encoding.UTF8.GetBytes($"{{\"token\":\"{Token}\",\"data\":{LargeData}}}");
    private readonly byte[] _smallForm = System.Text.Encoding.UTF8.GetBytes($"token={Token}&data%5Bboom%5D=boom");
    private readonly byte[] _largeForm = System.Text.Encoding.UTF8.GetBytes(
        $"token={Token}&" + string.Join('&', (string[])
            [.. Points.Select(x => $"data%5Bpoints%5D%5Bx%5D%5B%5D={x}"), .. Points.Select(y => $"data%5Bpoints%5D%5By%5D%5B%5D={y}")]));

    [GlobalSetup(Targets = [nameof(JsonSmall), nameof(JsonLarge)])]
    public void ValidateJson()
    {
        Validate(JsonSmall(), SmallData);
        Validate(JsonLarge(), LargeData);
    }

    [GlobalSetup(Target = nameof(FormSmall))]
    public void ValidateSmallForm() => Validate(FormSmall(), SmallData);

    [GlobalSetup(Target = nameof(FormLarge))]
    public void ValidateLargeForm() => Validate(FormLarge(), LargeData);

    [Benchmark]
    public bool JsonSmall() => Json(_smallJson);

    [Benchmark]
    public bool JsonLarge() => Json(_largeJson);

    [Benchmark]
    public bool FormSmall() => Form(_smallForm);

    [Benchmark]
    public bool FormLarge() => Form(_largeForm);

    private bool Json(byte[] body)
    {
        _data.ResetWrittenCount();
        return JsonBody.TryParse(body, _data, out Message message, out _) && IsComplete(message);
    }

    private bool Form(byte[] body)
    {
        _data.ResetWrittenCount();
        FormBody.Parse(body, _data, out Message message);
        return IsComplete(message);
    }

    private static bool IsComplete(in Message message) => message.HasData && message.TokenField == IdField.Present;

    private void Validate(bool parsed, string data)
    {
        Check.That(parsed, "The body was not understood.");
        Check.Equal(data, _data.WrittenSpan);
    }
}
