using System.Net.Sockets;
using System.Text.RegularExpressions;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>The program, as its user sees it.</summary>
[Parallelizable]
[Platform(Exclude = "Win")]
public sealed class ProgramTests
{
    [TestCase("--help")]
    [TestCase("-h")]
    public async Task It_explains_its_options(string option)
    {
        using MoshpitProgram program = MoshpitProgram.Start(option);
        (int status, string output, string errors) = await program.EndAsync();
        Assert.That((status, errors), Is.EqualTo((0, "")));
        const string Shown = "--port -p --host --socket -s --uid -u --gid -g --limit --heartbeat --log -h -V 5000";
        foreach (string shown in Shown.Split(' '))
            Assert.That(output, Does.Match($"(?<![-\\w]){shown}(?![-\\w])"));
    }

    [TestCase("--version")]
    [TestCase("-V")]
    public async Task It_tells_its_version(string option)
    {
        using MoshpitProgram program = MoshpitProgram.Start(option);
        (int status, string output, string errors) = await program.EndAsync();
        Assert.That((status, errors), Is.EqualTo((0, "")));
        Assert.That(output, Does.Match("^[0-9]+\\.[0-9]+\\.[0-9]+\\S*\n$"));
    }

    [TestCase(MoshpitProgram.SigTerm)]
    [TestCase(MoshpitProgram.SigInt)]
    public async Task It_says_where_it_listens_serves_and_ends_gently_at_a_signal(int signal)
    {
        using MoshpitProgram program = MoshpitProgram.Start("--port", "0", "--host", "127.0.0.1");
        int port = await program.ListeningAsync();
        if (program.Ignores(signal))
            Assert.Ignore("The tests were started with SIGINT ignored, and the server inherits that. A shell does so in the background.");
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(port), "/");
        using RawPeer guest = await RawPeer.OpenAsync(RawConnection.Connect(port), "/" + owner.Id);
        using (var publisher = new Publisher(RawConnection.Connect(port), guest))
            await publisher.SendAsync("1");
        program.Signal(signal);
        Assert.That(await owner.ReadAllAsync(), Is.EqualTo(new[] { owner.JoinOf(guest), "event: signal\ndata: 1" }));
        Assert.That(await guest.ReadAllAsync(), Has.Count.EqualTo(1));

