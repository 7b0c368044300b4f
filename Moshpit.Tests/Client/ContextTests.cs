using Moshpit.Tests.Support;

namespace Moshpit.Tests.Client;

/// <summary>In a program with one thread, such as a game, all that it does stays there, and the client never waits for it.</summary>
[Parallelizable]
public sealed class ContextTests
{
    [Test]
    public async Task A_program_of_frames_stays_on_its_thread_while_its_peer_is_lost_and_comes_back()
    {
        await using TestServer server = await TestServer.StartAsync();
        using var relay = new ResettingRelay(server.Port);
        FrameContext.Run(async () =>
        {
            int thread = Environment.CurrentManagedThreadId;
            await using MoshpitPeer owner = new MoshpitClient($"http://127.0.0.1:{server.Port}").Open();
            string id = (await owner.Connected).Id!;
            Assert.That(Environment.CurrentManagedThreadId, Is.EqualTo(thread));
            await using MoshpitPeer peer = new MoshpitClient($"http://127.0.0.1:{relay.Port}").Open(id);
            List<string> told = [];
            await foreach (MoshpitEvent e in peer)
            {
                Assert.That(Environment.CurrentManagedThreadId, Is.EqualTo(thread));
                told.Add(e.Kind == MoshpitEventKind.Signal ? e.Data : $"{e.Kind} {e.IsResumed}");
                if (e.Kind == MoshpitEventKind.Connect)
                    await peer.Write(e.IsResumed ? "2" : "1");
                if (e.Kind == MoshpitEventKind.Lost)
                    peer.Reconnect();
                if (e.Data == "1")
                    relay.Reset();
                Assert.That(Environment.CurrentManagedThreadId, Is.EqualTo(thread));
                if (e.Data == "2")
                    break;
            }

            Assert.That(told, Is.EqualTo(new[] { "Connect False", "1", "Lost False", "Connect True", "2" }));
        });
    }

    [Test]
    public async Task A_peer_comes_back_while_its_program_turns_no_frame()
    {
        await using TestServer server = await TestServer.StartAsync();
        using var relay = new ResettingRelay(server.Port);
        FrameContext.Run(async () =>
        {
            await using MoshpitPeer peer = new MoshpitClient($"http://127.0.0.1:{relay.Port}").Open();
            await peer.Connected;
            Task<MoshpitReceipt> write = peer.Write("1");
            relay.Reset();
            AssertSoon(() => relay.Responses.Any(text => text.Contains("\"resumed\":true")));
            AssertSoon(() => write.IsCompletedSuccessfully);
            Assert.That((await write).To, Is.EqualTo(1).Or.Null);
        });
    }

    /// <summary>Waits without a frame.</summary>
    private static void AssertSoon(Func<bool> condition) => Assert.That(SpinWait.SpinUntil(condition, Support.RawConnection.Patience));
}
