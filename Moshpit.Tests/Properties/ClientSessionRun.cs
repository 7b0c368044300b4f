using Moshpit.Tests.Client;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>Two real clients in one channel, each behind a relay of its own, go through a schedule.</summary>
internal sealed class ClientSessionRun(TestServer server, Dictionary<string, int> seen) : IAsyncDisposable
{
    private const int MostCutBytes = 900;
    private const int MostWrites = 4;

    private readonly Conversation _conversation = new();
    private readonly Program[] _programs = [new(server), new(server)];

    public async Task RunAsync(ClientSessionStep[] steps)
    {
        string? id = null;
        foreach (Program program in _programs)
        {
            program.Start(id);
            MoshpitEvent connect = await program.Peer.Connected.Soon();
            id ??= connect.Id;
            program.Cid = connect.Cid!;
            _conversation.Join(connect.Cid!, connect.Number!.Value);
            program.Reading = ReadAsync(program);
        }

        foreach (ClientSessionStep step in steps)
            await TakeAsync(step, id!);
        foreach (Program program in _programs)
            _conversation.Write(program.Peer, Array.IndexOf(_programs, program));
        await SettleAsync();
        int repeated = await _conversation.CheckReceiptsAsync();
        See("repeated", repeated);
        See("heard", _conversation.Heard);

        // The owner leaves, and the channel goes.
        foreach (Program program in _programs)
        {
            await program.Peer.DisposeAsync();
            await program.Reading.Soon();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Program program in _programs)
            await program.DisposeAsync();
    }

    private async Task TakeAsync(ClientSessionStep step, string id)
    {
        int index = step.Client % _programs.Length;
        Program program = _programs[index];
        switch (step.Kind)
        {
            case ClientSessionStepKind.Write:
                for (int n = 0; n <= step.Number % MostWrites; n++)
                    _conversation.Write(program.Peer, index);
                break;
            case ClientSessionStepKind.WriteToOther:
                _conversation.Write(program.Peer, index, to: 1 - index);
                break;
            case ClientSessionStepKind.Settle:
                await SettleAsync();
                break;
            case ClientSessionStepKind.Cut:
                program.Relay.CutAfter(1 + step.Number * MostCutBytes / 100);
                break;
            case ClientSessionStepKind.Reset:
                program.Relay.Reset();
                break;
            case ClientSessionStepKind.Silence:
                program.Relay.FallSilent();
                program.Peer.Reconnect();
                break;
            case ClientSessionStepKind.Reconnect:
                program.Peer.Reconnect();
                break;
            case ClientSessionStepKind.Restart:
                // Whether what the old program had under way still arrives would be a matter of chance.
                await SettleAsync();
                await program.KillAsync();
                program.Start(index == 0 ? null : id);
                await program.Peer.Connected.Soon();
                program.Reading = ReadAsync(program);
                See("restarted", 1);
                break;
        }
    }

    private async Task SettleAsync()
    {
        for (int index = 0; index < _programs.Length; index++)
        {
            Program program = _programs[index];
            int hearer = index;
            await Eventually.AsyncTrue(() => program.Reading.IsFaulted || _conversation.IsUpToDate(hearer));
            if (program.Reading.IsFaulted)
                await program.Reading;
        }

        await _conversation.CheckReceiptsAsync();
    }

    private async Task ReadAsync(Program program)
    {
        int index = Array.IndexOf(_programs, program);
        bool isAway = false;
        await foreach (MoshpitEvent e in program.Peer)
        {
            program.LastEventId = e.LastEventId;
            switch (e.Kind)
            {
                case MoshpitEventKind.Signal:
                    _conversation.Hear(index, e);
                    break;
                case MoshpitEventKind.Lost:
                    Any.RequireSame(isAway, false);
                    isAway = true;
                    program.Peer.Reconnect();
                    See("lost", 1);
                    break;
                case MoshpitEventKind.Connect:
                    Any.RequireSame((e.Cid, e.IsResumed), (program.Cid, isAway || program.Starts > 1));
                    See(e.IsResumed ? "resumed" : "new", 1);
                    isAway = false;
                    break;
                case MoshpitEventKind.Gap:
                    throw new InvalidOperationException("All is kept, and yet there is a gap.");
            }
        }
    }

    private void See(string what, int count)
    {
        lock (seen)
            seen[what] = seen.GetValueOrDefault(what) + count;
    }

    /// <summary>A program with one peer, which can be started again.</summary>
    private sealed class Program(TestServer server) : IAsyncDisposable
    {
        private readonly List<IDisposable> _relays = [];
        private readonly string _session = SessionPeer.NewSecret();

        public MoshpitPeer Peer { get; private set; } = null!;

        public ResettingRelay Relay { get; private set; } = null!;

        public Task Reading { get; set; } = Task.CompletedTask;

        public string Cid { get; set; } = "";

        public string? LastEventId { get; set; }

        public int Starts { get; private set; }

        public void Start(string? id)
        {
            Starts++;
            Relay = new ResettingRelay(server.Port);
            _relays.Add(Relay);
            var client = new MoshpitClient($"http://127.0.0.1:{Relay.Port}");
            var own = new MoshpitPeerOptions { Session = _session, LastEventId = LastEventId };
            Peer = id is null ? client.Open(own) : client.Open(id, own);
        }

        /// <summary>Ends the program as a kill does: without a word.</summary>
        public async Task KillAsync()
        {
            Relay.Dispose();
            await Peer.DisposeAsync();
            await Reading.Soon();
        }

        public async ValueTask DisposeAsync()
        {
            if (Starts > 0)
                await Peer.DisposeAsync();
            _relays.ForEach(relay => relay.Dispose());
        }
    }
}
