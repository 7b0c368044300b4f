using System.Globalization;
using System.Text.RegularExpressions;
using static Moshpit.Tests.Client.RawServer;
using static Moshpit.Tests.Client.SessionScript;

namespace Moshpit.Tests.Client;

/// <summary>Tests of a client with a scripted server that has sessions.</summary>
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public abstract class SessionServerTests : RawServerTests
{
    private readonly List<MoshpitPeer> _peers = [];
    private readonly List<RawConnection> _connections = [];

    private protected static CancellationToken Late => new CancellationTokenSource(Patience).Token;

    [TearDown]
    public async Task LeaveAsync()
    {
        Close(); // so that no peer waits for an answer to its leave
        _connections.ForEach(connection => connection.Dispose());
        foreach (MoshpitPeer peer in _peers)
            await peer.DisposeAsync();
    }

    /// <summary>The next connection, which ends with the test.</summary>
    private protected async Task<RawConnection> AcceptAsync()
    {
        RawConnection connection = await Server.AcceptAsync();
        _connections.Add(connection);
        return connection;
    }

    /// <summary>A new peer, which ends with the test.</summary>
    private protected MoshpitPeer OpenPeer(MoshpitClientOptions? options = null, MoshpitPeerOptions? own = null)
    {
        MoshpitPeer peer = Open(options, own);
        _peers.Add(peer);
        return peer;
    }

    /// <summary>A peer with a stream, which has said <paramref name="text"/>.</summary>
    private protected async Task<(MoshpitPeer Peer, RawConnection Stream)> OpenSessionAsync(
        MoshpitClientOptions? options = null, string? text = null, MoshpitPeerOptions? own = null)
    {
        MoshpitPeer peer = OpenPeer(options, own);
        RawConnection stream = await AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync(StreamHead + (text ?? Connect()));
        await peer.Connected.Soon();
        return (peer, stream);
    }

    /// <summary>Takes the next request for a stream, and answers it with <paramref name="response"/>.</summary>
    private protected async Task<(string Request, RawConnection Stream)> AnswerAsync(string response)
    {
        RawConnection stream = await AcceptAsync();
        string request = await stream.ReadRequestAsync();
        Assert.That(request, Does.StartWith("GET / "));
        await stream.SendAsync(response);
        return (request, stream);
    }

    /// <summary>The peer has ended in good order.</summary>
    private protected static async Task AssertEndedAsync(MoshpitPeer peer)
    {
        while (await peer.ReadAsync(Late) is not null)
            continue;
        await peer.Completion.Soon();
        Assert.That(peer.State, Is.EqualTo(MoshpitPeerState.Ended));
    }

    private protected static string BodyOf(string request) => request[(request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];

    private protected static long NumberIn(string request) =>
        long.Parse(Regex.Match(request, "\"seq\":([0-9]+),").Groups[1].Value, CultureInfo.InvariantCulture);

    /// <summary>Has a first message, the number 1, sent and answered, so that those after it are pipelined.</summary>
    private protected async Task<RawConnection> ProveAsync(MoshpitPeer peer)
    {
        Task first = peer.Write("1");
        RawConnection post = await AcceptAsync();
        await post.TakePostAsync(1);
        await first.Soon();
        return post;
    }

    /// <summary>Takes these messages on a new connection. Their data are their numbers.</summary>
    private protected async Task TakeAsync(params int[] numbers)
    {
        RawConnection post = await AcceptAsync();
        foreach (int number in numbers)
        {
            string request = await post.ReadRequestAsync();
            Assert.That(request, Does.EndWith($"\"seq\":{number},\"data\":{number}}}"));
            await post.SendAsync(Ok);
        }
    }
}
