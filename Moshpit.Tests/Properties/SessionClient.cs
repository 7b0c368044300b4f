using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>A program or a tab, as it sees itself.</summary>
/// <param name="secret">Its session's; null: it opens plain streams.</param>
/// <param name="isOwner">It opens "/".</param>
/// <param name="isByQuery">It names its session in the query, as a browser does.</param>
internal sealed class SessionClient(string? secret, bool isOwner, bool isByQuery)
{
    public string? Secret => secret;

    /// <summary>Where it opens streams; empty: it does not know yet.</summary>
    public string Path { get; set; } = isOwner ? "/" : "";

    /// <summary>The id of the last event that it has had.</summary>
    public string? Last { get; set; }

    /// <summary>Ids that it had before.</summary>
    public List<string?> Earlier { get; } = [null];

    public SessionLink? Link { get; set; }

    /// <summary>What its stream, or its last one, says it is.</summary>
    public ModelPeer? Peer { get; set; }

    /// <summary>The seq of its last message.</summary>
    public long Sent { get; set; }

    /// <summary>The head of a request for a stream.</summary>
    public string Request(string? last)
    {
        if (secret is null)
            return Asking.Text("GET", Path);
        string fields = last is null ? "" : $"Last-Event-ID: {last}\r\n";
        return isByQuery
            ? Asking.Text("GET", $"{Path}?session={secret}", fields)
            : Asking.Text("GET", Path, SessionPeer.FieldsOf(secret, last));
    }

    /// <summary>Whether a refusal for now is a status 200, since the client may be an EventSource.</summary>
    public bool IsReconnect(string? last) => secret is not null && isByQuery && last is not null;

    /// <summary>Takes in up to <paramref name="count"/> more events of its stream.</summary>
    public void Take(int count)
    {
        foreach (string? id in Link!.Take(count))
        {
            Earlier.Add(Last);
            Last = id;
        }
    }
}
