using System.Net;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server;
using Moshpit.Server.Buffers;
using Moshpit.Server.Channels;
using Moshpit.Server.Limits;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// Senders that are faster than a peer reads, or than they may be: nothing that was answered 200 is lost to a peer that reads, and a peer
/// that does not read delays no other client. The senders are behind a named proxy, which the tests are: clients on loopback have no
/// limits.
/// </summary>
[Parallelizable(ParallelScope.All)]
public sealed class PaceTests
{
    private const int OneMegabit = 125_000;
    private const string Sender = "X-Forwarded-For: 203.0.113.7\r\n";

    /// <summary>A line's worth of receive buffer: what is beyond it waits in the server.</summary>
    private const int ReceiveBuffer = 32 * 1024;

    [TestCase(20, 50, 10_000)]
    [TestCase(20, 200, 9_000)]
    [TestCase(20, 500, 1_000)]
    [TestCase(1, 50, 10_000)]
    [TestCase(1, 200, 9_000)]
    [TestCase(1, 500, 1_000)]
    public async Task All_of_a_burst_reaches_an_owner_that_reads_at_so_many_megabits(int megabits, int messages, int length)
    {
        await using TestServer server = await StartAsync();
        using RawPeer owner = await OpenSlowAsync(server, "/", megabits * OneMegabit);
        using RawPeer member = await server.JoinAsync(owner.Id);
        Task<int> heard = CountAsync(owner, messages + 1);
        using RawConnection burst = server.Connect();
        string filler = new('.', length - 20);
        burst.Send(string.Concat(Enumerable.Range(0, messages).Select(n => From(member.Post($"\"{n}{filler}\"")))));
        for (int n = 0; n < messages; n++)
            Assert.That((await burst.ReadResponseAsync()).Status, Is.EqualTo(200), $"message {n}");
        Assert.That(await heard, Is.EqualTo(messages + 1));
        Assert.That(server.Server.Parts.Streams.EndedFor(DisconnectReason.BacklogFull), Is.Zero);
    }

    [TestCase(2)]
    [TestCase(10, Explicit = true, Category = "Long")]
    public async Task An_owner_at_one_megabit_hears_500_joins_and_500_leaves_a_second(int seconds)
    {
        const int PerSecond = 500, Batch = 25;
        await using TestServer server = await StartAsync();
        using RawPeer owner = await OpenSlowAsync(server, "/", OneMegabit);
        Task<int> heard = CountAsync(owner, 2 * seconds * PerSecond);
        long start = TimeProvider.System.GetTimestamp();
        for (int n = 0; n < seconds * PerSecond; n += Batch)
        {
            TimeSpan due = TimeSpan.FromSeconds((double)n / PerSecond) - TimeProvider.System.GetElapsedTime(start);
            if (due > TimeSpan.Zero)
                await Task.Delay(due);
            foreach (RawPeer guest in await Task.WhenAll(Enumerable.Range(0, Batch).Select(_ => server.JoinAsync(owner.Id))))
                guest.Stream.Reset();
        }

        Assert.That(await heard, Is.EqualTo(2 * seconds * PerSecond));
    }

    [Test]
    public async Task A_sender_beyond_its_rate_waits_for_its_answer_and_one_far_beyond_it_is_refused()
    {
        const int Body = 1_000_000;
        var clock = new FakeTimeProvider();
        await using TestServer server = await StartAsync(options => (options.TimeProvider, options.BodyLimit) = (clock, 2 * Body));
        using RawPeer owner = await server.CreateAsync();
        using RawPeer member = await server.JoinAsync(owner.Id);
        Task<int> heard = CountAsync(owner, 5);
        string post = From(member.Post($"\"{new string('.', Body - 100)}\""));
        using RawConnection first = server.Connect();
        first.Send(post + post + post);
        Assert.That((await first.ReadResponseAsync()).Status, Is.EqualTo(200));
        Assert.That((await first.ReadResponseAsync()).Status, Is.EqualTo(200), "two seconds' worth at once");
        Task<RawResponse> third = first.ReadResponseAsync();

        // Another connection of the same peer: it owes for three already, and would have to wait for longer than anything waits.
        Channel channel = server.Server.Parts.Channels.Find(System.Text.Encoding.ASCII.GetBytes(owner.Id))!;
        SendRate rate = channel.FindByToken(Ids.Token(member.Token))!.Rate;
        await Eventually.AsyncTrue(() => rate.Debt >= 2.99 * Body);
        using RawConnection second = server.Connect();
        second.Send(post);
        Task<RawResponse> fourth = second.ReadResponseAsync();
        await Eventually.AsyncTrue(() => rate.Debt >= 3.99 * Body);
        using RawConnection last = server.Connect();
        last.Send(post);
        RawResponse refused = await last.ReadResponseAsync();
        Asking.IsRefusal(refused, 429, "more bytes a second");
        Assert.That(refused["Retry-After"], Is.Not.Null);
        Assert.That((third.IsCompleted, fourth.IsCompleted), Is.EqualTo((false, false)));
        Assert.That((await clock.PassUntilAsync(1, third)).Status, Is.EqualTo(200));
        Assert.That((await clock.PassUntilAsync(1, fourth)).Status, Is.EqualTo(200));
        Assert.That(await heard, Is.EqualTo(5));
    }

