using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <content>What streams tell.</content>
internal sealed partial class SessionRun
{
    /// <summary>Reads what every stream is to say now, and waits until the server knows what was ended.</summary>
    private async Task ReadAsync()
    {
        // The newest first: its connect has the cid of which the other streams tell.
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

    /// <summary>An event as a model writes it; what a model does not know is checked here.</summary>
    private string Text(SessionLink link, SessionEvent told)
    {
        See(told.Name);
        switch (told.Name)
        {
            case "connect":
                return Connect(link.Stream.Peer, told);
            case "signal":
                if (told.Id?.Split('.')[1] is { } number)
                    Any.RequireSame($"{_peers[told.From!].Number}", number);
                return $"signal {told.Data.GetRawText()}";
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
                _model.Miss(told.Sequence);
                return "gap";
            default:
                Any.RequireSame(told.Text("id"), _model.Channel);
                if (told.Data.TryGetProperty("reason", out JsonElement why))
                    See($"{told.Name} {why}");
                return told.Name + Members(told.Data);
        }
    }

    private string Connect(ModelPeer peer, SessionEvent told)
    {
        if (peer.Number == 1)
            _model.Channel = told.Text("id");
        _channels[peer] = told.Text("id");
        peer.Cid ??= told.Text("cid");
        peer.Token ??= told.Text("token");
        _peers[peer.Cid] = peer;
        Any.RequireSame((told.Text("id"), told.Text("cid"), told.Text("token")), (_model.Channel, peer.Cid, peer.Token));
        if (peer.Secret is null)
            return "connect" + Members(told.Data);
        Any.RequireSame(told.Number("grace"), (long)SessionServer.Grace);
        Any.RequireSame(told.Retry is >= 1000 and <= 3000, true);
        See(told.Flag("resumed") ? "resumed" : peer.Streams > 1 ? "not resumed" : "new");
        return "connect" + Members(told.Data);
    }

    /// <summary>
    /// The members as a model writes them, with # and a number for a cid. It does not write the channel's id, and what it cannot know.
    /// </summary>
    private string Members(JsonElement data) => string.Concat(data.EnumerateObject().Select(member => member.Name switch
    {
        "id" or "event" or "token" or "grace" or "heartbeat" => "",
        "peers" => $" peers=[{string.Join(", ", member.Value.EnumerateArray().Select(Entry))}]",
        _ => $" {member.Name}={Value(member.Value)}",
    }));

    private string Entry(JsonElement entry)
    {
        Any.RequireSame(entry.GetProperty("n").GetInt32(), _peers[entry.GetProperty("cid").GetString()!].Number);
        return $"#{entry.GetProperty("n")}{(entry.TryGetProperty("away", out JsonElement away) && away.GetBoolean() ? " away" : "")}"
            + (entry.TryGetProperty("meta", out JsonElement meta) ? $" {meta.GetRawText()}" : "");
    }

    private string Value(JsonElement value) =>
        value.ValueKind != JsonValueKind.String ? value.GetRawText()
        : _peers.TryGetValue(value.GetString()!, out ModelPeer? peer) ? $"#{peer.Number}" : value.GetString()!;
}
