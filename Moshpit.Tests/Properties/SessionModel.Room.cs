namespace Moshpit.Tests.Properties;

/// <content>
/// What PROTOCOL.md, 3.6, says of rooms. In the text of an event, # and a number stand for the cid of the peer with that number.
/// </content>
internal sealed partial class SessionModel
{
    private const int IdLength = 32, LongestName = 64;

    /// <summary>The settings of the newest channel.</summary>
    public ModelRoom Room { get; private set; } = ModelRoom.Default;

    /// <summary>A POST with do=peers: its status, and the answer if it is 200.</summary>
    public string List(ModelPeer peer, string channel, int from) =>
        Refusal(peer, channel) ?? $"200{(_hasIds ? " event" : "")} count={_peers.Count}{Roster(from)}";

    /// <summary>A POST with do=kick.</summary>
    public string Kick(ModelPeer peer, string channel, ModelPeer other)
    {
        string answer = OwnersRefusal(peer, channel) ?? (_peers.Contains(other) ? "200" : "404");
        if (answer == "200")
            Leave(other, "kicked");
        return answer;
    }

    /// <summary>A POST with do=owner. The page does not say what it means to hand over to oneself: nothing changes.</summary>
    public string HandOver(ModelPeer peer, string channel, ModelPeer other)
    {
        string answer = OwnersRefusal(peer, channel)
            ?? (!_peers.Contains(other) ? "404" : other != peer && other is not { Secret: not null, Stream: not null } ? "409" : "200");
        if (answer == "200" && other != peer)
            MakeOwner(other, peer, "given");
        return answer;
    }

    /// <summary>A POST with do=room; null: one of its values is wrong.</summary>
    public string Change(ModelPeer peer, string channel, ModelRoom? settings)
    {
        string answer = OwnersRefusal(peer, channel) ?? (settings is null ? "400" : "200");
        if (answer != "200" || settings == Room)
            return answer;
        Room = settings!;
        TellSessions(Happen($"room{Room}", 0));
        return answer;
    }

    /// <summary>A POST with do=close.</summary>
    public string Close(ModelPeer peer, string channel)
    {
        string answer = OwnersRefusal(peer, channel) ?? "200";
        if (answer == "200")
            EndAll();
        return answer;
    }

    private string? OwnersRefusal(ModelPeer peer, string channel) => Refusal(peer, channel) ?? (peer == Owner ? null : "403");

    private int? JoinRefusal() => Room.IsLocked ? 403 : Room.Max > 0 && _peers.Count >= Room.Max ? 503 : null;

    private static int? CreateRefusal(ModelRequest request)
    {
        bool isName = request.Channel.Length is > 0 and <= LongestName
            && !(request.Channel.Length == IdLength && request.Channel.All(char.IsAsciiHexDigitLower));
        return request.Channel != "/" && !(request.Creates && isName) ? 404 : request.Room is null ? 400 : null;
    }

    /// <summary>By coming, the peer becomes the owner: all session peers of the kept channel are away.</summary>
    private bool IsHeir(ModelPeer peer) => Owner is null && peer.Secret is not null;

    private void MakeOwner(ModelPeer heir, ModelPeer former, string reason)
    {
        Owner = heir;
        ModelEvent news = Happen($"owner cid=#{heir.Number} was=#{former.Number} reason={reason}", 0);
        TellSessions(news, but: heir);
        heir.Stream!.Add(new ModelItem($"{news.Text} count={_peers.Count}{Roster()}", news));
    }

    /// <summary>The peer is told of all others.</summary>
    private bool Watches(ModelPeer peer) => peer.HearsAll || (peer.Secret is not null && peer == Owner);

    private string Roster(int from = 1) => $" peers=[{string.Join(", ", _peers.Where(each => each.Number >= from).Select(
        each => $"#{each.Number}{(each.Stream is null ? " away" : "")}{(each.Meta is null ? "" : $" {each.Meta}")}"))}]";

    private void TellSessions(ModelEvent news, ModelPeer? but = null)
    {
        foreach (ModelPeer each in _peers.Where(each => each.Secret is not null && each != but))
            each.Stream?.Add(new ModelItem(news.Text, news));
    }

    /// <summary>
    /// Tells the peers that hear of others what became of <paramref name="about"/>. A plain owner hears of joins and leaves only, and only
    /// the cid.
    /// </summary>
    private void Tell(string name, ModelPeer about, string more = "")
    {
        ModelEvent? news = name == "join" ? about.Joined : null;
        foreach (ModelPeer each in _peers.Where(each => Watches(each) && each != about && each.Stream is not null))
            each.Stream!.Add(new ModelItem($"{name} cid=#{about.Number}{more}", news ??= Happen("", 0)));
        if (Owner is { Secret: null, Stream: { } stream } && Owner != about && name is "join" or "leave")
            stream.Add(new ModelItem($"{name} cid=#{about.Number}", Happen("", 0)));
    }
}
