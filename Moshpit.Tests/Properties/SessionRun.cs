using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>
/// Runs a schedule against a server, over sockets, one step after the other. All streams are read at once; what a client has had of its
/// stream is for the schedule to say.
/// </summary>
/// <param name="server">Holds nothing, and does again in the end.</param>
/// <param name="seen">Counts what the schedule came by.</param>
internal sealed partial class SessionRun(SessionServer server, Dictionary<string, int> seen) : IDisposable
{
    public const int HistoryLimit = 4 * SessionServer.BodyLimit;

    private const int FloodSize = 9;
    private const int FewSeconds = 5;
    private const int MostNamed = 3;
    private const int MostOpens = 10;
    private const int OpensTime = 10;

    private readonly SessionModel _model = new(SessionServer.Grace, HistoryLimit);
    private readonly List<SessionLink> _links = [];
    private readonly List<SessionClient> _clients = [];
    private readonly Dictionary<ModelPeer, string> _channels = [];
    private readonly Dictionary<string, ModelPeer> _peers = []; // by their cids

    public async Task RunAsync(SessionSchedule schedule)
    {
        Invite(schedule.Room);
        bool beginsPlain = schedule.Room.HasFlag(SessionRoom.IsNamed | SessionRoom.BeginsPlain);
        await OpenAsync(beginsPlain ? _clients.Find(client => client.Secret is null)! : _clients[0], null);
        foreach (SessionClient client in schedule.Room.HasFlag(SessionRoom.BeginsFull) ? _clients : [])
            await OpenAsync(client, client.Last);
        foreach (SessionStep step in schedule.Steps)
            await RunAsync(step);
        for (int client = 0; client < _clients.Count; client++)
            await RunAsync(new SessionStep(SessionStepKind.Open, client, 0));
        Dispose();
        await server.WhenStreamsAsync(0);
        for (int second = 0; second <= SessionServer.Grace; second++)
            server.Tick();
        await server.WhenEmptyAsync();
    }

    public void Dispose()
    {
        foreach (SessionLink link in _links)
            link.Connection.Dispose();
    }

    /// <summary>
    /// Makes the clients: an owner with two tabs, a session with two tabs that ask for different things, two more sessions, one of which
    /// wants another room, and two plain ones.
    /// </summary>
    private void Invite(SessionRoom room)
    {
        string owner = SessionPeer.NewSecret(), shared = SessionPeer.NewSecret();
        string name = room.HasFlag(SessionRoom.IsNamed) ? "room" : "";
        var wanted = new ModelRoom(
            Max: room.HasFlag(SessionRoom.IsSmall) ? 5 : 0, OwnerPublishes: room.HasFlag(SessionRoom.OwnerPublishes),
            IsKept: room.HasFlag(SessionRoom.IsKept));
        ModelRequest owns = new(owner, name.Length == 0 ? "/" : name, null) { Room = wanted, Creates = name.Length > 0 };
        ModelRequest joins = new(null, name, null) { Room = wanted, Creates = room.HasFlag(SessionRoom.AllCreate) };
        ModelRequest joinsPlain = joins with { Creates = joins.Creates || room.HasFlag(SessionRoom.BeginsPlain), Meta = "0" };
        _clients.AddRange(
        [
            new SessionClient(owns with { Meta = """{"a":"b:\u0020c"}""" }, isByQuery: false),
            new SessionClient(joins with { Secret = shared, HearsAll = true, Meta = "1" }, isByQuery: false),
            new SessionClient(joins with { Secret = SessionPeer.NewSecret(), HearsAll = true }, isByQuery: true),
            new SessionClient(joins with { Secret = shared, Room = null, Meta = "3", Creates = name.Length > 0 }, isByQuery: true),
            new SessionClient(owns with { HearsAll = true }, isByQuery: true),
            new SessionClient(joinsPlain, isByQuery: false),
            new SessionClient(
                joins with { Secret = SessionPeer.NewSecret(), Room = wanted with { IsKept = !wanted.IsKept, Max = 4 }, Meta = "[6]" },
                isByQuery: false),
            new SessionClient(joinsPlain with { HearsAll = true }, isByQuery: false),
        ]);
    }

