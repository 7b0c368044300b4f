using System.Net.Sockets;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>There is no memory for a message buffer: a connection or a stream ends. All others, and the process, go on.</summary>
[Parallelizable]
public sealed class NoMemoryTests
{
    private const int Messages = 8;

    /// <summary>Of the buffers that a whole scene needs each, or each so many, is refused once, in a run of its own.</summary>
    /// <param name="crowd">Peers besides the three that count: with many, drains run on threads of the pool, where no caller catches
    /// anything.</param>
    /// <param name="step">From one buffer that is refused to the next.</param>
    [TestCase(0, 1)]
    [TestCase(16, 4)]
    public async Task An_allocation_that_fails_ends_a_stream_or_a_connection_and_nothing_else(int crowd, int step)
    {
        int number = 1;
        while (await PlayAsync(number, crowd))
            number += step;
        Assert.That(number, Is.GreaterThan(3 * Messages),
            "the scene needs fewer buffers than it has messages, so it can't be the whole one");
    }

    /// <summary>Each buffer that a scene of sessions needs is refused once, in a run of its own.</summary>
    [Test]
    public async Task An_allocation_that_fails_costs_a_session_nothing()
    {
        int number = 1;
        while (await PlaySessionsAsync(number))
            number++;
        Assert.That(number, Is.GreaterThan(2 * Messages), "the scene needs fewer buffers than it has messages");
    }

