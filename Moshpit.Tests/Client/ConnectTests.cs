using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

/// <summary>The ways to a server: Unix sockets, IPv6, names, TLS.</summary>
public class ConnectTests : RawServerTests
{
    [TestCase("", "/")]
    [TestCase(":/pit", "/pit/")]
    public async Task A_unix_socket_is_spoken_to(string path, string target)
    {
        string socket = Path.Combine(Path.GetTempPath(), $"pit-{Guid.NewGuid():n}.sock");
        try
        {
            using var server = new RawServer(new UnixDomainSocketEndPoint(socket));
            await using MoshpitPeer peer = new MoshpitClient("http://unix:" + socket + path).Open(WithSession);
            using RawConnection stream = await server.AcceptAsync();
            Assert.That(await stream.ReadRequestAsync(), Is.EqualTo(RequestFor(target, "localhost")));
            await stream.SendAsync(StreamHead + ConnectEvent);
            Task write = peer.Write("1");
            using RawConnection post = await server.AcceptAsync();
            Assert.That(await post.ReadRequestAsync(), Does.StartWith($"POST {target}{Id} HTTP/1.1\r\nHost: localhost\r\n"));
            await post.SendAsync(Ok);
            await write.Soon();
        }
        finally
        {
            File.Delete(socket);
        }
    }

    [Test]
    public async Task A_redirect_from_a_unix_socket_to_a_server_leads_to_that_server()
    {
        string socket = Path.Combine(Path.GetTempPath(), $"pit-{Guid.NewGuid():n}.sock");
        try
        {
            using var server = new RawServer(new UnixDomainSocketEndPoint(socket));
            await using MoshpitPeer peer = new MoshpitClient("http://unix:" + socket).Open();
            using RawConnection first = await server.AcceptAsync();
            await first.ReadRequestAsync();
            await first.SendAsync($"HTTP/1.1 302 Found\r\nLocation: {Server.Url}/pit/\r\nContent-Length: 0\r\n\r\n");
            using RawConnection stream = await Server.AcceptAsync();
            Assert.That(await stream.ReadRequestAsync(), Does.StartWith($"GET /pit/ HTTP/1.1\r\nHost: {Server.Authority}\r\n"));
        }
        finally
        {
            File.Delete(socket);
        }
    }

    [TestCase("fe80::1%lo")]
    [TestCase("fe80::1%25lo")]
    public void The_zone_of_an_ipv6_literal_is_understood_however_it_is_written(string address) =>
        Assert.That(Endpoint.Parse($"http://[{address}]:5000").Host, Is.EqualTo("fe80::1%lo"));

    [Test]
    public async Task An_ipv6_literal_is_spoken_to()
    {
        RawServer server;
        try
        {
            server = new RawServer(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        }
        catch (SocketException)
        {
            Assert.Ignore("This machine has no IPv6.");
            return;
        }

        using (server)
        {
            await using MoshpitPeer peer = new MoshpitClient(server.Url).Open();
            using RawConnection stream = await server.AcceptAsync();
            Assert.That(await stream.ReadRequestAsync(), Does.Contain($"\r\nHost: {server.Authority}\r\n").And.Contain("Host: [::1]:"));
        }
    }

    [Test]
    public async Task A_name_is_resolved_and_its_addresses_are_tried()
    {
        await using MoshpitPeer peer = new MoshpitClient(Server.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal)).Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        await peer.Connected.Soon();
    }

    [Test]
    public async Task Https_is_spoken_where_the_certificate_is_accepted_and_only_there()
    {
        using X509Certificate2 certificate = MakeCertificate();
        using var server = new RawServer(certificate: certificate);
        SslPolicyErrors errors = default;
        var options = new MoshpitClientOptions
        {
            CertificateValidation = (_, shown, _, found) =>
            {
                errors = found;
                return shown!.GetCertHashString() == certificate.GetCertHashString();
            },
        };
        await using (MoshpitPeer peer = new MoshpitClient(server.Url, options).Open())
        {
            using RawConnection stream = await server.AcceptStreamAsync();
            await peer.Connected.Soon();
            Assert.That(errors, Is.EqualTo(SslPolicyErrors.RemoteCertificateChainErrors),
                "no authority signed it, but it is for this server");
            Task write = peer.Write("1");
            using RawConnection post = await server.AcceptAsync();
            await post.TakePostAsync();
            await write.Soon();
            write = peer.Write("2");
            await post.TakePostAsync(2, "on the same connection");
            await write.Soon();
        }

        await using MoshpitPeer distrustful = new MoshpitClient(server.Url).Open();
        Task<RawConnection> accept = server.AcceptAsync();
        Assert.That((await distrustful.DrainAsync()).Failure, Is.TypeOf<MoshpitException>().With.Message.Contains("connect"));
        await accept.ContinueWith(t => t.Exception is null ? t.Result : null, TaskScheduler.Default).Soon();
    }

    [Test]
    public async Task A_handshake_is_given_up_even_while_the_certificate_is_being_checked()
    {
        using X509Certificate2 certificate = MakeCertificate();
        using var server = new RawServer(certificate: certificate);
        using var checking = new SemaphoreSlim(0);
        using var goOn = new ManualResetEventSlim();
        using var leave = new CancellationTokenSource();
        int checks = 0;
        var options = new MoshpitClientOptions
        {
            CertificateValidation = (_, _, _, _) =>
            {
                // The stream's is quick, a message's is not.
                if (Interlocked.Increment(ref checks) == 1)
                    return true;
                checking.Release();
                return goOn.Wait(RawServer.Patience);
            },
        };
        MoshpitPeer peer = new MoshpitClient(server.Url, options).Open();
        using RawConnection stream = await server.AcceptStreamAsync();
        await peer.Connected.Soon();
        Task canceled = peer.Write("1", cancellationToken: leave.Token);
        Task unsent = peer.Write("2");
        Task<RawConnection> accepting = server.AcceptAsync();
        Assert.That(await checking.WaitAsync(RawServer.Patience), Is.True);
        await leave.CancelAsync();
        await canceled.CancellationAsync();
        await peer.DisposeAsync().AsTask().Soon();
        MoshpitException failure = await unsent.FailureAsync();
        Assert.That(failure.OutcomeUnknown, Is.False, "no byte of it was sent");
        goOn.Set();
        await accepting.ContinueWith(t => t.Exception is null ? t.Result : null, TaskScheduler.Default).Soon();
    }

    [Test]
    public async Task A_redirect_from_https_to_http_is_not_followed()
    {
        using X509Certificate2 certificate = MakeCertificate();
        using var server = new RawServer(certificate: certificate);
        await using MoshpitPeer peer = new MoshpitClient(server.Url, new() { CertificateValidation = (_, _, _, _) => true }).Open();
        using RawConnection stream = await server.AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync($"HTTP/1.1 301 Moved\r\nLocation: {Server.Url}/\r\nContent-Length: 0\r\n\r\n");
        Assert.That((await peer.DrainAsync()).Failure, Is.TypeOf<MoshpitException>().With.Message.Contains("https to http"));
        Assert.That(Server.HasCaller, Is.False);
    }

    internal static X509Certificate2 MakeCertificate()
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
