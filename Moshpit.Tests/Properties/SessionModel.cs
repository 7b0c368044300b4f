namespace Moshpit.Tests.Properties;

/// <summary>
/// What PROTOCOL.md, 3.1 to 3.5, says of the channels of one owner, one after the other: without sockets, threads and bytes. The numbers of
/// events are not predicted, but learnt where they are first told. Time is in seconds; what is due comes to pass with a whole second.
/// </summary>
internal sealed class SessionModel(double grace, int historyLimit)
{
    private const double HistoryTime = 120, Remembered = 120;
    private readonly Dictionary<(string Secret, string Channel), double> _ended = [];
    private readonly List<(double At, ModelPeer Peer, int Streams, bool Leaves)> _due = [];
    private readonly List<ModelEvent> _events = [];
    private readonly List<ModelPeer> _peers = []; // the owner is the first
    private double _now;
    private int _numbers;

    /// <summary>The id of the newest channel, told once it is known.</summary>
    public string Channel { get; set; } = "";

    /// <summary>A GET of "/" or of a channel. The status, and a stream if it is 200.</summary>
    public (int Status, ModelStream? Stream) Open(string? secret, string channel, string? last)
    {
        bool isHere = _peers.Count > 0 && (channel == "/" || channel == Channel);
        ModelPeer? known = isHere && secret is not null ? _peers.Find(each => each.Secret == secret) : null;
        if (last == "-1" || (last?[0] == '-' && known?.Stream is not null))
            return (204, null);
        if (known is not null)
            return (200, Resume(known, last?.TrimStart('-').Split('.')[0]));
        if (last is not null && _ended.TryGetValue((secret!, channel), out double at) && _now - at < Remembered)
            return (204, null);
        if (!isHere && channel != "/")
            return (404, null);
        _numbers = isHere ? _numbers + 1 : 1;
        var peer = new ModelPeer(secret, _numbers, Happen("", 0));
        _ended.Remove((secret ?? "", channel));
        _peers.Add(peer);
        Tell($"join {peer.Number}", peer);
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
            Tell($"away {stream.Peer.Number}", stream.Peer);
        Pass(0);
    }

    /// <summary>A POST with data. A status with the rest of the receipt, and the event if there is one.</summary>
    public (string Answer, ModelEvent? Signal) Post(ModelPeer peer, string channel, string data, long seq, ModelPeer? to)
    {
        string? refusal = Refusal(peer, channel)
            ?? (peer.Secret is null ? null : seq <= peer.Accepted.Max - 64 ? "409" : peer.Accepted.Contains(seq) ? "200 duplicate" : null)
            ?? (to is null || _peers.Contains(to) ? null : "404");
        if (refusal is not null)
            return (refusal, null);
        peer.Accepted.Add(seq);
        ModelPeer[] all = to is null ? [.. _peers] : [to];
        ModelEvent signal = Happen($"signal {data}", peer.Number, all);
        Array.ForEach(all, each => each.Stream?.Add(new ModelItem(signal.Text, signal)));
        return ($"200 to {all.Length} away {all.Count(each => each.Stream is null)}", signal);
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
    }

    private string? Refusal(ModelPeer peer, string channel) =>
        _peers.Count == 0 || channel != Channel ? "404" : _peers.Contains(peer) ? null : "401";

    private ModelStream Resume(ModelPeer peer, string? last)
    {
        bool wasAway = peer.Stream is null;
        peer.Stream?.End("replaced");
        ModelEvent? after = last is null ? peer.Joined : _events.Find(each => each.Seq > 0 && $"{each.Seq}" == last);
        bool isUsable = after is not null && _events.IndexOf(after) >= _events.IndexOf(peer.Joined);
        ModelStream stream = Begin(peer, isUsable ? after : null, isUsable);
        int next = _events.IndexOf(isUsable ? after! : peer.Joined) + 1;
        foreach (ModelEvent missed in _events.Skip(next).Where(each => each.To.Contains(peer)))
            stream.Add(new ModelItem(missed.Text, missed) { IsMissed = true, IsKept = IsKept(missed) });
        if (wasAway)
            Tell($"back {peer.Number}", peer);
        return stream;
    }

    private ModelStream Begin(ModelPeer peer, ModelEvent? after, bool isResumed)
    {
        string more = $"{isResumed} n={peer.Number} count={_peers.Count} stream={++peer.Streams} seq={peer.Accepted.Max}";
        return peer.Stream = new ModelStream(peer, after, peer.Secret is null ? "connect" : $"connect {more}");
    }

    private bool IsKept(ModelEvent signal) => _now - signal.At < HistoryTime
        && _events.SkipWhile(each => each != signal).Sum(each => each.Length) <= historyLimit;

    private ModelEvent Happen(string text, int sender, params ModelPeer[] to)
    {
        _events.Add(new ModelEvent(text, sender, to, _now));
        return _events[^1];
    }

    private void Tell(string news, ModelPeer about)
    {
        if (_peers[0] != about && _peers[0].Stream is { } stream)
            stream.Add(new ModelItem(news, Happen(news, 0)));
    }

    private void Leave(ModelPeer peer, string reason)
    {
        ModelPeer[] gone = peer == _peers[0] ? [.. _peers] : [peer];
        foreach (ModelPeer each in gone.Where(each => each != peer || reason == "left"))
        {
            each.Stream?.End(each == peer ? "left" : "closed");
            _ended[(each.Secret ?? "", Channel)] = _ended[(each.Secret ?? "", "/")] = _now;
        }

        Tell($"leave {peer.Number} {reason}", peer);
        _peers.RemoveAll(gone.Contains);
    }
}
