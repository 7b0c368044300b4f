using System.Globalization;
using System.Text.Json;
using Moshpit.Server.Channels;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <content>What clients post, and what is answered.</content>
internal sealed partial class SessionRun
{
    private int _messages;

    private async Task PostAsync(SessionClient client, long seq, ModelPeer[]? to, bool hasArray = false, bool hasNoEcho = false)
    {
        if (client.Peer is not { } peer)
            return;
        string data = $"{++_messages}{new string('0', _messages % 20)}";
        var message = new ModelMessage(data, seq, to) { HasArray = hasArray, HasNoEcho = hasNoEcho && to is null };
        (string expected, ModelEvent? signal) = _model.Post(peer, _channels[peer], message);
        string named = to is null ? "" : $"\"{string.Join("\",\"", to.Select(each => each.Cid))}\"";
        string cid = hasArray ? $",\"cid\":[{named}]" : to is null ? "" : $",\"cid\":{named}";
        (int status, JsonElement receipt) = await AskAsync(
            peer, $"\"data\":{data},\"seq\":{seq}{cid}{(message.HasNoEcho ? ",\"echo\":false" : "")}");
        string answer = $"{status}{Receipt(receipt, out string? id)}";
        See($"POST {answer.Split(" to ")[0]}");
        if (answer.Contains(":gone"))
            See("some are gone");
        Any.RequireSame(answer, expected);
        if (signal is not null)
        {
            Any.RequireSame(id is null, signal.Id.Length == 0);
            signal.Seq = id is null ? 0 : long.Parse(id.Split('.')[0], CultureInfo.InvariantCulture);
            signal.Length = $"7b\r\nevent: signal\ndata: {data}\nid: {id}\nfrom: \"{peer.Cid}\"\n\n\r\n".Length
                + EventEntry.Size * Math.Max(1, signal.To.Length);
        }

        await ReadAsync();
    }

    private async Task LeaveAsync(SessionClient client, int stream, int after)
    {
        if (client.Peer is not { } peer)
            return;
        string expected = _model.SayLeave(peer, _channels[peer], stream, after);
        string more = (stream > 0 ? $",\"stream\":{stream}" : "") + (after > 0 ? $",\"after\":{after}" : "");
        Any.RequireSame($"{(await AskAsync(peer, $"\"do\":\"leave\"{more}")).Status}", expected);
    }

    /// <summary>Posts a verb: <see cref="SessionStepKind.List"/>, which any peer may use, or one of those for the owner alone.</summary>
    private async Task AskForAsync(SessionStep step, SessionClient client)
    {
        if (client.Peer is not { } peer || PeerOf(step.Number) is not { } other)
            return;
        string channel = _channels[peer], cid = $",\"cid\":\"{other.Cid}\"", settings = "";
        ModelRoom? room = _model.Room;
        if (step.Kind == SessionStepKind.Change)
            (settings, room) = ChangeOf(_model.Room, step.Number);
        int from = step.Number % 4;
        (string verb, string expected) = step.Kind switch
        {
            SessionStepKind.Kick => ($"kick\"{cid}", _model.Kick(peer, channel, other)),
            SessionStepKind.HandOver => ($"owner\"{cid}", _model.HandOver(peer, channel, other)),
            SessionStepKind.Change => ($"room\",{settings}", _model.Change(peer, channel, room)),
            SessionStepKind.Close => ("close\"", _model.Close(peer, channel)),
            _ => ($"peers\",\"from\":{from}", _model.List(peer, channel, from)),
        };
        (int status, JsonElement answer) = await AskAsync(peer, $"\"do\":\"{verb}");
        See($"{step.Kind} {status}");
        string text = $"{status}";
        if (step.Kind == SessionStepKind.List && status == 200)
            text += (answer.TryGetProperty("event", out _) ? " event" : "") + Members(answer);
        Any.RequireSame(text, expected);
    }

    /// <summary>What an owner changes of <paramref name="room"/>, as members of JSON, and what it is then; null: that is wrong.</summary>
    private static (string Members, ModelRoom? Settings) ChangeOf(ModelRoom room, int number) => (number % 8) switch
    {
        0 or 1 when !room.IsLocked => ("\"locked\":true", room with { IsLocked = true }),
        2 => ($"\"max\":{number % 6}", room with { Max = number % 6 }),
        3 when room.OwnerPublishes => ("\"publish\":\"all\"", room with { OwnerPublishes = false }),
        3 => ("\"publish\":\"owner\"", room with { OwnerPublishes = true }),
        4 when room.IsKept => ("\"keep\":false,\"max\":0", room with { IsKept = false, Max = 0 }),
        4 or 5 => ("\"keep\":true", room with { IsKept = true }),
        6 => ("\"publish\":\"some\"", null),
        _ => ("\"locked\":false", room with { IsLocked = false }),
    };

    private static string Receipt(JsonElement receipt, out string? id)
    {
        id = receipt.TryGetProperty("event", out JsonElement named) ? named.GetString() : null;
        if (receipt.TryGetProperty("duplicate", out _))
            return " duplicate";
        if (!receipt.TryGetProperty("to", out JsonElement to))
            return "";
        if (to.ValueKind == JsonValueKind.Object)
            return $" to {string.Join(' ', to.EnumerateObject().Select(each => $"{each.Name}:{each.Value}").Order())}";
        return $" to {to} away {(receipt.TryGetProperty("away", out JsonElement away) ? away.GetInt32() : 0)}";
    }

    /// <summary>Posts, and reads the answer.</summary>
    private async Task<(int Status, JsonElement Answer)> AskAsync(ModelPeer peer, string members)
    {
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength(
            "/" + _channels[peer], $"{{\"token\":\"{peer.Token}\",{members}}}", PostText.Json + "Accept: application/json\r\n"));
        RawResponse response = await connection.ReadResponseAsync();
        return (response.Status, JsonDocument.Parse(response.Body).RootElement);
    }
}