    /// <summary>
    /// The streams of an owner and a guest are cut while messages go to both and to the guest, whose sender sends each until it is
    /// answered. False: the scene needs fewer buffers than that.
    /// </summary>
    private static async Task<bool> PlaySessionsAsync(int failing)
    {
        var arrays = new FailingArrays();
        var log = new ErrorLog();
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.Arrays = arrays;
            options.LoggerFactory = log;
            options.SendBuffer = 4096;
        });
        arrays.FailAt(failing);
        using var owner = new Returning(server, null);
        await owner.OpenAsync();
        using var guest = new Returning(server, owner.Stream.Id);
        await guest.OpenAsync();
        for (int n = 1; n <= 2 * Messages; n++)
        {
            string members = $"\"data\":{Message(n)},\"seq\":{n}" + (n % 2 == 0 ? $",\"cid\":\"{guest.Stream.Cid}\"" : "");
            while (await OrNullAsync(() => owner.Stream.PostAsync(server, members)) is not { Status: 200 })
            {
            }

            if (n == Messages)
            {
                guest.Stream.Stream.Reset();
                owner.Stream.Stream.Reset();
                await owner.OpenAsync();
            }
        }

        await guest.OpenAsync();
        Assert.That(await guest.ReadAsync(2 * Messages), Is.EqualTo(Enumerable.Range(1, 2 * Messages)), $"buffer {failing}");
        Assert.That(
            await owner.ReadAsync(2 * Messages - 1), Is.EqualTo(Enumerable.Range(1, 2 * Messages).Where(n => n % 2 != 0)),
            $"buffer {failing}");
        Assert.That(log.Lines, Has.Count.LessThanOrEqualTo(1).And.All.Contains("says the test"), $"buffer {failing}");
        return arrays.HasFailed;
    }

    /// <summary>
    /// Peers join, one of them does not read, and messages go to all and to that one. False: the scene needs fewer buffers than that.
    /// </summary>
    private static async Task<bool> PlayAsync(int failing, int crowd)
    {
        var arrays = new FailingArrays();
        var log = new ErrorLog();
        await using TestServer server = await TestServer.StartAsync(options =>
        {
            options.Arrays = arrays;
            options.LoggerFactory = log;
            options.SendBuffer = 4096;
        });
        using RawPeer bystander = await server.CreateAsync();
        arrays.FailAt(failing);
        var peers = new List<RawPeer>();
        if (await TryOpenAsync(server.Connect(), "/") is { } owner)
        {
            peers.Add(owner);
            for (int n = 0; n < crowd + 2; n++)
            {
                RawConnection connection = n == 0 ? server.ConnectNarrow() : server.Connect();
                if (await TryOpenAsync(connection, "/" + owner.Id) is { } guest)
                    peers.Add(guest);
            }
        }

        var answered = new List<(int Number, RawPeer? Addressee)>();
        for (int n = 0; n < Messages && peers.Count > 1; n++)
        {
            foreach (RawPeer? addressee in new[] { null, peers[1] })
            {
                if (await TrySendAsync(server, peers[^1], Message(2 * n + (addressee is null ? 0 : 1)), addressee?.Cid))
                    answered.Add((2 * n + (addressee is null ? 0 : 1), addressee));
            }
        }

        arrays.FailAt(0);
        foreach (RawPeer peer in peers)
        {
            if (await TrySendAsync(server, peer, "\"end\""))
                break;
        }

        for (int n = 0; n < peers.Count; n++)
            await CheckAsync(peers, n, [.. answered.Where(m => m.Addressee is null || m.Addressee == peers[n]).Select(m => m.Number)]);
        await bystander.SendAsync(server, "\"all is well\"");
        Assert.That(await bystander.ReadSignalAsync(), Is.EqualTo("\"all is well\""));
        Assert.That(log.Lines, Has.Count.LessThanOrEqualTo(1).And.All.Contains("says the test"), $"buffer {failing}");
        foreach (RawPeer peer in peers.Append(bystander))
            peer.Dispose();
        await server.WhenIdleAsync();
        await Eventually.AsyncTrue(
            () => server.Server.Parts.Channels.Count == 0, () => $"a channel without peers stays after buffer {failing}");
        return arrays.HasFailed;
    }

    /// <summary>
    /// A stream that goes on has no gap; nor has one that was cut, up to where it was cut. An owner knows all of its guests.
    /// </summary>
    private static async Task CheckAsync(List<RawPeer> peers, int which, int[] answered)
    {
        RawPeer peer = peers[which];
        var heard = new List<int>();
        int joined = 0;
        bool isWhole = false;
        while (!isWhole && await TryReadEventAsync(peer) is { } text)
        {
            joined += text.StartsWith("event: join", StringComparison.Ordinal) ? 1 : 0;
            isWhole = text == "event: signal\ndata: \"end\"";
            if (!isWhole && text.StartsWith("event: signal", StringComparison.Ordinal))
                heard.Add(NumberOf(text));
        }

        int last = isWhole ? int.MaxValue : heard.LastOrDefault(-1);
        Assert.That(heard, Is.Ordered.And.Unique);
        Assert.That(answered.Where(n => n <= last), Is.SubsetOf(heard), $"peer {which} has a gap");
        if (isWhole && which == 0)
            Assert.That(joined, Is.EqualTo(peers.Count - 1));
    }

    /// <summary>A session that comes back as often as its stream is lost.</summary>
    private sealed class Returning(TestServer server, string? channel) : IDisposable
    {
        private readonly string _secret = SessionPeer.NewSecret();
        private string? _last;

        public SessionPeer Stream { get; private set; } = null!;

        public async Task OpenAsync()
        {
            Stream?.Dispose();
            SessionPeer? stream = null;
            while (stream is null)
                stream = await OrNullAsync(() => SessionPeer.OpenAsync(server, "/" + channel, _secret, _last));
            Stream = stream;
        }

        /// <summary>The numbers of all messages up to and including <paramref name="last"/>.</summary>
        public async Task<List<int>> ReadAsync(int last)
        {
            List<int> heard = [];
            while (heard.LastOrDefault() != last)
            {
                if (await OrNullAsync(() => Stream.ReadAsync()) is not { } next)
                {
                    await OpenAsync();
                    continue;
                }

                _last = next.Id;
                if (next.Name == "signal")
                    heard.Add(int.Parse(next.Data.GetString()!.TrimEnd('.'), null));
            }

            return heard;
        }

        public void Dispose() => Stream.Dispose();
    }

    private static string Message(int number) => $"\"{number}{new string('.', 6000)}\"";

    private static int NumberOf(string text) =>
        int.Parse(text["event: signal\ndata: \"".Length..text.IndexOf('.', StringComparison.Ordinal)], null);

    private static async Task<RawPeer?> TryOpenAsync(RawConnection connection, string target) =>
        await OrNullAsync(async () => await RawPeer.OpenAsync(connection, target));

    private static async Task<string?> TryReadEventAsync(RawPeer peer) => await OrNullAsync(async () => await peer.ReadEventAsync());

    /// <summary>True: the message was answered 200. A connection that ends without an answer says that it was not taken.</summary>
    private static async Task<bool> TrySendAsync(TestServer server, RawPeer sender, string data, string? cid = null)
    {
        using RawConnection connection = server.Connect();
        connection.Send(sender.Post(data, cid));
        return await OrNullAsync(async () => await connection.ReadResponseAsync()) is { Status: 200 };
    }

    /// <summary>Null: the connection ended first.</summary>
    private static async Task<T?> OrNullAsync<T>(Func<Task<T>> reading)
        where T : class
    {
        try
        {
            return await reading();
        }
        catch (Exception e) when (
            e is SocketException || (e is AssertionException && e.Message.StartsWith("The connection ended", StringComparison.Ordinal)))
        {
            return null;
        }
    }
}
