using System.Globalization;
using System.Text.Json;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>
/// Runs a schedule against a server, over sockets, one step after the other. All streams are read at once; what a client has had of its
/// stream is for the schedule to say.
/// </summary>
/// <param name="server">Holds nothing, and does again in the end.</param>
/// <param name="seen">Counts what the schedule came by.</param>
internal sealed class SessionRun(SessionServer server, Dictionary<string, int> seen) : IDisposable
{
    public const int HistoryLimit = 4 * SessionServer.BodyLimit;

    private const int FloodSize = 6;
    private const int FewSeconds = 5;

    private readonly SessionModel _model = new(SessionServer.Grace, HistoryLimit);
    private readonly List<SessionLink> _links = [];
    private readonly List<SessionClient> _clients = [];
    private readonly Dictionary<ModelPeer, string> _channels = [];
    private readonly Dictionary<(string Channel, int Number), ModelPeer> _peers = [];
    private int _messages;

    public async Task RunAsync(SessionStep[] steps)
    {
        string owner = SessionPeer.NewSecret(), shared = SessionPeer.NewSecret();
        _clients.AddRange(
        [
            new SessionClient(owner, isOwner: true, isByQuery: false),
            new SessionClient(shared, isOwner: false, isByQuery: false),
            new SessionClient(SessionPeer.NewSecret(), isOwner: false, isByQuery: true),
            new SessionClient(shared, isOwner: false, isByQuery: true),
            new SessionClient(owner, isOwner: true, isByQuery: true),
            new SessionClient(null, isOwner: false, isByQuery: false),
        ]);
        await OpenAsync(_clients[0], null);
        foreach (SessionStep step in steps)
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

    private async Task RunAsync(SessionStep step)
    {
        SessionClient client = _clients[step.Client % _clients.Count];
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
            case SessionStepKind.Cut or SessionStepKind.Reset or SessionStepKind.Silence when client.Link is { } link:
                client.Take(step.Number % (link.Waiting + 1));
                client.Link = null;
                if (step.Kind != SessionStepKind.Silence)
                    await EndAsync(link, isReset: step.Kind == SessionStepKind.Reset);
                break;
            case SessionStepKind.EndGhosts:
                foreach (SessionLink ghost in _links.Where(link => _clients.TrueForAll(each => each.Link != link)).ToArray())
                    await EndAsync(ghost, isReset: false);
                break;
            case SessionStepKind.Broadcast:
                await PostAsync(client, ++client.Sent, null);
                break;
            case SessionStepKind.Direct:
                await PostAsync(client, ++client.Sent, AddresseeOf(step));
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
                await PostAsync(client, step.Number % 2 == 0 ? client.Sent += 62 + step.Number % 5 : Math.Max(1, client.Sent - 65), null);
                break;
            case SessionStepKind.Flood:
                for (int n = 0; n < FloodSize; n++)
                    await PostAsync(client, ++client.Sent, n == step.Number % FloodSize ? AddresseeOf(step) : null);
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
            case SessionStepKind.Restart:
                _model.Restart();
                await server.RestartAsync(ReadAsync);
                break;
            case SessionStepKind.Pass or SessionStepKind.PassGrace or SessionStepKind.PassHistory:
                int seconds = step.Kind == SessionStepKind.Pass ? 1 + step.Number % FewSeconds
                    : step.Kind == SessionStepKind.PassGrace ? (int)SessionServer.Grace : SessionServer.LongTime;
                for (; seconds > 0; seconds--)
                    await TickAsync();
                break;
        }

        await ReadAsync();
    }

    private ModelPeer? AddresseeOf(SessionStep step) => _clients[step.Number % _clients.Count].Peer;

    private async Task OpenAsync(SessionClient client, string? last, bool isLate = false)
    {
        if (client.Path.Length == 0)
            client.Path = "/" + _model.Channel;
        if (client.Secret is null)
            last = null;

        // A second for each: a session may open ten streams within ten seconds.
        await TickAsync();
        (int status, ModelStream? stream) = _model.Open(client.Secret, client.Path.Length == 1 ? client.Path : client.Path[1..], last);
        RawConnection connection = server.Connect();
        connection.Send(client.Request(last));
        RawResponse response = await connection.ReadHeadAsync();
        if (stream is not null)
        {
            Any.RequireSame(response.Status, 200);
            var link = new SessionLink(connection, stream);
            _links.Add(link);
            if (!isLate)
                (client.Link, client.Peer) = (link, stream.Peer);
            await ReadAsync();
            return;
        }

        bool isForNow = status == 404 && client.Secret is not null && server.Age < SessionServer.Grace;
        bool isReconnect = isForNow && client.IsReconnect(last);
        See(isReconnect ? "refused for now" : $"{status}");
        Any.RequireSame((response.Status, response["Retry-After"] is not null), (isReconnect ? 200 : status, isForNow));
        connection.Dispose();
        if (isLate)
            return;
        if (status == 404)
            client.Path = "/" + _model.Channel;
        else
            client.Last = null;
    }

    /// <summary>A second passes, so that no two things are due at the same time.</summary>
    private async Task TickAsync()
    {
        _model.Pass(1);
        server.Tick();
        await ReadAsync();
    }

    private async Task EndAsync(SessionLink link, bool isReset)
    {
        _links.Remove(link);
        if (isReset)
            link.Connection.Reset();
        else
            link.Connection.Dispose();
        await server.WhenStreamsAsync(_links.Count);
        _model.Lose(link.Stream);
        await ReadAsync();

        await TickAsync();
    }

