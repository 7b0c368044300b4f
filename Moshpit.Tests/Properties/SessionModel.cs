namespace Moshpit.Tests.Properties;

/// <summary>
/// What PROTOCOL.md, part 3, says of the channels of one name or of one owner, one after the other: without sockets, threads and bytes. The
/// numbers of events are not predicted, but learnt where they are first told. Time is in seconds; what is due comes to pass with a whole
/// second. Rooms (3.6) are in the other file.
/// </summary>
internal sealed partial class SessionModel(double grace, int historyLimit)
{
    private const double HistoryTime = 120, Remembered = 120, OpensTime = 10;
    private const int MostOpens = 10;
    private readonly Dictionary<(string Secret, string Channel), double> _ended = [];
    private readonly List<(double At, ModelPeer Peer, int Streams, bool Leaves)> _due = [];
    private readonly List<ModelEvent> _events = [];
    private readonly List<ModelPeer> _peers = []; // in the order of joining
    private double _now;
    private int _numbers;

    /// <summary>The channel has or had a session peer.</summary>
    private bool _hasIds;

    /// <summary>The newest broadcast of which a gap has told that it is not kept; the older ones are not kept either.</summary>
    private ModelEvent? _lost;

    /// <summary>The id of the newest channel, told once it is known.</summary>
    public string Channel { get; set; } = "";

    /// <summary>Null: the channel is gone, or all of its session peers are away.</summary>
    public ModelPeer? Owner { get; private set; }

    /// <summary>The status, and a stream if it is 200.</summary>
    public (int Status, ModelStream? Stream) Open(ModelRequest request)
    {
        (string? secret, string path, string? last) = (request.Secret, request.Channel, request.Last);
        bool isHere = _peers.Count > 0 && (path == "/" || path == Channel);
        string channel = path == "/" ? Channel : path;
        ModelPeer? known = isHere && secret is not null ? _peers.Find(each => each.Secret == secret) : null;
        if (last == "-1" || (last?[0] == '-' && known?.Stream is not null))
            return (204, null);
        if (known?.Opens.Count(opened => _now - opened < OpensTime) >= MostOpens)
            return (429, null);
        if (known is not null)
            return (200, Resume(known, last?.TrimStart('-').Split('.')[0]));
        if (last is not null && _ended.TryGetValue((secret!, channel), out double at) && _now - at < Remembered)
            return (204, null);
        if ((isHere ? JoinRefusal() : CreateRefusal(request)) is { } status)
            return (status, null);
        if (!isHere)
            (_numbers, _hasIds, Room) = (0, false, request.Room!);
        _hasIds |= secret is not null;
        var peer = new ModelPeer(request, ++_numbers, Happen("", 0));
        _ended.Remove((secret ?? "", channel));
        _peers.Add(peer);
        if (peer.Number == 1 || IsHeir(peer))
            Owner = peer;
        Tell("join", peer, $" n={peer.Number}{(peer.Meta is null ? "" : $" meta={peer.Meta}")}");
        return (200, Begin(peer, last is null ? peer.Joined : null, isResumed: false));
    }

    /// <summary>The server sees the end of a stream.</summary>
    public void Lose(ModelStream stream)
    {
        if (stream.Peer.Stream != stream)
            return;
        stream.Peer.Stream = null;
        bool isPlain = stream.Peer.Secret is null;
        _due.Add((_now + (isPlain ? 0 : grace), stream.Peer, stream.Peer.Streams, Leaves: false));
        if (!isPlain)
            Tell("away", stream.Peer);
        Pass(0);
    }

    /// <summary>A POST with data. A status with the rest of the receipt, and the event if there is one.</summary>
    public (string Answer, ModelEvent? Signal) Post(ModelPeer peer, string channel, ModelMessage message)
    {
        (ModelPeer[]? to, long seq) = (message.To?.Distinct().ToArray(), message.Seq);
        string? refusal = Refusal(peer, channel)
            ?? (peer.Secret is null ? null : seq <= peer.Accepted.Max - 64 ? "409" : peer.Accepted.Contains(seq) ? "200 duplicate" : null)
            ?? (Room.OwnerPublishes && peer != Owner && to is not { Length: 1 } ? "403" : null)
            ?? (to is null || to.Any(_peers.Contains) ? null : "404");
        if (refusal is not null)
            return (refusal, null);
        peer.Accepted.Add(seq);
        ModelPeer[] all = [.. (to ?? _peers.AsEnumerable()).Where(_peers.Contains)];
        ModelEvent signal = Happen($"signal {message.Data}", peer.Number, all, untold: message.HasNoEcho ? peer : null);
        signal.IsBroadcast = to is null;
        ModelPeer[] told = [.. all.Where(each => each != signal.Untold)];
        Array.ForEach(told, each => each.Stream?.Add(new ModelItem(signal.Text, signal)));
        return (message.HasArray
            ? $"200 to {string.Join(' ', to!.Select(each => $"{each.Cid}:{StateOf(each)}").Order())}"
            : $"200 to {told.Length} away {told.Count(each => each.Stream is null)}", signal);

        string StateOf(ModelPeer each) => !_peers.Contains(each) ? "gone" : each.Stream is null ? "away" : "sent";
    }

