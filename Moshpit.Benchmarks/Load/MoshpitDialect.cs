using System.Text.Json;

namespace Moshpit.Benchmarks.Load;

/// <summary>The protocol of this repository.</summary>
internal class MoshpitDialect : Dialect
{
    public override bool JoinsByEvent => true;

    public override string HttpVersion => "1.1";

    public override string SubscribePath(StreamPeer peer) => "/" + peer.Channel.Id;

    public override void OnJoined(StreamPeer peer, ReadOnlySpan<byte> firstEvent)
    {
        ReadOnlySpan<byte> start = "event: connect\ndata: "u8;
        if (!firstEvent.StartsWith(start))
            throw new BenchmarkException("The first event of a stream was not 'connect'; is this a moshpit?");
        var json = new Utf8JsonReader(firstEvent[start.Length..]);
        OnConnect(peer, JsonElement.ParseValue(ref json));
    }

    public override PostTemplate CreatePost(LoadTarget server, SwarmChannel channel, StreamPeer? addressee, int length) =>
        CreatePost(server, channel.Id, channel.Peers[0].Token, addressee?.Cid, length);

    /// <summary>As the server expects it.</summary>
    public static PostTemplate CreatePost(LoadTarget server, string id, string token, string? cid, int length)
    {
        string addressee = cid is null ? "" : $"\"cid\":\"{cid}\",";
        return new PostTemplate(server, "/" + id, $"{{\"token\":\"{token}\",{addressee}\"data\":\"", length, "\"}");
    }

    /// <summary>Understands the data of the first event.</summary>
    protected virtual void OnConnect(StreamPeer peer, JsonElement connect)
    {
        peer.Channel.Id = connect.GetProperty("id").GetString()!;
        peer.Cid = connect.GetProperty("cid").GetString()!;
        peer.Token = connect.GetProperty("token").GetString()!;
    }
}
