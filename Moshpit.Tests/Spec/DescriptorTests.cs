using System.Diagnostics;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>The program when the system gives it no more descriptors: it waits, and who is in does not notice.</summary>
[Platform("Linux")]
[Parallelizable]
public sealed class DescriptorTests
{
    private const int Limit = 120;

    [Test]
    public async Task Out_of_descriptors_it_serves_who_is_in_says_so_once_and_accepts_again_when_some_close()
    {
        using MoshpitProgram program = MoshpitProgram.StartWithDescriptors(Limit, "--port", "0", "--host", "127.0.0.1", "--heartbeat", "0");
        int port = await program.ListeningAsync();
        using RawPeer owner = await RawPeer.OpenAsync(RawConnection.Connect(port), "/");
        using RawPeer guest = await RawPeer.OpenAsync(RawConnection.Connect(port), "/" + owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(guest)));
        using var publisher = new Publisher(RawConnection.Connect(port), guest);
        await ExchangeAsync(publisher, owner, guest);
        int before = Descriptors(program);

        RawConnection[] crowd = [.. Enumerable.Range(0, Limit).Select(_ => RawConnection.Connect(port))];
        await Eventually.AsyncTrue(() => program.ErrorsSoFar.Length > 0);
        Assert.That(Descriptors(program), Is.AtLeast(Limit - 5));
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(0.5))
            await ExchangeAsync(publisher, owner, guest);
        Assert.That(program.ErrorsSoFar.Split('\n', StringSplitOptions.RemoveEmptyEntries), Has.Length.EqualTo(1));
        Assert.That(program.ErrorsSoFar, Does.Contain("Accepting a connection failed").And.Contains("Connected peers are not affected"));

        foreach (RawConnection connection in crowd.Reverse())
            connection.Dispose();
        using RawPeer late = await RawPeer.OpenAsync(RawConnection.Connect(port), "/" + owner.Id);
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.JoinOf(late)));
        await ExchangeAsync(publisher, owner, guest, late);
        Assert.That(program.ErrorsSoFar, Does.Contain("Accepting connections again"));
        late.Dispose();
        Assert.That(await owner.ReadEventAsync(), Is.EqualTo(owner.LeaveOf(late)));
        await Eventually.AsyncTrue(() => Descriptors(program) <= before, () => $"{Descriptors(program)} descriptors, {before} before");

        program.Signal(MoshpitProgram.SigTerm);
        Assert.That((await program.EndAsync()).Status, Is.Zero);
    }

    private static async Task ExchangeAsync(Publisher publisher, params RawPeer[] peers)
    {
        await publisher.SendAsync("\"still here\"");
        foreach (RawPeer peer in peers)
            Assert.That(await peer.ReadSignalAsync(), Is.EqualTo("\"still here\""));
    }

    private static int Descriptors(MoshpitProgram program) => Directory.GetFileSystemEntries($"/proc/{program.Id}/fd").Length;
}
