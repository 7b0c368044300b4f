using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Moshpit.Server;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>Where a server listens, and what it says when it can't.</summary>
public sealed class ListenTests
{
    [Test]
    public async Task On_port_0_the_system_chooses_and_the_server_says_which()
    {
        await using TestServer first = await TestServer.StartAsync();
        await using TestServer second = await TestServer.StartAsync();
        Assert.That(first.Port, Is.Positive.And.Not.EqualTo(second.Port));
        Assert.That(first.Server.EndPoints, Is.EqualTo(new[] { new IPEndPoint(IPAddress.Loopback, first.Port) }));
    }

    [Test]
    public async Task Without_a_host_it_is_reached_over_IPv4_and_IPv6()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.Host = null);
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(new IPEndPoint(IPAddress.Loopback, server.Port)), "/");
        if (!HasIPv6Loopback())
            Assert.Ignore("This machine has no IPv6.");
        RawConnection connection = RawConnection.Connect(new IPEndPoint(IPAddress.IPv6Loopback, server.Port));
        using RawPeer guest = await RawPeer.OpenAsync(connection, "/" + owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
    }

    [Test]
    public async Task A_name_stands_for_all_its_addresses_on_one_port()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.Host = "localhost");
        IPEndPoint[] endPoints = [.. server.Server.EndPoints.Cast<IPEndPoint>()];
        Assert.That(endPoints.Select(endPoint => endPoint.Port), Is.All.EqualTo(server.Port));
        foreach (IPEndPoint endPoint in endPoints)
            (await RawPeer.OpenAsync(RawConnection.Connect(endPoint), "/")).Dispose();
    }

    [Test]
    public async Task It_listens_on_a_Unix_socket_and_removes_it_at_the_end()
    {
        using var folder = new TempFolder();
        string path = folder["socket"];
        await using (TestServer server = await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path)))
        {
            Assert.That(server.Server.Port, Is.Null);
            using RawPeer owner = await OpenAsync(path);
            using RawConnection connection = RawConnection.Connect(new UnixDomainSocketEndPoint(path));
            connection.Send(owner.Post("1"));
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
            Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
        }

        Assert.That(File.Exists(path), Is.False);
    }

    [Test]
    public async Task It_listens_on_a_Unix_socket_and_a_port_at_once()
    {
        using var folder = new TempFolder();
        await using TestServer server = await TestServer.StartAsync(options => options.SocketPath = folder["socket"]);
        using RawPeer owner = await OpenAsync(folder["socket"]);
        using RawPeer guest = await server.JoinAsync(owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
    }

    [Test]
    [Platform(Exclude = "Win")]
    [UnsupportedOSPlatform("windows")]
    public async Task Other_users_may_connect_to_a_Unix_socket_as_to_a_port()
    {
        using var folder = new TempFolder();
        await using TestServer server = await TestServer.StartAsync(options => options.SocketPath = folder["socket"]);
        Assert.That(Convert.ToString((int)File.GetUnixFileMode(folder["socket"]), 8), Is.EqualTo("666"));
    }

    [Test]
    public async Task A_socket_that_no_process_listens_on_any_more_is_replaced()
    {
        using var folder = new TempFolder();
        string path = folder["socket"];
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // Closing would remove the file where it was bound, as no server does that was killed.
            dead.Bind(new UnixDomainSocketEndPoint(folder["bound"]));
            File.Move(folder["bound"], path);
        }

        Assert.That(File.Exists(path), "this test says nothing");
        await using TestServer server = await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path));
        (await OpenAsync(path)).Dispose();
    }

    [Test]
    public async Task A_socket_that_another_server_listens_on_is_left_alone()
    {
        using var folder = new TempFolder();
        string path = folder["socket"];
        await using TestServer server = await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path));
        Assert.That(
            async () => await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path)),
            Throws.InstanceOf<IOException>().With.Message.EqualTo($"Another server listens on {path}; stop it or name another file."));
        (await OpenAsync(path)).Dispose();
    }

    [Test]
    [Platform(Exclude = "Win")]
    public void A_server_that_does_not_accept_is_a_server_all_the_same_and_does_not_hold_up_the_start()
    {
        using var folder = new TempFolder();
        string path = folder["socket"];
        using var frozen = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        frozen.Bind(new UnixDomainSocketEndPoint(path));
        frozen.Listen(1);
        List<Socket> waiting = [];
        try
        {
            // Until no more may wait.
            while (waiting.Count < 10)
            {
                waiting.Add(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false });
                waiting[^1].Connect(new UnixDomainSocketEndPoint(path));
            }
        }
        catch (SocketException)
        {
        }

        Assert.That(
            async () => await Task.Run(() => TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path)))
                .WaitAsync(RawConnection.Patience),
            Throws.InstanceOf<IOException>().With.Message.Contains("Another server listens"));
        Assert.That(waiting, Has.Count.LessThan(10), "there was room for one more; this test says nothing");
        waiting.ForEach(socket => socket.Dispose());
    }

    [Test]
    public async Task At_the_end_a_file_that_was_put_in_its_place_is_left_alone()
    {
        using var folder = new TempFolder();
        string path = folder["socket"];
        await using (TestServer server = await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path)))
        {
            File.Delete(path);
            await File.WriteAllTextAsync(path, "precious");
        }

        Assert.That(await File.ReadAllTextAsync(path), Is.EqualTo("precious"));
        File.Delete(path);
        await using TestServer first = await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path));
        File.Delete(path);
        await using TestServer second = await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path));
        await first.Server.StopAsync();
        (await OpenAsync(path)).Dispose();
    }

    [Test]
    public void A_host_that_is_empty_is_an_oversight_and_not_a_wish() => Assert.That(
        async () => await TestServer.StartAsync(options => options.Host = ""),
            Throws.ArgumentException.With.Message.Contains("host is empty"));

    [TestCase("precious")]
    [TestCase("")]
    public void An_ordinary_file_is_never_replaced(string content)
    {
        using var folder = new TempFolder();
        string path = folder["file"];
        File.WriteAllText(path, content);
        Assert.That(
            async () => await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path)),
            Throws.InstanceOf<IOException>().With.Message.Contains(path).And.Message.Contains("not a socket"));
        Assert.That(File.ReadAllText(path), Is.EqualTo(content));
    }

    [Test]
    [Platform("Linux")]
    public void A_pipe_is_no_place_for_a_socket_and_does_not_hold_up_the_start()
    {
        using var folder = new TempFolder();
        Assert.That(MakePipe(folder["pipe"], 0b110_000_000), Is.Zero);
        Assert.That(
            async () => await Task.Run(() => TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, folder["pipe"])))
                .WaitAsync(RawConnection.Patience),
            Throws.InstanceOf<IOException>().With.Message.Contains("not a socket"));
        Assert.That(File.Exists(folder["pipe"]), Is.True);
    }

    [Test]
    public async Task Limits_may_be_as_large_as_they_can_be()
    {
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.RequestLineLimit = options.HeaderSectionLimit = options.HeaderFieldLimit = int.MaxValue;
            options.BodyLimit = 128 * 1024 * 1024;
            options.BacklogLimit = options.LingerLimit = long.MaxValue;
            options.PendingLimit = 256 * 1024 * 1024;
            options.MaxConnections = options.MaxChannels = options.MaxPeersPerChannel = int.MaxValue;
            options.ThreadsPerChannel = options.StreamInputLimit = int.MaxValue;
        });
        using RawPeer owner = await server.CreateAsync();
        await owner.SendAsync(server, "1");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
    }

    [Test]
    public async Task What_is_changed_in_the_options_later_changes_no_server()
    {
        MoshpitServerOptions? given = null;
        await using TestServer server = await TestServer.StartAsync(options => given = options);
        (given!.BodyLimit, given.HeaderTimeout, given.ShutdownTimeout) = (1, TimeSpan.FromDays(-1), TimeSpan.FromDays(-1));
        given.Proxies.Add("nonsense");
        using RawPeer owner = await server.CreateAsync();
        await owner.SendAsync(server, "1");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
    }

    [Test]
    public void A_folder_is_no_place_for_a_socket()
    {
        using var folder = new TempFolder();
        Assert.That(
            async () => await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, folder[""])),
            Throws.InstanceOf<IOException>().With.Message.Contains("directory"));
    }

    [Test]
    public async Task A_port_in_use_is_told_in_a_sentence_and_nothing_is_left_open()
    {
        using var folder = new TempFolder();
        await using TestServer server = await TestServer.StartAsync();
        Assert.That(
            async () => await TestServer.StartAsync(options => (options.Port, options.SocketPath) = (server.Port, folder["socket"])),
            Throws.InstanceOf<IOException>().With.Message.EqualTo(
                $"Cannot listen on port {server.Port}: it is in use. Stop the program that uses it, or choose another."));
        Assert.That(
            async () => await TestServer.StartAsync(options => options.SocketPath = folder["no/such/folder"]),
            Throws.InstanceOf<IOException>().With.Message.StartsWith("There is no folder for the socket " + folder["no/such/folder"]));
        Assert.That(Directory.EnumerateFileSystemEntries(folder[""]), Is.Empty);
    }

    [TestCase("no-such-host.invalid", "no-such-host.invalid")]
    [TestCase("192.0.2.1", "192.0.2.1")]
    public void A_host_that_is_not_this_machine_is_told_in_a_sentence(string host, string told)
    {
        Assert.That(
            async () => await TestServer.StartAsync(options => options.Host = host),
            Throws.InstanceOf<IOException>().With.Message.Contains(told));
    }

    [Test]
    public async Task A_server_starts_once()
    {
        await using TestServer server = await TestServer.StartAsync();
        Assert.That(async () => await server.Server.StartAsync(), Throws.InvalidOperationException);
    }

    [TestCaseSource(nameof(WrongOptions))]
    public void A_wrong_option_is_named(string name, Action<MoshpitServerOptions> set)
    {
        Assert.That(async () => await TestServer.StartAsync(set), Throws.ArgumentException.With.Message.Contains(name));
    }

    private static IEnumerable<TestCaseData> WrongOptions()
    {
        TimeSpan negative = TimeSpan.FromSeconds(-1);
        (string Name, Action<MoshpitServerOptions> Set)[] wrong =
        [
            ("Port", options => options.Port = -1),
            ("Port", options => options.Port = 65536),
            ("Port, SocketPath", options => options.Port = null),
            ("SocketPath", options => options.SocketPath = ""),
            ("SocketPath", options => options.SocketPath = "/tmp/" + new string('x', 99)),
            ("BodyLimit", options => options.BodyLimit = 0),
            ("RequestLineLimit", options => options.RequestLineLimit = 0),
            ("HeaderSectionLimit", options => options.HeaderSectionLimit = -1),
            ("HeaderFieldLimit", options => options.HeaderFieldLimit = 0),
            ("BodyLimit", options => options.BodyLimit = int.MaxValue),
            ("PendingLimit", options => options.PendingLimit = long.MaxValue),
            ("LoggerFactory and TimeProvider", options => options.LoggerFactory = null!),
            ("LoggerFactory and TimeProvider", options => options.TimeProvider = null!),
            ("StallTimeout", options => options.StallTimeout = TimeSpan.FromTicks(1)),
            ("HeaderTimeout", options => options.HeaderTimeout = TimeSpan.Zero),
            ("HeaderTimeout", options => options.HeaderTimeout = TimeSpan.MaxValue),
            ("BodyTimeout", options => options.BodyTimeout = negative),
            ("IdleTimeout", options => options.IdleTimeout = TimeSpan.Zero),
            ("LingerTimeout", options => options.LingerTimeout = TimeSpan.Zero),
            ("LingerLimit", options => options.LingerLimit = 0),
            ("Heartbeat", options => options.Heartbeat = negative),
            ("BacklogLimit", options => options.BacklogLimit = 0),
            ("StallTimeout", options => options.StallTimeout = TimeSpan.Zero),
            ("PendingLimit", options => options.PendingLimit = 0),
            ("StreamInputLimit", options => options.StreamInputLimit = 0),
            ("ShutdownTimeout", options => options.ShutdownTimeout = TimeSpan.Zero),
            ("ShutdownTimeout", options => options.ShutdownTimeout = TimeSpan.MaxValue),
        ];
        return wrong.Select((option, n) =>
            new TestCaseData(option.Name, option.Set).SetName($"A_wrong_{option.Name.Replace(", ", "_and_")}_is_named_{n}"));
    }

    [DllImport("libc", EntryPoint = "mkfifo", CharSet = CharSet.Ansi)]
    private static extern int MakePipe(string path, uint mode);

    private static async Task<RawPeer> OpenAsync(string path) =>
        await RawPeer.OpenAsync(RawConnection.Connect(new UnixDomainSocketEndPoint(path)), "/");

    private static bool HasIPv6Loopback()
    {
        if (!Socket.OSSupportsIPv6)
            return false;
        try
        {
            using var probe = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
            probe.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
