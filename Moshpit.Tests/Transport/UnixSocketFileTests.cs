using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Transport;

/// <summary>What a server does to the files at the path of its socket: to those of others, nothing.</summary>
[Platform("Linux")]
[SupportedOSPlatform("linux")]
public sealed class UnixSocketFileTests
{
    [Test]
    public async Task A_program_that_runs_is_not_replaced()
    {
        using var folder = new TempFolder();
        string path = folder["program"];
        File.Copy(Counterpart.Program("sleep (coreutils in Debian)", "sleep"), path);
        using Process running = Process.Start(path, "600");
        try
        {
            IsLeftAlone(path, "not a socket");
        }
        finally
        {
            running.Kill();
            await running.WaitForExitAsync();
        }
    }

    [Test]
    public void A_file_that_may_not_be_read_is_not_replaced()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["file"], "precious");
        File.SetUnixFileMode(folder["file"], UnixFileMode.None);
        IsLeftAlone(folder["file"], "not a socket");
    }

    [TestCase("nowhere")]
    [TestCase("link")]
    [TestCase("left-behind")]
    [TestCase("file")]
    public void A_symbolic_link_is_not_replaced_whatever_it_leads_to(string target)
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["file"], "precious");
        LeaveBehind(folder["left-behind"]);
        File.CreateSymbolicLink(folder["link"], target);
        IsLeftAlone(folder["link"], "not a socket");
        Assert.That(File.ResolveLinkTarget(folder["link"], returnFinalTarget: false)!.Name, Is.EqualTo(target));
        Assert.That(File.Exists(folder["left-behind"]), Is.True);
    }

    [Test]
    public void A_device_without_a_driver_is_not_replaced()
    {
        // open(2) of it fails as that of a socket does.
        const uint CharacterDevice = 0x2000; // S_IFCHR
        const ulong NoDriver = (511UL << 8) | 255; // makedev(511, 255)
        using var folder = new TempFolder();
        if (MakeNode(folder["device"], CharacterDevice | 0b110_000_000, NoDriver) != 0)
            Assert.Ignore("Only root may make a device.");
        IsLeftAlone(folder["device"], "not a socket");
    }

    [Test]
    public async Task Its_permissions_do_not_depend_on_the_mask_of_the_process()
    {
        using var folder = new TempFolder();
        using MoshpitProgram program = MoshpitProgram.StartInShell("umask 077;", "", "--socket", folder["socket"]);
        await program.ReadLineAsync();
        Assert.That(Convert.ToString((int)File.GetUnixFileMode(folder["socket"]), 8), Is.EqualTo("666"));
        program.Signal(MoshpitProgram.SigTerm);
        Assert.That(await program.EndAsync(), Is.EqualTo((0, "", "")));
    }

    [Test]
    public async Task The_mask_of_the_process_is_as_before_once_it_listens()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["before"]);
        await using TestServer server = await StartAsync(folder["socket"]);
        Directory.CreateDirectory(folder["after"]);
        Assert.That(File.GetUnixFileMode(folder["after"]), Is.EqualTo(File.GetUnixFileMode(folder["before"])));
    }

    [Test]
    public async Task No_permissions_are_set_by_path_where_another_file_may_lie_by_then()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["last"], "");
        List<string?> changed = [];
        var last = new TaskCompletionSource();
        using var watcher = new FileSystemWatcher(folder[""]) { NotifyFilter = NotifyFilters.Attributes };
        watcher.Changed += (_, change) =>
        {
            changed.Add(change.Name);
            if (change.Name == "last")
                last.TrySetResult();
        };
        watcher.EnableRaisingEvents = true;
        await using TestServer server = await StartAsync(folder["socket"]);

        // Changes are told in their order.
        File.SetUnixFileMode(folder["last"], UnixFileMode.UserRead);
        await last.Task.WaitAsync(RawConnection.Patience);
        Assert.That(changed, Is.All.EqualTo("last"));
    }

    [Test]
    public async Task At_the_end_a_file_that_looks_as_old_as_its_own_is_left_alone()
    {
        using var folder = new TempFolder();
        string path = folder["socket"];
        await using (TestServer server = await StartAsync(path))
        {
            DateTime written = File.GetLastWriteTimeUtc(path);

            // Renamed away, and not deleted: its inode must not be used again.
            File.Move(path, folder["moved"]);
            File.WriteAllText(path, "precious");
            File.SetLastWriteTimeUtc(path, written);
        }

        Assert.That(File.ReadAllText(path), Is.EqualTo("precious"));
    }

    private static Task<TestServer> StartAsync(string path) =>
        TestServer.StartAsync(options => (options.Port, options.SocketPath) = (null, path));

    private static void IsLeftAlone(string path, string told)
    {
        Assert.That(
            async () => await Task.Run(() => StartAsync(path)).WaitAsync(RawConnection.Patience),
            Throws.InstanceOf<IOException>().With.Message.Contains(path).And.Message.Contains(told));
        Assert.That(new FileInfo(path) is { Exists: true } or { LinkTarget: not null }, Is.True, "it is gone");
    }

    /// <summary>A socket as a server that was killed leaves it.</summary>
    private static void LeaveBehind(string path)
    {
        using var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        dead.Bind(new UnixDomainSocketEndPoint(path + "-bound"));
        File.Move(path + "-bound", path);
    }

    [DllImport("libc", EntryPoint = "mknod", CharSet = CharSet.Ansi)]
    private static extern int MakeNode(string path, uint mode, ulong device);
}
