using System.Buffers;
using BenchmarkDotNet.Attributes;
using Moshpit.Server.Http;
using HttpMethod = Moshpit.Server.Http.HttpMethod;

namespace Moshpit.Benchmarks.Micro;

/// <summary>The head of a request, as a browser and as a plain client send it.</summary>
[MemoryDiagnoser]
public class RequestParserBenchmarks
{
    private static readonly byte[] Plain = Bytes(
        "POST /a1ad1a210063392d29027dbdd5fc9dd7 HTTP/1.1\nHost: localhost:5000\nContent-Type: application/json\nContent-Length: 80\n\n");

    private static readonly byte[] Browser = Bytes(
        """
        POST /a1ad1a210063392d29027dbdd5fc9dd7 HTTP/1.1
        Host: chat.example.org
        Connection: keep-alive
        Content-Length: 80
        sec-ch-ua-platform: "Linux"
        User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36
        sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"
        Content-Type: application/x-www-form-urlencoded; charset=UTF-8
        sec-ch-ua-mobile: ?0
        Accept: */*
        Origin: https://www.example.org
        Sec-Fetch-Site: same-site
        Sec-Fetch-Mode: cors
        Sec-Fetch-Dest: empty
        Referer: https://www.example.org/
        Accept-Encoding: gzip, deflate, br, zstd
        Accept-Language: en-GB,en;q=0.9


        """);

    private readonly RequestParser _parser = new(new RequestLimits());
    private readonly HttpRequest _request = new();

    [GlobalSetup]
    public void Validate()
    {
        foreach (byte[] head in (byte[][])[Plain, Browser])
        {
            Check.That(Parse(head) == head.Length, "The parser did not consume the head.");
            Check.That(_request is { Method: HttpMethod.Post, Path.Length: 33, ContentLength: 80, KeepAlive: true },
                "The head was misread.");
        }

        Check.That(_request.ContentType == ContentType.Form && !_request[KeptField.Origin].IsEmpty, "The browser's head was misread.");
    }

    [Benchmark]
    public long PlainHead() => Parse(Plain);

    [Benchmark]
    public long BrowserHead() => Parse(Browser);

    private long Parse(byte[] head)
    {
        _parser.Reset();
        _request.Reset();
        var reader = new SequenceReader<byte>(new ReadOnlySequence<byte>(head));
        return _parser.Parse(ref reader, _request) == ParseOutcome.Done ? reader.Consumed : -1;
    }

    private static byte[] Bytes(string head) => System.Text.Encoding.ASCII.GetBytes(head.ReplaceLineEndings("\r\n"));
}
