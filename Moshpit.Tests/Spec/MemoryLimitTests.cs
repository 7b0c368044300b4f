using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>The program with little memory, as in a small container: slow peers are cut, and the process lives.</summary>
[Platform("Linux")]
public sealed class MemoryLimitTests
{
    private const long Memory = 160 * 1024 * 1024;
    private const int SlowPeers = 1000;
    private const int Messages = 400;
    private const int MessageLength = 9_000;

    [Test]
    public async Task A_thousand_peers_that_do_not_read_end_neither_the_process_nor_other_channels()
    {
        using MemoryGroup? group = MemoryGroup.TryCreate(Memory);
        string heap = $"export DOTNET_GCHeapHardLimit={Memory:x};";
        using MoshpitProgram program = MoshpitProgram.StartInShell(
            heap + group?.Enter, "", "--port", "0", "--host", "127.0.0.1", "--max-connections", "5000");
        int port = await program.ListeningAsync();
        using RawPeer flooded = await RawPeer.OpenAsync(RawConnection.Connect(port), "/");
        using RawPeer other = await RawPeer.OpenAsync(RawConnection.Connect(port), "/");
        List<RawPeer> slow = [];
        for (int n = 0; n < SlowPeers; n++)
            slow.Add(await RawPeer.OpenAsync(RawConnection.ConnectNarrow(port), "/" + flooded.Id));

        using var stop = new CancellationTokenSource();
        Task<int> hearing = HearAllAsync(flooded, Messages);
        Task<int> elsewhere = ExchangeUntilAsync(other, port, stop.Token);
        using (var flood = new Publisher(RawConnection.Connect(port), flooded))
        {
            string message = $"\"{new string('.', MessageLength)}\"";
            for (int n = 0; n < Messages; n++)
                await flood.SendAsync(message);
        }

        Assert.That(await hearing, Is.EqualTo(Messages), "the owner reads, and hears everything");
        await stop.CancelAsync();
        Assert.That(await elsewhere, Is.Positive);
        await RawPeer.OpenAsync(RawConnection.Connect(port), "/" + other.Id);
        foreach (RawPeer peer in slow)
            peer.Dispose();
        program.Signal(MoshpitProgram.SigTerm);
        Assert.That((await program.EndAsync()).Status, Is.Zero);
    }

    private static async Task<int> HearAllAsync(RawPeer peer, int signals)
    {
        int heard = 0;
        while (heard < signals)
        {
            if ((await peer.ReadEventAsync()).StartsWith("event: signal"))
                heard++;
        }

        return heard;
    }

    /// <summary>Posts to itself, one message after the other, in a channel of its own.</summary>
    private static async Task<int> ExchangeUntilAsync(RawPeer peer, int port, CancellationToken stop)
    {
        using var publisher = new Publisher(RawConnection.Connect(port), peer);
        int exchanged = 0;
        for (; !stop.IsCancellationRequested; exchanged++)
        {
            await publisher.SendAsync($"{exchanged}");
            Assert.That(await peer.ReadSignalAsync(), Is.EqualTo($"{exchanged}"));
        }

        return exchanged;
    }
}
