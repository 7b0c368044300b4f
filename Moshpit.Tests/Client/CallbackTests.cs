using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

/// <summary>What a program may decide or hear: how connections are made, credentials, lines for a log.</summary>
public class CallbackTests : RawServerTests
{
    [Test]
    public async Task A_stream_that_was_given_is_spoken_over_and_used_again()
    {
        var asked = new List<DnsEndPoint>();
        await using MoshpitPeer peer = new MoshpitClient("http://pit.invalid:81/x", new()
        {
            ConnectCallback = async (where, _) =>
            {
                asked.Add(where);
                return new NetworkStream(await Server.ConnectAsync(), ownsSocket: true);
            },
        }).Open();
        using RawConnection stream = await Server.AcceptAsync();
        Assert.That(await stream.ReadRequestAsync(), Does.StartWith("GET /x/ HTTP/1.1\r\nHost: pit.invalid:81\r\n"));
        await stream.SendAsync(StreamHead + ConnectEvent);
        using RawConnection post = await Server.ProveAsync(peer);
        for (int i = 0; i < 3; i++)
        {
            Task write = peer.Write("1");
            await post.TakePostAsync();
            await write.Soon();
        }

        (string, int) place = ("pit.invalid", 81);
        Assert.That(asked.Select(a => (a.Host, a.Port)), Is.EqualTo([place, place]), "one for the stream, one for messages");
    }

    [Test]
    public async Task Silence_on_a_stream_that_was_given_is_not_taken_for_its_end()
    {
        // Some streams that are disposed end the read that waits as if the server had closed; a network stream does at times.
        await using MoshpitPeer peer = new MoshpitClient("http://pit.invalid", new()
        {
            ConnectCallback = async (_, _) => new EndingStream(await Server.ConnectAsync()),
            SilenceTimeout = TimeSpan.FromSeconds(1),
        }).Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        Assert.That((await peer.DrainAsync()).Failure, Is.TypeOf<MoshpitException>().With.Message.Contains("silent"));
    }

