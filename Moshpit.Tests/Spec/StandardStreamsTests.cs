using System.Net.Sockets;
using Moshpit.Server.Diagnostics;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>The program reports to its output and its log. Neither may stop it.</summary>
[Parallelizable]
[Platform(Exclude = "Win")]
public sealed class StandardStreamsTests
{
    [TestCase(">&-")]
    [TestCase(">/dev/full")]
    [TestCase("2>&-")]
    [TestCase(">&- 2>&-")]
    [TestCase("<&- >&- 2>&-")]
    [TestCase(">/dev/full 2>/dev/full")]
    public async Task Wherever_its_output_goes_it_serves_and_ends_gently(string redirections)
    {
        using var folder = new TempFolder();
        using MoshpitProgram program = MoshpitProgram.StartInShell("", redirections, "--socket", folder["s"], "--log", "trace");
        using RawPeer owner = await RawPeer.OpenAsync(await ConnectAsync(folder["s"]), "/");
        using RawConnection publisher = await ConnectAsync(folder["s"]);
        publisher.Send(owner.Post("1"));
        Assert.That((await publisher.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("1"));
        program.Signal(MoshpitProgram.SigTerm);
        Assert.That(await owner.Stream.ReadToEndAsync(), Is.Empty);
        owner.Dispose();
        Assert.That(await program.ExitAsync(), Is.Zero);
        Assert.That(File.Exists(folder["s"]), Is.False);
    }

    [TestCase("--help", ">&-", 0, "")]
    [TestCase("--version", ">&- 2>&-", 0, "")]
    [TestCase("--help", ">/dev/full", 1, "moshpit: No space left on device.\n")]
    [TestCase("--prot", ">&- 2>&-", 2, "")]
    [TestCase("--prot", "2>/dev/full", 2, "")]
    public async Task What_can_not_be_said_is_no_crash(string option, string redirections, int status, string errors)
    {
        using MoshpitProgram program = MoshpitProgram.StartInShell("", redirections, option);
        Assert.That(await program.EndAsync(), Is.EqualTo((status, "", errors)));
    }

    [TestCase(MoshpitProgram.SigHup)]
    [TestCase(MoshpitProgram.SigPipe)]
    public async Task The_end_of_its_terminal_does_not_end_it(int signal)
    {
        using MoshpitProgram program = MoshpitProgram.Start("--port", "0", "--host", "127.0.0.1");
        int port = await program.ListeningAsync();
        program.Signal(signal);
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(port), "/");
        program.Signal(signal);
        program.Signal(MoshpitProgram.SigTerm);
        Assert.That(await owner.Stream.ReadToEndAsync(), Is.Empty);
        owner.Dispose();
        Assert.That(await program.EndAsync(), Is.EqualTo((0, "", "")));
    }

    [Test]
    public async Task While_its_log_is_not_read_it_serves_and_when_it_is_read_again_it_tells_how_much_is_missing()
    {
        using MoshpitProgram program = MoshpitProgram.StartUnread("--port", "0", "--host", "127.0.0.1", "--log", "debug");
        using RawConnection connection = RawConnection.Connect(await program.ListeningAsync());
        await FillLogAsync(connection);
        program.ReadErrors();
        await Eventually.AsyncTrue(() => program.ErrorsSoFar.Contains("log entries before this one were dropped"));
        connection.Dispose();
        program.Signal(MoshpitProgram.SigTerm);
        (int status, _, string errors) = await program.EndAsync();
        Assert.That(status, Is.Zero);
        Assert.That(errors, Does.Contain("Stopping, with 0 streams").And.Match("did not keep up: [1-9][0-9]* log entries"));
    }

    [Test]
    public async Task A_log_that_is_never_read_does_not_keep_it_from_its_end()
    {
        using MoshpitProgram program = MoshpitProgram.StartUnread("--port", "0", "--host", "127.0.0.1", "--log", "debug");
        using (RawConnection connection = RawConnection.Connect(await program.ListeningAsync()))
            await FillLogAsync(connection);
        program.Signal(MoshpitProgram.SigTerm);
        Assert.That(await program.ExitAsync(), Is.Zero);
    }

    /// <summary>Has so much logged that neither a pipe nor any queue holds it; each request is answered.</summary>
    private static async Task FillLogAsync(RawConnection connection)
    {
        const int Lines = 8 * LogQueue.Capacity;
        const int AtOnce = 100;
        for (int sent = 0; sent < Lines; sent += AtOnce)
        {
            connection.Send(string.Concat(Enumerable.Repeat("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", AtOnce)));
            for (int n = 0; n < AtOnce; n++)
                Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(404));
        }
    }

    /// <summary>Connects as soon as the program listens, which it may have no way to say.</summary>
    private static async Task<RawConnection> ConnectAsync(string path)
    {
        RawConnection? connection = null;
        await Eventually.AsyncTrue(() =>
        {
            try
            {
                connection = RawConnection.Connect(new UnixDomainSocketEndPoint(path));
                return true;
            }
            catch (SocketException)
            {
                return false;
            }
        });
        return connection!;
    }
}