    /// <summary>A POST with do=leave. It may name a stream (0: none) and for how many seconds it is to be put off.</summary>
    public string SayLeave(ModelPeer peer, string channel, int stream, int after)
    {
        string answer = Refusal(peer, channel) ?? "200";
        if (answer == "200" && (stream == 0 || stream >= peer.Streams))
            _due.Add((_now + after, peer, peer.Streams, Leaves: true));
        Pass(0);
        return answer;
    }

    /// <summary>A gap told that a peer has lost what happened up to the event with the number <paramref name="seq"/>.</summary>
    public void Miss(long seq)
    {
        ModelEvent? last = _events.FindLast(each => each.Seq == seq);
        if (last is { IsBroadcast: true } && _events.IndexOf(last) > _events.IndexOf(_lost!))
            _lost = last;
    }

    /// <summary>So much time passes.</summary>
    public void Pass(int seconds)
    {
        _now += seconds;
        foreach (var due in _due.Where(each => each.At <= _now).OrderBy(each => each.At).ToArray())
        {
            _due.Remove(due);
            if (_peers.Contains(due.Peer) && due.Peer.Streams == due.Streams && (due.Leaves || due.Peer.Stream is null))
                Leave(due.Peer, due.Leaves ? "left" : "lost");
        }
    }

    /// <summary>The server stops, and another takes its place.</summary>
    public void Restart()
    {
        _peers.ForEach(peer => peer.Stream?.End("stopping"));
        _peers.Clear();
        _ended.Clear();
        Owner = null;
    }

    private string? Refusal(ModelPeer peer, string channel) =>
        _peers.Count == 0 || channel != Channel ? "404" : _peers.Contains(peer) ? null : "401";

    private ModelStream Resume(ModelPeer peer, string? last)
    {
        bool wasAway = peer.Stream is null;
        if (IsHeir(peer))
            Owner = peer;
        peer.Stream?.End("replaced");
        ModelEvent? after = last is null ? peer.Joined : _events.Find(each => each.Seq > 0 && $"{each.Seq}" == last);
        bool isUsable = after is not null && _events.IndexOf(after) >= _events.IndexOf(peer.Joined);
        ModelStream stream = Begin(peer, isUsable ? after : null, isUsable);
        int next = _events.IndexOf(isUsable ? after! : peer.Joined) + 1;
        foreach (ModelEvent missed in _events.Skip(next).Where(each => each.To.Contains(peer)))
        {
            bool isLost = missed.IsBroadcast && _events.IndexOf(missed) <= _events.IndexOf(_lost!);
            stream.Add(new ModelItem(missed.Text, missed)
            {
                IsMissed = true, IsKept = IsKept(missed), IsUntold = missed.Untold == peer && !isLost,
            });
        }

        if (wasAway)
            Tell("back", peer);
        return stream;
    }

    private ModelStream Begin(ModelPeer peer, ModelEvent? after, bool isResumed)
    {
        ModelStream stream = peer.Stream = new ModelStream(peer, after);
        peer.Streams++;
        peer.Opens.Add(_now);
        stream.Begin($"connect cid=#{peer.Number}" + (peer.Secret is null ? ""
            : $" resumed={(isResumed ? "true" : "false")} n={peer.Number} owner=#{Owner!.Number} count={_peers.Count}"
                + $" stream={peer.Streams} seq={peer.Accepted.Max}{Room.Differences}{(Watches(peer) ? Roster() : "")}"));
        return stream;
    }

    private bool IsKept(ModelEvent signal) => _now - signal.At < HistoryTime
        && _events.SkipWhile(each => each != signal).Sum(each => each.Length) <= historyLimit;

    private ModelEvent Happen(string text, int sender, ModelPeer[]? to = null, ModelPeer? untold = null)
    {
        _events.Add(new ModelEvent(text, _hasIds ? $"{{0}}.{sender}" : "", to ?? [], _now) { Untold = untold });
        return _events[^1];
    }

    private void Leave(ModelPeer peer, string reason)
    {
        if (reason != "lost")
            End(peer, reason);
        _peers.Remove(peer);
        bool wasOwner = peer == Owner;
        Owner = wasOwner ? null : Owner;
        if (Owner is null && !(Room.IsKept && _peers.Exists(each => each.Secret is not null)))
        {
            EndAll();
            return;
        }

        Tell("leave", peer, $" n={peer.Number} reason={reason}");
        if (wasOwner && _peers.Find(each => each is { Secret: not null, Stream: not null }) is { } heir)
            MakeOwner(heir, peer, reason == "lost" ? "lost" : "left");
    }

    private void EndAll()
    {
        _peers.ForEach(each => End(each, "closed"));
        _peers.Clear();
        Owner = null;
    }

    /// <summary>A peer's session is over for good.</summary>
    private void End(ModelPeer peer, string reason)
    {
        peer.Stream?.End(reason);
        if (peer.Secret is not null)
            _ended[(peer.Secret, Channel)] = _now;
    }
}
