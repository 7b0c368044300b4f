namespace Moshpit.Tests.Support;

/// <summary>Posts in a peer's name over one kept-alive connection.</summary>
internal sealed class Publisher(RawConnection connection, RawPeer peer) : IDisposable
{
    /// <summary>Posts <paramref name="data"/>, JSON text, and requires a 200.</summary>
    public async Task SendAsync(string data, string? cid = null)
    {
        connection.Send(peer.Post(data, cid));
        RawResponse response = await connection.ReadResponseAsync();
        if (response.Status != 200)
            Assert.Fail($"{response.Status} {response.Body}");
    }

    public void Dispose() => connection.Dispose();
}