    private async Task RunAsync(SessionStep step)
    {
        SessionClient client = _clients[step.Client % _clients.Count];
        SessionClient? owner = _clients.Find(each => each.Peer is not null && each.Peer == _model.Owner);
        SessionClient boss = step.Number % 5 > 0 && owner is not null ? owner : client;
        switch (step.Kind)
        {
            case SessionStepKind.Open:
                await OpenAsync(client, client.Last);
                break;
            case SessionStepKind.Reload:
                client.Last = null;
                await OpenAsync(client, null);
                break;
            case SessionStepKind.OpenLate:
                await OpenAsync(client, client.Earlier[step.Number % client.Earlier.Count], isLate: true);
                break;
            case SessionStepKind.Storm when client.Link is not null && client.Secret is not null:
                await PassAsync(OpensTime);
                for (int opens = 0; opens < MostOpens; opens++)
                    await OpenAsync(client, client.Last, isAtOnce: true);
                client.Take(int.MaxValue);
                if (step.Number % 2 > 0 && client.Link is not null)
                    await CutAsync(client, step, isAtOnce: true);
                await OpenAsync(client, client.Last, isAtOnce: true);
                await PassAsync(OpensTime);
                break;
            case SessionStepKind.Cut or SessionStepKind.Reset or SessionStepKind.Silence when client.Link is not null:
                await CutAsync(client, step);
                break;
            case SessionStepKind.EndGhosts:
                foreach (SessionLink ghost in _links.Where(link => _clients.TrueForAll(each => each.Link != link)).ToArray())
                    await EndAsync(ghost, isReset: false);
                break;
            case SessionStepKind.CutAll:
                foreach (SessionClient each in _clients.Where(each => each.Secret is not null))
                {
                    if (each.Link is not null)
                        await CutAsync(each, step);
                }

                break;
            case SessionStepKind.Broadcast:
                await PostAsync(client, ++client.Sent, null);
                break;
            case SessionStepKind.Direct:
                await PostAsync(client, ++client.Sent, AddresseeOf(step));
                break;
            case SessionStepKind.Several when SeveralOf(step) is { Length: > 0 } several:
                await PostAsync(client, ++client.Sent, several, hasArray: true);
                break;
            case SessionStepKind.NoEcho:
                await PostAsync(client, ++client.Sent, null, hasNoEcho: true);
                break;
            case SessionStepKind.Repeat:
                await PostAsync(client, Math.Max(1, client.Sent), null);
                break;
            case SessionStepKind.SkipNumber:
                await PostAsync(client, client.Sent += 2, null);
                break;
            case SessionStepKind.Reorder:
                await PostAsync(client, Math.Max(1, client.Sent - step.Number % 4), null);
                break;
            case SessionStepKind.FarNumber:
                await PostAsync(client, client.Sent += 62 + step.Number % 5, null);
                if (step.Number % 2 > 0)
                    await PostAsync(client, Math.Max(1, client.Sent - 65 + step.Number % 4), null);
                break;
            case SessionStepKind.Flood:
                for (int n = 0; n < FloodSize; n++)
                {
                    ModelPeer[]? to = n == step.Number % FloodSize ? AddresseeOf(step) : null;
                    await PostAsync(client, ++client.Sent, to, hasNoEcho: n % 2 > 0);
                }

                break;
            case SessionStepKind.Leave:
                await LeaveAsync(client, stream: 0, after: 0);
                break;
            case SessionStepKind.LeaveLate:
                await LeaveAsync(client, Math.Max(1, (client.Peer?.Streams ?? 1) - 1), after: 0);
                break;
            case SessionStepKind.LeaveLater:
                await LeaveAsync(client, stream: 0, after: FewSeconds);
                await TickAsync();
                break;
            case SessionStepKind.OwnerLeaves:
                await LeaveAsync(boss, stream: 0, after: 0);
                break;
            case SessionStepKind.List or SessionStepKind.Kick or SessionStepKind.HandOver:
            case SessionStepKind.Change or SessionStepKind.Close:
                await AskForAsync(step, boss);
                break;
            case SessionStepKind.Restart:
                _model.Restart();
                await server.RestartAsync(ReadAsync);
                break;
            case SessionStepKind.Pass or SessionStepKind.PassGrace or SessionStepKind.PassHistory:
                await PassAsync(step.Kind == SessionStepKind.Pass ? 1 + step.Number % FewSeconds
                    : step.Kind == SessionStepKind.PassGrace ? (int)SessionServer.Grace : SessionServer.LongTime);
                break;
        }

        await ReadAsync();
    }

