using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>A program or a tab, as it sees itself.</summary>
/// <param name="wishes">What it asks for. Its channel is empty as long as the client does not know it.</param>
/// <param name="isByQuery">It names its session in the query, as a browser does.</param>
internal sealed class SessionClient(ModelRequest wishes, bool isByQuery)
{
    public string? Secret => wishes.Secret;

    /// <summary>Where it opens streams.</summary>
    public string Channel { get; set; } = wishes.Channel;

    /// <summary>The id of the last event that it has had.</summary>
    public string? Last { get; set; }

    /// <summary>Ids that it had before.</summary>
    public List<string?> Earlier { get; } = [null];

    public SessionLink? Link { get; set; }

    /// <summary>What its stream, or its last one, says it is.</summary>
    public ModelPeer? Peer { get; set; }

    /// <summary>The seq of its last message.</summary>
    public long Sent { get; set; }

    /// <summary>A request for a stream.</summary>
    public ModelRequest Request(string? last) => wishes with { Channel = Channel, Last = Secret is null ? null : last };

    /// <summary>The head of that request.</summary>
    public string Head(ModelRequest request)
    {
        List<string> query = [];
        if (request.Creates)
            query.Add("create=1");
        if (request.Room is not { } room)
            query.Add("max=none");
        else
            query.Add($"max={room.Max}&publish={(room.OwnerPublishes ? "owner" : "all")}&keep={(room.IsKept ? 1 : 0)}");
        if (request.HearsAll)
            query.Add("presence=all");
        if (request.Meta is { } meta)
            query.Add("meta=" + Uri.EscapeDataString(meta.Replace(@"\u0020", " ")));
        if (isByQuery)
            query.Add("session=" + Secret);
        string fields = request.Secret is null ? ""
            : !isByQuery ? SessionPeer.FieldsOf(request.Secret, request.Last)
            : request.Last is null ? "" : $"Last-Event-ID: {request.Last}\r\n";
        return Asking.Text("GET", $"/{request.Channel.TrimStart('/')}?{string.Join('&', query)}", fields);
    }

    /// <summary>Whether a refusal for now is a status 200, since the client may be an EventSource.</summary>
    public bool IsReconnect(string? last) => isByQuery && last is not null;

    /// <summary>Takes in up to <paramref name="count"/> more events of its stream.</summary>
    public void Take(int count)
    {
        foreach (string? id in Link?.Take(count) ?? [])
        {
            Earlier.Add(Last);
            Last = id;
        }
    }
}