    [Test]
    public async Task A_sender_waits_for_an_owner_that_reads_and_for_one_that_does_not_only_until_that_is_clear()
    {
        var clock = new FakeTimeProvider();
        await using TestServer server = await StartAsync(options =>
        {
            options.TimeProvider = clock;
            (options.BacklogLimit, options.MaxBacklog) = (200_000, 200_000);
        });
        using RawPeer owner = await RawPeer.OpenAsync(server.ConnectNarrow(), "/");
        using RawPeer member = await server.JoinAsync(owner.Id);
        using RawConnection sender = server.Connect();
        string post = member.Post($"\"{new string('.', 9_000)}\"");
        (int sent, Task<RawResponse> answer) = await SendUntilHeldUpAsync(server, sender, post);
        Assert.That(await clock.PassUntilAsync(2, answer), Has.Property("Status").EqualTo(200),
            "it is clear now that the owner does not read");
        Assert.That((await AskAsync(sender, post)).Status, Is.EqualTo(200), "without any time passing");
        for (int n = 0; n < sent; n++)
            Assert.That(await member.ReadSignalAsync(), Has.Length.EqualTo(9_002), "and the others hear everything");

        // When the owner reads again, it has lost nothing.
        Assert.That(await CountAsync(owner, sent + 2), Is.EqualTo(sent + 2));
    }

    [Test]
    public async Task A_newcomer_waits_for_an_owner_that_reads()
    {
        var clock = new FakeTimeProvider();
        await using TestServer server = await StartAsync(options =>
        {
            options.TimeProvider = clock;
            (options.BacklogLimit, options.MaxBacklog) = (200_000, 200_000);
        });
        using RawPeer owner = await RawPeer.OpenAsync(server.ConnectNarrow(), "/");
        using RawConnection sender = server.Connect();
        (int sent, Task<RawResponse> answer) = await SendUntilHeldUpAsync(server, sender, owner.Post($"\"{new string('.', 9_000)}\""));
        using RawConnection newcomer = server.Connect();
        newcomer.Send($"GET /{owner.Id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Task<RawResponse> joining = newcomer.ReadHeadAsync();
        Assert.That(await CountAsync(owner, sent + 1), Is.EqualTo(sent + 1), "the join is the last that the owner hears");
        Assert.That((await joining).Status, Is.EqualTo(200));
        Assert.That((await answer).Status, Is.EqualTo(200));
    }

    [Test]
    public async Task What_waits_for_an_owner_that_reads_too_slowly_is_refused_after_two_seconds()
    {
        var clock = new CountingClock();
        await using TestServer server = await StartAsync(options => options.TimeProvider = clock);

        // An owner that always reads, and never enough, can't be had over a socket at will.
        var sink = new RecordingSink { IsDeaf = true };
        Channel channel = server.Server.Parts.Channels.Create(Ids.Channel(7), RoomSettings.Default)!;
        SharedFrame opening = server.Server.Parts.Frames.Rent(1);
        Assert.That(new Peer(channel, Ids.Peer(1), Ids.Token(2)).Join(sink, opening), Is.EqualTo(JoinOutcome.Joined));
        opening.Release();
        using RawPeer member = await server.JoinAsync($"{7:x32}");
        sink.Room = new TaskCompletionSource().Task;

        int waits = clock.Waits;
        using RawConnection newcomer = server.Connect();
        newcomer.Send($"GET /{member.Id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Task<RawResponse> joining = newcomer.ReadResponseAsync();
        Task<RawResponse> posting = server.PostAsync(member, "1");
        await Eventually.AsyncTrue(() => clock.Waits >= waits + 2);
        clock.Pass(1);
        Assert.That((joining.IsCompleted, posting.IsCompleted), Is.EqualTo((false, false)));
        Asking.IsRefusal(await clock.PassUntilAsync(1, joining), 503, "owner of this channel reads too slowly");
        Asking.IsRefusal(await posting, 429, "reads more slowly than you send");
        channel.Owner!.TryLeave();
    }

    /// <summary>
    /// Posts until an answer is held up; how many POSTs were sent, and the answer to the last one. Only the owner can hold them up: there
    /// is no limit by address.
    /// </summary>
    private static async Task<(int Sent, Task<RawResponse> Answer)> SendUntilHeldUpAsync(
        TestServer server, RawConnection sender, string post)
    {
        for (int sent = 1; ; sent++)
        {
            Task<RawResponse> answer = AskAsync(sender, post);
            if (await Task.WhenAny(answer, WhenWaitingAsync(server)) != answer)
                return (sent, answer);
            Assert.That((await answer).Status, Is.EqualTo(200));
        }
    }

    private static Task<TestServer> StartAsync(Action<MoshpitServerOptions>? configure = null) => TestServer.StartAsync(options =>
    {
        options.Proxies.Add("127.0.0.1");
        configure?.Invoke(options);
    });


    private static string From(string request) => request.Replace("Host: localhost\r\n", "Host: localhost\r\n" + Sender);

    private static async Task<RawPeer> OpenSlowAsync(TestServer server, string target, int bytesPerSecond)
    {
        var connection = RawConnection.Connect(
            new IPEndPoint(IPAddress.Loopback, server.Port), socket => socket.ReceiveBufferSize = ReceiveBuffer);
        RawPeer peer = await RawPeer.OpenAsync(connection, target);
        connection.BytesPerSecond = bytesPerSecond;
        return peer;
    }

    private static async Task<RawResponse> AskAsync(RawConnection connection, string request)
    {
        connection.Send(request);
        return await connection.ReadResponseAsync();
    }

    /// <summary>A sender or a newcomer waits for some peer to read.</summary>
    private static async Task WhenWaitingAsync(TestServer server) =>
        await Eventually.AsyncTrue(() => server.Server.Parts.Streams.Streams.Snapshot().ToArray().Any(stream => stream?.IsAwaited == true));

    private static async Task<int> CountAsync(RawPeer peer, int events)
    {
        for (int n = 0; n < events; n++)
            await peer.ReadEventAsync();
        return events;
    }
}