    private ModelPeer? PeerOf(int client) => _clients[client % _clients.Count].Peer;

    private ModelPeer[]? AddresseeOf(SessionStep step) => PeerOf(step.Number) is { } peer ? [peer] : null;

    /// <summary>Those whose bits the step's number has, and the first once more.</summary>
    private ModelPeer[] SeveralOf(SessionStep step)
    {
        IEnumerable<int> bits = Enumerable.Range(0, 6).Where(bit => (step.Number >> bit & 1) > 0);
        ModelPeer[] named = [.. bits.Select(PeerOf).OfType<ModelPeer>().Take(MostNamed)];
        return [.. named, .. named.Take(1)];
    }

    private async Task OpenAsync(SessionClient client, string? last, bool isLate = false, bool isAtOnce = false)
    {
        if (client.Channel.Length == 0)
            client.Channel = _model.Channel;

        // A second for each: a session may open ten streams within ten seconds.
        if (!isAtOnce)
            await TickAsync();
        ModelRequest request = client.Request(last);
        bool hasOwner = _model.Owner is not null;
        (int status, ModelStream? stream) = _model.Open(request);
        RawConnection connection = server.Connect();
        connection.Send(client.Head(request));
        RawResponse response = await connection.ReadHeadAsync();
        if (stream is not null)
        {
            Any.RequireSame(response.Status, 200);
            if (!hasOwner && stream.Peer.Number > 1)
                See("owner by coming");
            var link = new SessionLink(connection, stream);
            _links.Add(link);
            if (!isLate)
                (client.Link, client.Peer) = (link, stream.Peer);
            await ReadAsync();
            return;
        }

        bool isForNow = status == 429 || (status == 404 && client.Secret is not null && server.Age < SessionServer.Grace);
        bool isReconnect = isForNow && client.IsReconnect(last);
        See(isReconnect ? $"{status} as 200" : $"{status}");
        Any.RequireSame((response.Status, response["Retry-After"] is not null), (isReconnect ? 200 : status, isForNow));
        connection.Dispose();
        if (isLate)
            return;
        if (status == 404)
            client.Channel = _model.Channel;
        else if (status == 204)
            client.Last = null;
    }

    private async Task PassAsync(int seconds)
    {
        for (; seconds > 0; seconds--)
            await TickAsync();
    }

    /// <summary>A second passes, so that no two things are due at the same time.</summary>
    private async Task TickAsync()
    {
        _model.Pass(1);
        server.Tick();
        await ReadAsync();
    }

    /// <summary>The client takes in some events more, and gives its stream up.</summary>
    private async Task CutAsync(SessionClient client, SessionStep step, bool isAtOnce = false)
    {
        SessionLink link = client.Link!;
        client.Take(step.Number % (link.Waiting + 1));
        client.Link = null;
        if (step.Kind != SessionStepKind.Silence)
            await EndAsync(link, isReset: step.Kind == SessionStepKind.Reset, isAtOnce);
    }

    private async Task EndAsync(SessionLink link, bool isReset, bool isAtOnce = false)
    {
        _links.Remove(link);
        if (isReset)
            link.Connection.Reset();
        else
            link.Connection.Dispose();
        await server.WhenStreamsAsync(_links.Count);
        _model.Lose(link.Stream);
        await ReadAsync();
        if (!isAtOnce)
            await TickAsync();
    }

    private void See(string what) => seen[what] = seen.GetValueOrDefault(what) + 1;
}
