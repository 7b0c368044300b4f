using System.Text.Json;
using Moshpit.Server;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Client;

/// <summary>A peer of a real server whose connections are cut by a relay comes back as the same peer.</summary>
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ComebackTests
{
    private readonly List<IAsyncDisposable> _peers = [];
    private TestServer _server = null!;
    private ResettingRelay _relay = null!;

    private static CancellationToken Late => new CancellationTokenSource(RawServer.Patience).Token;

    [SetUp]
    public Task StartAsync() => StartAsync(_ => { });

    [TearDown]
    public async Task StopAsync()
    {
        foreach (IAsyncDisposable peer in _peers)
            await peer.DisposeAsync();
        _peers.Clear();
        _relay.Dispose();
        await _server.DisposeAsync();
    }

    [Test]
    public async Task A_peer_that_is_reset_is_the_same_peer_and_its_enumeration_goes_on()
    {
        (MoshpitPeer owner, MoshpitEvent connect) = await OpenAsync(direct: true);
        (MoshpitPeer peer, MoshpitEvent first) = await OpenAsync(connect.Id);
        await owner.Write("1");
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Signal)).Data, Is.EqualTo("1"));
        _relay.Reset();
        MoshpitEvent lost = await peer.ReadUntilAsync(MoshpitEventKind.Lost);
        Assert.That(lost.Failure, Is.Not.Null);
        Assert.That(peer.State, Is.EqualTo(MoshpitPeerState.Away));
        Task<MoshpitReceipt> write = peer.Write("2");
        await owner.Write("3");
        MoshpitEvent again = await peer.ReadUntilAsync(MoshpitEventKind.Connect);
        Assert.That((again.IsResumed, again.Cid, again.Token, again.Number), Is.EqualTo((true, first.Cid, first.Token, 2)));
        Assert.That(peer.State, Is.EqualTo(MoshpitPeerState.Live));
        await write.Soon();
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Signal)).Data, Is.EqualTo("3"));
        MoshpitEvent own = await peer.ReadUntilAsync(MoshpitEventKind.Signal);
        Assert.That((own.Data, own.From, own.Number), Is.EqualTo(("2", first.Cid, 2)));
    }

    [Test]
    public async Task A_message_goes_to_several_peers_or_to_all_but_the_sender_and_the_receipt_tells_of_each()
    {
        (MoshpitPeer owner, MoshpitEvent connect) = await OpenAsync(direct: true);
        (MoshpitPeer one, MoshpitEvent first) = await OpenAsync(connect.Id, direct: true);
        (MoshpitPeer two, MoshpitEvent second) = await OpenAsync(connect.Id, direct: true);
        MoshpitReceipt others = await owner.Write("1", MoshpitRecipients.Others);
        MoshpitReceipt several = await one.WriteText("2", MoshpitRecipients.Of([second.Cid!, connect.Cid!, "gone"]));
        await two.WriteAsJson(3, first.Cid);
        await two.Write("4");
        Assert.That((others.To, others.Away, others.StateOf(first.Cid!)), Is.EqualTo((2, 0, (string?)null)));
        Assert.That((several.To, several.Away, several.Event is null), Is.EqualTo((2, 0, false)));
        Assert.That(
            (several.StateOf(second.Cid!), several.StateOf("gone"), several.StateOf(first.Cid!)),
            Is.EqualTo(("sent", "gone", (string?)null)));
        Assert.That(await HearAsync(owner), Is.EqualTo("\"2\" 4"));
        Assert.That(await HearAsync(one), Is.EqualTo("1 3 4"));
        Assert.That(await HearAsync(two), Is.EqualTo("1 \"2\" 4"));

        async Task<string> HearAsync(MoshpitPeer peer)
        {
            List<string> heard = [];
            while (heard.LastOrDefault() != "4")
                heard.Add((await peer.ReadUntilAsync(MoshpitEventKind.Signal)).Data);
            return string.Join(' ', heard);
        }
    }

    [Test]
    public async Task Messages_whose_connection_is_reset_at_any_byte_are_delivered_once_and_in_order()
    {
        const int Messages = 3;
        (MoshpitPeer owner, MoshpitEvent connect) = await OpenAsync(direct: true);
        (MoshpitPeer peer, _) = await OpenAsync(connect.Id);
        int repeated = 0;
        for (int cut = 1; cut < 800; cut += 41)
        {
            _relay.CutAfter(cut);
            Task<MoshpitReceipt>[] writes = [.. Enumerable.Range(0, Messages).Select(n => peer.Write($"[{cut},{n}]"))];
            foreach (Task<MoshpitReceipt> write in writes)
                repeated += (await write.Soon()).IsDuplicate ? 1 : 0;
            foreach (MoshpitPeer reader in new[] { owner, peer })
            {
                for (int n = 0; n < Messages; n++)
                    Assert.That((await reader.ReadUntilAsync(MoshpitEventKind.Signal)).Data, Is.EqualTo($"[{cut},{n}]"));
            }
        }

        Assert.That((_relay.Cuts, repeated), Is.GreaterThan((10, 10)), "answers were lost");
    }

    [Test]
    public async Task A_peer_that_is_disposed_of_has_left_and_nobody_hears_that_it_was_away()
    {
        (MoshpitPeer owner, MoshpitEvent connect) = await OpenAsync(direct: true);
        (MoshpitPeer peer, MoshpitEvent own) = await OpenAsync(connect.Id);
        await owner.ReadUntilAsync(MoshpitEventKind.Join);
        await peer.DisposeAsync();
        MoshpitEvent leave = (await owner.ReadAsync(Late))!;
        Assert.That((leave.Kind, leave.Cid), Is.EqualTo((MoshpitEventKind.Leave, own.Cid)));
        Assert.That(JsonDocument.Parse(leave.Data).RootElement.GetProperty("reason").GetString(), Is.EqualTo("left"));
        await peer.Completion.Soon();
        Assert.That(peer.State, Is.EqualTo(MoshpitPeerState.Ended));
    }

    [Test]
    public async Task A_peer_whose_session_goes_on_elsewhere_ends_in_good_order()
    {
        var own = new MoshpitPeerOptions { Session = RawServer.Session };
        (_, MoshpitEvent connect) = await OpenAsync(direct: true);
        (MoshpitPeer peer, MoshpitEvent first) = await OpenAsync(connect.Id, own: own);
        (MoshpitPeer other, MoshpitEvent second) = await OpenAsync(connect.Id, own: own);
        Assert.That((second.Cid, second.IsResumed), Is.EqualTo((first.Cid, true)));
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Bye)).Data, Does.Contain("replaced"));
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Lost)).Failure!.Message, Does.Contain("replaced"));
        Assert.That(await peer.ReadAsync(Late), Is.Null);
        await peer.Completion.Soon();
        Assert.That(other.State, Is.EqualTo(MoshpitPeerState.Live));
    }

    [Test]
    public async Task When_the_owner_leaves_the_others_end_in_good_order()
    {
        (MoshpitPeer owner, MoshpitEvent connect) = await OpenAsync(direct: true);
        (MoshpitPeer peer, _) = await OpenAsync(connect.Id);
        await owner.DisposeAsync();
        Assert.That((await peer.ReadUntilAsync(MoshpitEventKind.Bye)).Data, Does.Contain("closed"));
        Assert.That(await peer.ReadAsync(Late), Is.Null);
    }

    [Test]
    public async Task A_program_that_is_started_again_with_its_session_is_the_same_peer_and_none_of_its_messages_is_taken_for_an_old_one()
    {
        var own = new MoshpitPeerOptions { Session = RawServer.Session };
        (MoshpitPeer owner, MoshpitEvent connect) = await OpenAsync(direct: true);
        (MoshpitPeer peer, MoshpitEvent first) = await OpenAsync(connect.Id, own: own);
        await peer.Write("1");
        MoshpitEvent last = await peer.ReadUntilAsync(MoshpitEventKind.Signal);
        await owner.Write("2");
        own.LastEventId = last.LastEventId;
        (MoshpitPeer restarted, MoshpitEvent again) = await OpenAsync(connect.Id, own: own);
        Assert.That((again.IsResumed, again.Cid), Is.EqualTo((true, first.Cid)));
        Assert.That((await restarted.ReadUntilAsync(MoshpitEventKind.Signal)).Data, Is.EqualTo("2"));
        Assert.That((await restarted.Write("3").Soon()).IsDuplicate, Is.False);
    }

    private async Task StartAsync(Action<MoshpitServerOptions> configure)
    {
        _server = await TestServer.StartAsync(configure);
        _relay = new ResettingRelay(_server.Port);
    }

    private async Task<(MoshpitPeer Peer, MoshpitEvent Connect)> OpenAsync(
        string? id = null, bool direct = false, MoshpitPeerOptions? own = null)
    {
        var client = new MoshpitClient($"http://127.0.0.1:{(direct ? _server.Port : _relay.Port)}");
        MoshpitPeer peer = id is null ? client.Open(own ?? new()) : client.Open(id, own ?? new());
        _peers.Add(peer);
        await peer.Connected.Soon();
        return (peer, await peer.ReadUntilAsync(MoshpitEventKind.Connect));
    }
}