    private async Task PostAsync(SessionClient client, long seq, ModelPeer? to)
    {
        if (client.Peer is not { } peer)
            return;
        string data = $"{++_messages}{new string('0', _messages % 20)}", cid = to is null ? "" : $",\"cid\":\"{to.Cid}\"";
        string channel = _channels[peer];
        (string expected, ModelEvent? signal) = _model.Post(peer, channel, data, seq, to);
        (string answer, string? id) = await AskAsync(peer, $"\"data\":{data},\"seq\":{seq}{cid}");
        See($"POST {answer.Split(" to ")[0]}");
        Any.RequireSame(answer, expected);
        if (signal is not null)
        {
            signal.Seq = long.Parse(id!.Split('.')[0], CultureInfo.InvariantCulture);
            signal.Length = $"7b\r\nevent: signal\ndata: {data}\nid: {id}\nfrom: \"{peer.Cid}\"\n\n\r\n".Length + EventEntry.Size;
        }

        await ReadAsync();
    }

    private async Task LeaveAsync(SessionClient client, int stream, int after)
    {
        if (client.Peer is not { } peer)
            return;
        string expected = _model.SayLeave(peer, _channels[peer], stream, after);
        string more = (stream > 0 ? $",\"stream\":{stream}" : "") + (after > 0 ? $",\"after\":{after}" : "");
        Any.RequireSame((await AskAsync(peer, $"\"do\":\"leave\"{more}")).Answer, expected);
    }

    /// <summary>Posts, and reads the answer as a model writes it, and the id of the event if there is one.</summary>
    private async Task<(string Answer, string? Id)> AskAsync(ModelPeer peer, string members)
    {
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength(
            "/" + _channels[peer], $"{{\"token\":\"{peer.Token}\",{members}}}", PostText.Json + "Accept: application/json\r\n"));
        RawResponse response = await connection.ReadResponseAsync();
        JsonElement receipt = JsonDocument.Parse(response.Body).RootElement;
        if (receipt.TryGetProperty("duplicate", out _))
            return ($"{response.Status} duplicate", null);
        if (!receipt.TryGetProperty("to", out JsonElement to))
            return ($"{response.Status}", null);
        int away = receipt.TryGetProperty("away", out JsonElement some) ? some.GetInt32() : 0;
        return ($"{response.Status} to {to} away {away}", receipt.GetProperty("event").GetString());
    }

    /// <summary>Reads what every stream is to say now, and waits until the server knows what was ended.</summary>
    private async Task ReadAsync()
    {
        // The newest first: its connect has the cid of which the owner's stream tells.
        foreach (SessionLink link in Enumerable.Reverse(_links).ToArray())
            await link.ReadAsync(Text);

        // When all have been read: the owner would hear of an end that a stopping server sees before it comes to the owner's stream.
        foreach (SessionLink link in _links.Where(link => link.Stream.HasEnded).ToArray())
        {
            link.Connection.Dispose();
            _links.Remove(link);
            if (_clients.Find(client => client.Link == link) is not { } client)
                continue;
            client.Take(int.MaxValue);
            client.Link = null;
        }

        await server.WhenStreamsAsync(_links.Count);
    }

    private void See(string what) => seen[what] = seen.GetValueOrDefault(what) + 1;

    /// <summary>An event as a model writes it; what a model does not know is checked here.</summary>
    private string Text(SessionLink link, SessionEvent told)
    {
        ModelPeer peer = link.Stream.Peer;
        See(told.Name);
        switch (told.Name)
        {
            case "connect":
                if (peer.Number == 1)
                    _model.Channel = told.Text("id");
                _channels[peer] = told.Text("id");
                peer.Cid ??= told.Text("cid");
                peer.Token ??= told.Text("token");
                _peers[(told.Text("id"), peer.Number)] = peer;
                Any.RequireSame((told.Text("id"), told.Text("cid"), told.Text("token")), (_model.Channel, peer.Cid, peer.Token));
                if (peer.Secret is null)
                    return "connect";
                Any.RequireSame((told.Text("owner"), told.Number("grace")), (CidOf(1), (long)SessionServer.Grace));
                See(told.Flag("resumed") ? "resumed" : peer.Streams > 1 ? "not resumed" : "new");
                Any.RequireSame(told.Retry is >= 1000 and <= 3000, true);
                return $"connect {told.Flag("resumed")} n={told.Number("n")} count={told.Number("count")} stream={told.Number("stream")} "
                    + $"seq={told.Number("seq")}";
            case "signal":
                Any.RequireSame(told.From, CidOf(int.Parse(told.Id!.Split('.')[1], CultureInfo.InvariantCulture)));
                return $"signal {told.Data.GetRawText()}";
            case "join":
                return $"join {told.Number("n")}";
            case "leave":
                return $"leave {told.Number("n")} {told.Text("reason")}";
            case "away" or "back":
                return $"{told.Name} {_peers.First(each => each.Value.Cid == told.Text("cid")).Key.Number}";
            case "bye":
                string reason = told.Text("reason");
                Any.RequireSame(told.Flag("again"), reason == "stopping");
                if (reason is "replaced" or "stopping")
                    Any.RequireSame(told.Retry >= (reason == "replaced" ? 3000 : SessionServer.ShortestRetry), true);
                See(reason);
                return $"bye {reason}";
            case "gap":
                See(link.Stream.After is null ? "unknown loss" : "known loss");
                string lost = link.Stream.After is { } after
                    ? $"\"after\":{after.Seq},\"missed\":{told.Sequence - after.Seq}" : "\"after\":null,\"missed\":null";
                Any.RequireSame(told.Data.GetRawText(), $"{{\"id\":\"{_model.Channel}\",{lost}}}");
                return "gap";
            default:
                return told.Name;
        }

        string? CidOf(int number) => _peers[(_model.Channel, number)].Cid;
    }
}
