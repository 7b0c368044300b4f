using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Benchmarks;

/// <summary>The command <c>load</c>, run against a server and through a proxy.</summary>
[Parallelizable]
[Platform("Linux")]
public sealed class LoadProgramTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    [TestCase(1)]
    [TestCase(37)]
    [TestCase(4096)]
    public async Task It_goes_through_a_proxy_that_has_a_prefix_and_cuts_chunks_anew(int chunkLength)
    {
        await using TestServer server = await TestServer.StartAsync();
        using var proxy = new PrefixProxy(server.Port, "/a/pit", chunkLength);
        ProgramRun run = await LoadAsync(proxy.Url, "--peers", "20", "--messages", "50", "--window", "8");
        AssertWhole(run, "1,000");
    }

    [TestCase("--window", "8")]
    [TestCase("--direct", "--window", "8")]
    [TestCase("--window", "32", "--size", "9000", "--publishers", "2")]
    public async Task It_goes_through_TLS_with_a_certificate_that_need_not_be_valid(params string[] options)
    {
        await using TestServer server = await TestServer.StartAsync();
        using X509Certificate2 certificate = MakeCertificate();
        using var proxy = new PrefixProxy(server.Port, "/pit", 4096, certificate);
        ProgramRun run = await LoadAsync([proxy.Url + "/", "--insecure", "--peers", "20", "--messages", "60", .. options]);
        AssertWhole(run, options.Contains("--direct") ? "60" : "1,200");
    }

    /// <summary>The server answers nothing before it has every message, and they are more than the sockets hold.</summary>
    [Test]
    public async Task It_goes_on_sending_through_TLS_when_the_server_makes_room()
    {
        const int Messages = 1000;
        using X509Certificate2 certificate = MakeCertificate();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task<ProgramRun> running = LoadAsync(
            $"https://{listener.LocalEndpoint}", "--insecure", "--peers", "1", "--subscribe-path", "/in", "--publish-path", "/out",
            "--messages", $"{Messages}", "--window", $"{Messages}", "--size", "9000");
        using SslStream stream = await AcceptAsync(listener, certificate);
        await stream.WriteAsync("HTTP/1.0 200 OK\r\n\r\n"u8.ToArray());
        using SslStream publisher = await AcceptAsync(listener, certificate);
        byte[] first = new byte[1024];
        await publisher.ReadExactlyAsync(first).AsTask().WaitAsync(Patience);
        int head = first.AsSpan().IndexOf("\r\n\r\n"u8) + 4;
        int length = head + 9002;
        byte[] received = new byte[length * Messages];
        first.CopyTo(received, 0);
        await publisher.ReadExactlyAsync(received.AsMemory(first.Length)).AsTask().WaitAsync(Patience);
        for (int at = 0; at < received.Length; at += length)
        {
            await stream.WriteAsync((byte[])[.. "data: "u8, .. received.AsSpan(at + head, length - head), .. "\n\n"u8]);
            await publisher.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"u8.ToArray());
        }

        AssertWhole(await running, "1,000");
    }

    [TestCase("1,000")]
    [TestCase("1,000", "--count-only")]
    [TestCase("50", "--direct", "--channels", "5")]
    public async Task It_gives_each_peer_a_session(string deliveries, params string[] options)
    {
        await using TestServer server = await TestServer.StartAsync();
        string url = $"http://127.0.0.1:{server.Port}";
        AssertWhole(await LoadAsync([url, "--sessions", "--peers", "20", "--messages", "50", "--window", "8", .. options]), deliveries);
    }

    [TestCase("The server knows no sessions.", "", "id: 8.1")]
    [TestCase("The server sent a session an event without an id.", ",\"resumed\":false,\"stream\":1", "from: \"b\"")]
    [TestCase("Ids do not increase: 7 came after 7.", ",\"resumed\":false,\"stream\":1", "id: 7.1")]
    [TestCase("Stream 1 of a session began as", ",\"resumed\":true,\"stream\":2", "id: 8.1")]
    public async Task It_fails_if_a_session_is_not_as_it_must_be(string said, string connect, string lastLine)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task<ProgramRun> running = LoadAsync($"http://{listener.LocalEndpoint}", "--sessions", "--peers", "1", "--messages", "1");
        using TcpClient stream = await listener.AcceptTcpClientAsync().WaitAsync(Patience);
        string events = $"event: connect\ndata: {{\"id\":\"a\",\"cid\":\"b\",\"token\":\"c\"{connect}}}\nid: 7.0\n\n"
            + $"event: signal\ndata: 1\n{lastLine}\n\n";
        await stream.GetStream().WriteAsync(Encoding.ASCII.GetBytes("HTTP/1.0 200 OK\r\n\r\n" + events));
        ProgramRun run = await running;
        Assert.That((run.Status, run.Output), Is.EqualTo((1, "")));
        Assert.That(run.Errors, Does.StartWith(said));
    }

    [Test]
    public async Task It_refuses_a_certificate_that_is_not_valid()
    {
        await using TestServer server = await TestServer.StartAsync();
        using X509Certificate2 certificate = MakeCertificate();
        using var proxy = new PrefixProxy(server.Port, "/pit", 4096, certificate);
        ProgramRun run = await LoadAsync(proxy.Url, "--peers", "1");
        Assert.That((run.Status, run.Output), Is.EqualTo((1, "")));
        Assert.That(run.Errors, Does.Contain("certificate is not valid").And.Contain("--insecure"));
    }

    [Test]
    public async Task It_goes_through_a_Unix_socket()
    {
        using var folder = new TempFolder();
        string path = folder["s"];
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.Port = null;
            options.SocketPath = path;
        });
        AssertWhole(await LoadAsync($"http://unix:{path}", "--peers", "20", "--messages", "50", "--window", "8"), "1,000");
    }

    [Test]
    public async Task It_names_the_server_and_the_load_in_the_plot()
    {
        using var folder = new TempFolder();
        await using TestServer server = await TestServer.StartAsync();
        string url = $"http://127.0.0.1:{server.Port}";
        string[] options = [url, "--peers", "7", "--messages", "20", "--plot", folder["plot.svg"]];
        AssertWhole(await LoadAsync([.. options, "--window", "3"]), "140");
        string plot = await File.ReadAllTextAsync(folder["plot.svg"]);
        Assert.That(plot, Does.Contain($"Latency of {url}").And.Contain("peers: 7").And.Contain("window: 3"));
        AssertWhole(await LoadAsync([.. options, "--rate", "500"]), "140");
        Assert.That(await File.ReadAllTextAsync(folder["plot.svg"]), Does.Contain("rate: 500 messages/s"));
    }

    [TestCase("--count-only", "https://localhost:5000", "--count-only")]
    [TestCase("--count-only", "http://unix:/nowhere", "--count-only")]
    [TestCase("--insecure", "http://localhost:5000", "--insecure")]
    [TestCase("--sessions", "http://localhost:5000", "--sessions", "--subscribe-path", "/in", "--publish-path", "/out")]
    [TestCase("'ftp://localhost' is not of the form", "ftp://localhost")]
    public async Task It_refuses_in_one_line_what_does_not_go_together(string said, params string[] arguments)
    {
        ProgramRun run = await LoadAsync(arguments);
        Assert.That((run.Status, run.Output), Is.EqualTo((2, "")));
        Assert.That(run.Errors, Does.StartWith(said).And.Match("^[^\n]+\n$"));
    }

    private static void AssertWhole(ProgramRun run, string deliveries)
    {
        Assert.That(run.Status, Is.Zero, run.Errors);
        Assert.That(run.Output, Does.Contain($"| deliveries | {deliveries} |").And.Contain("| lost | 0 |"));
    }

    private static Task<ProgramRun> LoadAsync(params string[] arguments) => BenchmarkProgram.RunAsync(["load", .. arguments]);

    private static async Task<SslStream> AcceptAsync(TcpListener listener, X509Certificate2 certificate)
    {
        TcpClient client = await listener.AcceptTcpClientAsync().WaitAsync(Patience);
        var stream = new SslStream(client.GetStream());
        await stream.AuthenticateAsServerAsync(certificate).WaitAsync(Patience);
        return stream;
    }

    private static X509Certificate2 MakeCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
    }
}
