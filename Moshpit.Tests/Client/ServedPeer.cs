namespace Moshpit.Tests.Client;

/// <summary>A peer that is connected to a <see cref="RawServer"/>, and the server's ends of its two connections.</summary>
internal sealed class ServedPeer(RawServer server, MoshpitPeer peer, RawConnection stream) : IAsyncDisposable
{
    private RawConnection? _post;

    public MoshpitPeer Peer => peer;

    public RawConnection Stream => stream;

    /// <summary>The connection for messages, which the first message opens.</summary>
    public RawConnection Post => _post ?? throw new InvalidOperationException("No message was sent.");

    public async Task ProveAsync() => _post = await server.ProveAsync(peer);

    public Task Write(string json, string? cid = null, CancellationToken cancellationToken = default) =>
        peer.Write(json, cid, cancellationToken);

    /// <summary>Writes a message and reads it at the server, which does not answer.</summary>
    /// <returns>The message's own task, which the answer completes.</returns>
    public async Task<Task> SendAsync(string json, CancellationToken cancellationToken = default)
    {
        Task write = peer.Write(json, cancellationToken: cancellationToken);
        _post ??= await server.AcceptAsync();
        Assert.That(await _post.ReadRequestAsync(), Does.EndWith($"\"data\":{json}}}"));
        return write;
    }

    /// <summary>Writes these numbers as messages and reads them at the server, which does not answer. They are pipelined: the first
    /// message of a connection, which goes alone, was sent before.</summary>
    public async Task<Task[]> SendAsync(params int[] numbers)
    {
        Task[] writes = [.. numbers.Select(number => peer.Write($"{number}"))];
        await RawServer.ReadPostsAsync(Post, numbers);
        return writes;
    }

    /// <summary>Writes a message, and the server answers it with 200.</summary>
    public async Task DeliverAsync(string json)
    {
        Task write = peer.Write(json);
        _post ??= await server.AcceptAsync();
        Assert.That(await _post.TakePostAsync(), Does.EndWith($"\"data\":{json}}}"));
        await write.Soon();
    }

    public async ValueTask DisposeAsync()
    {
        _post?.Dispose();
        stream.Dispose();
        await peer.DisposeAsync();
    }
}
