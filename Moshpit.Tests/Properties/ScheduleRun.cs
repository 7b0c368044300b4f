using Moshpit.Tests.Fuzz;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>
/// Runs a schedule against a server, over sockets. The steps of a round happen at the same time, as it comes; then everything comes to
/// rest, and <see cref="ChannelRound"/> compares what each peer was told with what the protocol says.
/// </summary>
internal sealed class ScheduleRun(TestServer server) : IDisposable
{
    private const int CrowdSize = 20;
    private const int BurstSize = 8;

    private readonly List<List<PitPeer>> _channels = [];
    private readonly List<PitPeer> _all = [];
    private readonly List<string> _gone = ["0123456789abcdef0123456789abcdef"];

    public async Task RunAsync(Step[][] rounds)
    {
        foreach (Step[] round in rounds)
            await RunRoundAsync(round);

        // In the end all leave, owners last: every join has its leave.
        int[] guests = [.. Present().Select((peer, index) => (peer, index)).Where(item => !IsOwner(item.peer)).Select(item => item.index)];
        await RunRoundAsync([.. guests.Select(index => new Step(StepKind.Leave, index, 0))]);
        await RunRoundAsync([.. _channels.Select((_, index) => new Step(StepKind.Leave, index, 0))]);
    }

    public void Dispose()
    {
        foreach (PitPeer peer in _all)
            peer.Dispose();
    }

    private List<PitPeer> Present() => [.. _channels.SelectMany(channel => channel)];

    private bool IsOwner(PitPeer peer) => _channels.Any(channel => channel[0] == peer);

    private async Task RunRoundAsync(Step[] steps)
    {
        List<PitPeer> present = Present();
        List<ChannelRound> channels = [.. _channels.Select(peers => new ChannelRound(peers))];
        var created = new List<PitPeer>();
        var tasks = new List<Func<Task>>();
        present.ForEach(peer => peer.BeginRound());
        foreach (Step step in steps)
        {
            PitPeer? sender = present.Count == 0 ? null : present[step.Sender % present.Count];
            if (step.Kind == StepKind.Create)
                tasks.Add(async () => Add(created, (await OpenAsync("/"))!));
            else if (step.Kind == StepKind.JoinNobody)
                tasks.Add(async () => Any.RequireSame(await OpenAsync("/" + _gone[step.Sender % _gone.Count]), null));
            else if (sender is not null)
                Plan(step, sender, present[step.Addressee % present.Count], channels[step.Sender % channels.Count], tasks);
        }

        foreach (PitPeer peer in present)
        {
            if (peer.Posted.Any())
                tasks.Add(peer.PostAllAsync);
            if (peer.Leaving is not null)
                tasks.Add(peer.LeaveAsync);
        }

        await Task.WhenAll(tasks.Select(Task.Run));
        foreach (ChannelRound channel in channels)
            await channel.CheckAsync();
        foreach (ChannelRound channel in channels.Where(channel => channel.IsClosing))
            _gone.Add(channel.Id);
        _channels.Clear();
        _channels.AddRange(channels.Where(channel => !channel.IsClosing).Select(channel => channel.Remaining));
        _channels.AddRange(created.Select(owner => new List<PitPeer> { owner }));
        await Eventually.AsyncTrue(() => server.Server.Parts.Channels.Count == _channels.Count);
    }

    private void Plan(Step step, PitPeer sender, PitPeer addressee, ChannelRound channel, List<Func<Task>> tasks)
    {
        switch (step.Kind)
        {
            case StepKind.Join or StepKind.Crowd:
                for (int count = step.Kind == StepKind.Crowd ? CrowdSize : 1; count > 0; count--)
                    tasks.Add(() => JoinAsync(channel));
                break;
            case StepKind.Broadcast:
                sender.Say(null);
                break;
            case StepKind.Direct:
                sender.Say(addressee);
                break;
            case StepKind.Burst:
                for (int count = 0; count < BurstSize; count++)
                    sender.Say(count % 2 == 0 ? null : addressee);
                break;
            case StepKind.Leave or StepKind.Reset:
                sender.Leaving ??= step.Kind;
                break;
            case StepKind.Forge:
                tasks.Add(() => ForgeAsync(sender, channel));
                break;
        }
    }

    private async Task JoinAsync(ChannelRound channel)
    {
        PitPeer? joined = await OpenAsync("/" + channel.Id);
        if (joined is null)
        {
            if (!channel.IsClosing)
                throw new FuzzException($"No peer could join {channel.Id}, which is open.");
            return;
        }

        Add(channel.Joined, joined);
        joined.Say(null);
        await joined.PostAllAsync();
    }

    private async Task ForgeAsync(PitPeer sender, ChannelRound channel)
    {
        using RawConnection connection = server.Connect();
        connection.Send(sender.Id == channel.Id ? sender.ForgedPost(_gone[0]) : sender.ForgedPost(channel.Id));
        int status = (await connection.ReadResponseAsync()).Status;
        int expected = sender.Id == channel.Id ? 404 : 401;
        if (status != expected && !(status == 404 && channel.IsClosing))
            throw new FuzzException($"A forged message was answered {status}, not {expected}.");
    }

    private static void Add(List<PitPeer> peers, PitPeer peer)
    {
        lock (peers)
            peers.Add(peer);
    }

    /// <summary>Null: there is no such channel.</summary>
    private async Task<PitPeer?> OpenAsync(string target)
    {
        RawConnection connection = server.Connect();
        connection.Send($"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        int status = (await connection.ReadHeadAsync()).Status;
        if (status == 404)
        {
            connection.Dispose();
            return null;
        }

        Any.RequireSame(status, target == "/" ? 201 : 200);
        string connect = await connection.ReadUntilAsync("\n\n");
        lock (_all)
        {
            var peer = new PitPeer(_all.Count, connection, connect, server.Connect());
            _all.Add(peer);
            return peer;
        }
    }
}