        // The streams' clients never close; that must not keep it.
        Assert.That(await program.EndAsync(), Is.EqualTo((0, "", "")));
    }

    [Test]
    public async Task A_second_signal_ends_it_at_once()
    {
        using MoshpitProgram program = MoshpitProgram.Start("-p", "0", "--host", "127.0.0.1", "--log", "information");
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(await program.ListeningAsync()), "/");
        program.Signal(MoshpitProgram.SigTerm);
        Assert.That(await owner.Stream.ReadToEndAsync(), Is.Empty);
        program.Signal(MoshpitProgram.SigTerm);
        (int status, _, string errors) = await program.EndAsync();
        Assert.That(status, Is.Zero);
        Assert.That(errors, Does.Contain("Told to hurry"));
    }

    [Test]
    public async Task On_a_Unix_socket_it_says_its_path_and_removes_it_at_the_end()
    {
        using var folder = new TempFolder();
        string path = folder["socket"];
        using MoshpitProgram program = MoshpitProgram.Start("-s", path);
        Assert.That(await program.ReadLineAsync(), Is.EqualTo("listening on " + path));
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(new UnixDomainSocketEndPoint(path)), "/");
        program.Signal(MoshpitProgram.SigTerm);
        await owner.Stream.ReadToEndAsync();
        owner.Dispose();
        Assert.That(await program.EndAsync(), Is.EqualTo((0, "", "")));
        Assert.That(File.Exists(path), Is.False);
    }

    [Test]
    [Platform("Linux")]
    public async Task Whatever_a_client_calls_its_own_end_of_a_Unix_socket_does_no_harm()
    {
        using var folder = new TempFolder();
        string path = folder["s"];
        using MoshpitProgram program = MoshpitProgram.Start("-s", path);
        await program.ReadLineAsync();
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(new UnixDomainSocketEndPoint(path)), "/");
        string[] names = [folder["c"], folder["longer"], folder[new string('l', 40)], "\0a", "\0" + new string('a', 50),
            "\0" + new string('a', 107)];
        foreach (string name in names)
        {
            using RawConnection client = RawConnection.Connect(
                new UnixDomainSocketEndPoint(path), socket => socket.Bind(new UnixDomainSocketEndPoint(name)));
            client.Send(owner.Post($"{name.Length}"));
            Assert.That((await client.ReadResponseAsync()).Status, Is.EqualTo(200), name);
            Assert.That(await owner.ReadSignalAsync(), Is.EqualTo($"{name.Length}"));
        }

        program.Signal(MoshpitProgram.SigTerm);
        owner.Dispose();
        Assert.That(await program.EndAsync(), Is.EqualTo((0, "", "")));
        Assert.That(File.Exists(path), Is.False);
    }

    [TestCase("--prot 1", "--prot")]
    [TestCase("--port", "--port")]
    [TestCase("--port 65536", "--port")]
    [TestCase("--port -1", "--port")]
    [TestCase("--port 5e3", "--port")]
    [TestCase("--port x", "'x'")]
    [TestCase("--limit 0", "--limit")]
    [TestCase("--heartbeat never", "--heartbeat")]
    [TestCase("--log loud", "--log")]
    [TestCase("extra", "extra")]
    [TestCase("--host no-such-host.invalid --port 0", "no-such-host.invalid")]
    [TestCase("--uid no-such-user --port 0", "no-such-user")]
    [TestCase("--gid no-such-group --port 0", "no-such-group")]
    [TestCase("--socket /no/such/folder/socket", "/no/such/folder/socket")]
    public async Task What_is_wrong_is_told_in_one_line(string arguments, string told)
    {
        using MoshpitProgram program = MoshpitProgram.Start(arguments.Split(' '));
        (int status, string output, string errors) = await program.EndAsync();
        Assert.That(status, Is.AnyOf(1, 2));
        Assert.That(output, Is.Empty);
        Assert.That(errors, Does.Match("^moshpit: [^\n]+\\.\n$").And.Contains(told));
    }

    [Test]
    public async Task A_port_in_use_is_told_in_one_line()
    {
        await using TestServer server = await TestServer.StartAsync();
        using MoshpitProgram program = MoshpitProgram.Start("--host", "127.0.0.1", "--port", $"{server.Port}");
        Assert.That(await program.EndAsync(), Is.EqualTo(
            (1, "", $"moshpit: Cannot listen on port {server.Port}: it is in use. Stop the program that uses it, or choose another.\n")));
    }

    [TestCase("--uid 65534 --gid 65533", 65534, 65533)]
    [TestCase("--uid nobody", 65534, null)]
    [TestCase("--gid 65533", 0, 65533)]
    public async Task As_root_it_drops_its_permissions_for_good_in_all_its_threads(string arguments, int uid, int? gid)
    {
        if (Environment.UserName != "root" || !OperatingSystem.IsLinux())
            Assert.Ignore("Only root on Linux can drop permissions and look.");
        using MoshpitProgram program = MoshpitProgram.Start(["--port", "0", "--host", "127.0.0.1", .. arguments.Split(' ')]);
        int port = await program.ListeningAsync();
        (await RawPeer.OpenAsync(RawConnection.Connect(port), "/")).Dispose();
        string[] threads = Directory.GetDirectories($"/proc/{program.Id}/task");
        string[] statuses = [$"/proc/{program.Id}/status", .. threads.Select(thread => thread + "/status")];
        Assert.That(statuses, Has.Length.GreaterThan(2));
        foreach (string file in statuses)
        {
            string status = await ReadAsync(file);
            if (status.Length == 0)
                continue;

            // Real, effective, saved and for files: none may be left to go back to.
            Assert.That(Ids(status, "Uid"), Is.EqualTo(Enumerable.Repeat(uid, 4)), file);
            int[] groups = Ids(status, "Gid");
            Assert.That(groups, Is.EqualTo(Enumerable.Repeat(gid ?? groups[0], 4)), file);
            Assert.That(groups[0], Is.Not.Zero, file);
            Assert.That(Ids(status, "Groups"), Is.EqualTo(new[] { groups[0] }), file);
        }

        program.Signal(MoshpitProgram.SigTerm);
        Assert.That(await program.EndAsync(), Is.EqualTo((0, "", "")));
    }

    /// <summary>Empty for a thread that is gone.</summary>
    private static async Task<string> ReadAsync(string file)
    {
        try
        {
            return await File.ReadAllTextAsync(file);
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static int[] Ids(string status, string name)
    {
        string line = Regex.Match(status, $"^{name}:(.*)$", RegexOptions.Multiline).Groups[1].Value;
        return [.. line.Split((char[])['\t', ' '], StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];
    }
}