    [Test]
    public async Task Credentials_that_were_refused_are_asked_for_anew_and_the_other_messages_do_not_suffer()
    {
        int asked = 0;
        await using MoshpitPeer peer = new MoshpitClient(Server.Url, new() { Authorization = _ => new($"Bearer {++asked}") }).Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        using RawConnection post = await Server.ProveAsync(peer);
        Task[] writes = [peer.Write("1"), peer.Write("2")];
        await ReadPostsAsync(post, 1, 2);
        await post.SendAsync("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n" + Ok);
        Assert.That(await PipelineTests.OutcomeAsync(writes[0]), Is.EqualTo("401"));
        await writes[1].Soon();
        Task next = peer.Write("3");
        Assert.That(await post.ReadRequestAsync(), Does.EndWith("3}"), "the last answer took the credentials");
        await post.SendAsync("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
        Assert.That(await PipelineTests.OutcomeAsync(next), Is.EqualTo("401"));
        next = peer.Write("4");
        using RawConnection again = await Server.AcceptAsync();
        Assert.That(await again.ReadRequestAsync(), Does.Contain("Authorization: Bearer 3\r\n"));
        await again.SendAsync(Ok);
        await next.Soon();
    }

    [Test]
    public async Task Tls_is_put_over_a_stream_that_was_given_with_the_settings_that_were_changed()
    {
        using X509Certificate2 certificate = ConnectTests.MakeCertificate();
        using var server = new RawServer(certificate: certificate);
        await using MoshpitPeer peer = new MoshpitClient("https://pit.invalid", new()
        {
            ConnectCallback = async (_, _) => new NetworkStream(await server.ConnectAsync(), ownsSocket: true),
            ConfigureTls = tls =>
            {
                Assert.That(tls.TargetHost, Is.EqualTo("pit.invalid"));
                tls.TargetHost = "127.0.0.1";
                tls.RemoteCertificateValidationCallback = (_, _, _, errors) => errors == SslPolicyErrors.RemoteCertificateChainErrors;
            },
        }).Open();
        using RawConnection stream = await server.AcceptStreamAsync();
        await peer.Connected.Soon();
    }

    [TestCase("timeout=1", true)]
    [TestCase("max=5, Timeout=0", true)]
    [TestCase("timeout=600", false)]
    [TestCase("timeout=soon", false)]
    [TestCase("timeout=99999999999999", false)]
    public async Task A_kept_connection_is_kept_for_as_long_as_the_server_says(string keepAlive, bool closesAtOnce)
    {
        await using MoshpitPeer peer = new MoshpitClient(Server.Url).Open();
        using RawConnection stream = await Server.AcceptStreamAsync();
        Task first = peer.Write("1");
        using RawConnection post = await Server.AcceptAsync();
        await post.ReadRequestAsync();
        await post.SendAsync($"HTTP/1.1 200 OK\r\nKeep-Alive: {keepAlive}\r\nContent-Length: 2\r\n\r\nOK");
        await first.Soon();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        if (closesAtOnce)
            await post.WaitForEndAsync();
        Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(3.5)), "without the field it is 4 seconds");
        Task second = peer.Write("2");
        using RawConnection? other = closesAtOnce ? await Server.AcceptAsync() : null;
        Assert.That(await (other ?? post).TakePostAsync(), Does.EndWith("\"data\":2}"));
        await second.Soon();
    }

    [TestCase("timeout=75", 67.5)]
    [TestCase("timeout=5", 4)]
    [TestCase("", 4)]
    public async Task There_is_a_margin_before_the_server_closes(string keepAlive, double seconds)
    {
        Endpoint server = Endpoint.Parse(Server.Url);
        using Connection connection = await Connection.OpenAsync(server, new MoshpitClientOptions().CheckedCopy(server), default);
        connection.Learn(new HttpHead(1, 200, [new("Keep-Alive", keepAlive)]));
        Assert.That(connection.KeepFor, Is.EqualTo(TimeSpan.FromSeconds(seconds)));
    }

    [Test]
    public async Task The_next_address_is_tried_beside_one_that_swallows_packets()
    {
        var tried = new List<IPAddress>();
        using Socket winner = await Connection.ConnectToFirstAsync(Addresses("192.0.2.1", "127.0.0.1"), ConnectAsync, default).Soon();
        Assert.That(winner.Connected, Is.True);
        Assert.That(tried, Is.EqualTo(Addresses("192.0.2.1", "127.0.0.1")));

        async Task<Socket> ConnectAsync(IPAddress address, CancellationToken cancellationToken)
        {
            tried.Add(address);
            if (!IPAddress.IsLoopback(address))
                await Task.Delay(Timeout.Infinite, cancellationToken);
            return await Server.ConnectAsync();
        }
    }

    [Test]
    public async Task The_next_address_is_tried_at_once_after_one_that_failed_and_families_take_turns()
    {
        var tried = new List<string>();
        IPAddress[] addresses = Addresses("::1", "::2", "::3", "127.0.0.1", "127.0.0.2");
        SocketException failure = (await Assert.ThrowsAsync<SocketException>(() => Connection.ConnectToFirstAsync(
            addresses,
            (address, _) =>
            {
                tried.Add($"{address}");
                return Task.FromException<Socket>(new SocketException((int)SocketError.HostUnreachable));
            },
            default).Soon()))!;
        Assert.That(tried, Is.EqualTo(["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"]));
        Assert.That(failure.SocketErrorCode, Is.EqualTo(SocketError.HostUnreachable));
        failure = (await Assert.ThrowsAsync<SocketException>(() =>
            Connection.ConnectToFirstAsync([], (_, _) => throw new InvalidOperationException(), default)))!;
        Assert.That(failure.SocketErrorCode, Is.EqualTo(SocketError.HostNotFound));
    }

    [Test]
    public async Task A_loser_that_connects_all_the_same_is_closed()
    {
        var late = new TaskCompletionSource<Socket>();
        Socket socket = await Server.ConnectAsync();
        using RawConnection accepted = await Server.AcceptAsync();
        using Socket winner = await Connection.ConnectToFirstAsync(
            Addresses("192.0.2.1", "127.0.0.1"),
            (address, _) => IPAddress.IsLoopback(address) ? Task.FromResult(new Socket(SocketType.Stream, ProtocolType.Tcp)) : late.Task,
            default).Soon();
        late.SetResult(socket);
        await accepted.WaitForEndAsync();
    }

    [Test]
    public async Task Cancelling_ends_all_attempts()
    {
        using var stop = new CancellationTokenSource();
        Task<Socket> connecting = Connection.ConnectToFirstAsync(
            Addresses("192.0.2.1"),
            (_, token) => Task.Delay(Timeout.Infinite, token).ContinueWith<Socket>(
                _ => throw new IOException(), default(CancellationToken)),
            stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAsync<IOException>(() => connecting.Soon());
    }

    [Test]
    public async Task Credentials_are_asked_for_before_each_connection_and_go_to_the_clients_origin_alone()
    {
        using var other = new RawServer();
        int asked = 0;
        await using MoshpitPeer peer = new MoshpitClient(Server.Url, new()
        {
            Authorization = _ => new ValueTask<string?>($"Bearer {++asked}"),
        }).Open();
        using RawConnection stream = await Server.AcceptAsync();
        Assert.That(await stream.ReadRequestAsync(), Does.Contain("\r\nAuthorization: Bearer 1\r\n"));
        await stream.SendAsync(StreamHead + ConnectEvent);
        Task write = peer.Write("1");
        using RawConnection post = await Server.AcceptAsync();
        Assert.That(await post.ReadRequestAsync(), Does.Contain("\r\nAuthorization: Bearer 2\r\n"));
        await post.SendAsync($"HTTP/1.1 307 Elsewhere\r\nLocation: {other.Url}\r\nContent-Length: 0\r\n\r\n");
        using RawConnection there = await other.AcceptAsync();
        Assert.That(await there.ReadRequestAsync(), Does.Not.Contain("Authorization"));
        await there.SendAsync(Ok);
        await write.Soon();
        Assert.That(asked, Is.EqualTo(2));
    }

    [Test]
    public async Task Credentials_that_can_not_be_sent_are_an_error_that_does_not_show_them()
    {
        await using MoshpitPeer peer = new MoshpitClient(Server.Url, new() { Authorization = _ => new("hidden\r\nX: y") }).Open();
        Exception? failure = (await peer.DrainAsync()).Failure;
        Assert.That(failure, Is.TypeOf<MoshpitException>().With.Message.Contains("Authorization").And.Message.Not.Contains("hidden"));
        var twice = new MoshpitClientOptions { Authorization = _ => default, Headers = { ["authorization"] = "x" } };
        Assert.That(() => new MoshpitClient(Server.Url, twice), Throws.ArgumentException);
    }

    [Test]
    public async Task The_log_has_a_line_for_each_connection_loss_try_and_end_and_no_secret()
    {
        var lines = new ConcurrentQueue<string>();
        await SpeakInTroubleAsync(lines.Enqueue);
        string log = string.Join('\n', lines);
        Assert.That(lines.Count(l => l.StartsWith("Connected to ", StringComparison.Ordinal)), Is.EqualTo(5));
        Assert.That(log, Does.Contain("Messages of unknown outcome: 1").And.Contain("Messages held").And.Contain("503"));
        Assert.That(log, Does.Contain("the peer ended"));
        Assert.That(log, Does.Contain("/pit/a1ad1a21...").And.Not.Contain("secret").And.Not.Contain(Token[..12]).And.Not.Contain(Id[..12]));
        Assert.That(lines, Has.None.Contains("\n").And.None.Contains("\r"));
    }

    [TestCase(typeof(InvalidOperationException))]
    [TestCase(typeof(IOException))]
    [TestCase(typeof(OperationCanceledException))]
    public async Task A_log_that_throws_ends_nothing(Type exception)
    {
        int lines = 0;
        await SpeakInTroubleAsync(_ =>
        {
            Interlocked.Increment(ref lines);
            throw (Exception)Activator.CreateInstance(exception)!;
        });
        Assert.That(lines, Is.GreaterThanOrEqualTo(5), "it was called, for each connection at least");
    }

    /// <summary>Disposed of, it has come to its end.</summary>
    private sealed class EndingStream(Socket socket) : NetworkStream(socket, ownsSocket: true)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                return await base.ReadAsync(buffer, cancellationToken);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                return 0;
            }
        }
    }

    /// <summary>All that a log is told of: a redirect, a lost message, a message that is held and sent again, and the end.</summary>
    private async Task SpeakInTroubleAsync(Action<string> log)
    {
        MoshpitPeer peer = new MoshpitClient(Server.Url + "/pit", new()
        {
            Log = log,
            Headers = { ["X-Key"] = "headersecret" },
            Authorization = _ => new("Bearer authsecret"),
        }).Open(Id);
        using RawConnection stream = await Server.AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync($"HTTP/1.1 307 Here\r\nLocation: /pit/{Id}?access_token=querysecret\r\nContent-Length: 0\r\n\r\n");
        using RawConnection again = await Server.AcceptStreamAsync();
        using RawConnection post = await Server.ProveAsync(peer);
        Task lost = peer.Write("\"datasecret\"");
        await post.ReadRequestAsync();
        post.Dispose();
        Assert.That(await PipelineTests.OutcomeAsync(lost), Is.EqualTo("unknown"));
        Task refused = peer.Write("\"datasecret\"");
        using (RawConnection busy = await Server.AcceptAsync())
        {
            await busy.ReadRequestAsync();
            await busy.SendAsync($"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 100\r\n\r\nno\nroom in {Id} for {Token}");
        }

        using RawConnection last = await Server.AcceptAsync();
        await last.TakePostAsync();
        await refused.Soon();
        await peer.DisposeAsync().AsTask().Soon();
    }

    private static IPAddress[] Addresses(params string[] addresses) => [.. addresses.Select(IPAddress.Parse)];
}
