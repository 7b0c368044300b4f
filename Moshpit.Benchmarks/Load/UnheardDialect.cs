namespace Moshpit.Benchmarks.Load;

/// <summary>
/// Says what a moshpit would be told, in the same bytes, to a server where no peer listens: it costs a POST and its answer alone.
/// </summary>
internal sealed class UnheardDialect : Dialect
{
    private const string SomeId = "a1ad1a210063392d29027dbdd5fc9dd7";

    public override bool JoinsByEvent => false;

    public override string HttpVersion => "1.0";

    public override string SubscribePath(StreamPeer peer) => throw new NotSupportedException("No peer listens here.");

    public override PostTemplate CreatePost(LoadTarget server, SwarmChannel channel, StreamPeer? addressee, int length) =>
        MoshpitDialect.CreatePost(server, SomeId, SomeId, SomeId, length);
}
