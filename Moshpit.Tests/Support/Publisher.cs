namespace Moshpit.Tests.Support;

/// <summary>Posts in a peer's name over one kept-alive connection.</summary>
internal sealed class Publisher(RawConnection connection, RawPeer peer) : IDisposable
{
    /// <summary>Posts <paramref name="data"/>, JSON text, and requires a 200.</summary>
    public async Task SendAsync(string data, string? cid = null)
    {
        RawResponse response = await PostAsync(data, cid);
        if (response.Status != 200)
            Assert.Fail($"{response.Status} {response.Body}");
    }

    /// <summary>Posts <paramref name="data"/> to a peer that may have been cut meanwhile.</summary>
    public async Task<RawResponse> PostAsync(string data, string? cid)
    {
        connection.Send(peer.Post(data, cid));
        return await connection.ReadResponseAsync();
    }

    public void Dispose() => connection.Dispose();
}
