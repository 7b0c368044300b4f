using System.Text.RegularExpressions;
using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

/// <summary>Several messages on one connection before the first is answered.</summary>
public partial class PipelineTests
{
    private const string NotFound = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n";
    private const string Last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";

    private const int SideBySide = 32; // peers in one process, which has a limited number of descriptors

    private RawServer _server = null!;

    [SetUp]
    public void Listen() => _server = new RawServer();

    [TearDown]
    public void Close() => _server.Dispose();

    [Test]
    public async Task Messages_are_sent_without_waiting_for_answers_which_belong_to_them_in_order()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using RawConnection post = await _server.ProveAsync(peer);
        Task[] writes = [peer.Write("1"), peer.Write("2"), peer.Write("3")];
        await ReadPostsAsync(post, 1, 2, 3);
        Task late = peer.Write("4");
        await ReadPostsAsync(post, 4);
        await post.SendAsync(Ok + NotFound);
        await writes[0].Soon();
        Assert.That((await Assert.ThrowsAsync<MoshpitException>(() => writes[1].Soon()))!.Status, Is.EqualTo(404));
        Assert.That(writes[2].IsCompleted, Is.False);
        await post.SendAsync(Ok + Ok);
        await Task.WhenAll(writes[2], late).Soon();
    }

    [Test]
    public async Task Answers_that_are_cut_at_any_byte_complete_their_messages_and_leave_the_others_unknown()
    {
        string answers = Ok + NotFound + Ok;
        int[] heads = [.. EndOfHead().Matches(answers).Select(m => m.Index + m.Length)];
        Assert.That(heads, Has.Length.EqualTo(3));

        // After a loss the client holds its messages for a moment. Peers side by side are held at the same time.
        foreach (int[] lengths in Enumerable.Range(0, answers.Length + 1).Chunk(SideBySide))
            await Task.WhenAll(lengths.Select(CutAsync));

        async Task CutAsync(int length)
        {
            using var server = new RawServer();
            await using MoshpitPeer peer = new MoshpitClient(server.Url).Open();
            using RawConnection stream = await server.AcceptStreamAsync();
            using RawConnection post = await server.ProveAsync(peer);
            Task[] writes = [peer.Write("1"), peer.Write("2"), peer.Write("3")];
            await ReadPostsAsync(post, 1, 2, 3);
            await post.SendAsync(answers[..length]);
            post.Finish();
            for (int i = 0; i < 3; i++)
            {
                string outcome = await OutcomeAsync(writes[i]);
                Assert.That(outcome, Is.EqualTo(length < heads[i] ? "unknown" : i == 1 ? "404" : "ok"), $"message {i + 1}, cut at {length}");
            }

            Task next = peer.Write("4");
            using RawConnection again = await server.AcceptAsync();
            Assert.That(await again.TakePostAsync(), Does.EndWith("\"data\":4}"), $"no message is sent again, cut at {length}");
            await next.Soon();
        }
    }

    [TestCase(1)]
    [TestCase(3)]
    [TestCase(40)]
    public async Task Answers_may_come_in_any_pieces(int size)
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using RawConnection post = await _server.ProveAsync(peer);
        Task[] writes = [peer.Write("1"), peer.Write("2"), peer.Write("3")];
        await ReadPostsAsync(post, 1, 2, 3);
        foreach (char[] piece in (Ok + NotFound + Ok).Chunk(size))
            await post.SendAsync(new string(piece));
        Assert.That(await Task.WhenAll(writes.Select(OutcomeAsync)).Soon(), Is.EqualTo(["ok", "404", "ok"]));
    }

    [Test]
    public async Task The_first_message_of_a_connection_goes_alone()
    {
        // If the second one had been sent behind it, it would have an unknown outcome now.
        await using MoshpitPeer peer = Open();
        Task[] writes = [peer.Write("1"), peer.Write("2"), peer.Write("3")];
        using RawConnection stream = await _server.AcceptStreamAsync();
        for (int i = 1; i <= 3; i++)
        {
            using RawConnection post = await _server.AcceptAsync();
            await ReadPostsAsync(post, i);
            await post.SendAsync("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK");
            await post.WaitForEndAsync();
        }

        await Task.WhenAll(writes).Soon();
    }

    [Test]
    public async Task What_stands_behind_an_answer_that_closes_was_not_processed_and_goes_on_in_order()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using RawConnection post = await _server.ProveAsync(peer);
        Task[] writes = [peer.Write("1"), peer.Write("2"), peer.Write("3")];
        await ReadPostsAsync(post, 1, 2, 3);
        await post.SendAsync(Last);
        using RawConnection again = await _server.AcceptAsync();
        Assert.That(await again.TakePostAsync(), Does.EndWith("\"data\":2}"));
        Assert.That(await again.TakePostAsync(), Does.EndWith("\"data\":3}"));
        await Task.WhenAll(writes).Soon();
        await post.WaitForEndAsync();
    }

    [Test]
    public async Task After_a_loss_that_left_several_unknown_messages_go_one_at_a_time()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using RawConnection post = await _server.ProveAsync(peer);
        Task[] writes = [peer.Write("1"), peer.Write("2")];
        await ReadPostsAsync(post, 1, 2);
        post.Dispose();
        foreach (Task write in writes)
            Assert.That(await OutcomeAsync(write), Is.EqualTo("unknown"));
        using RawConnection again = await _server.ProveAsync(peer);
        Task[] more = [peer.Write("3"), peer.Write("4")];
        await ReadPostsAsync(again, 3);
        await again.SendAsync("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK");
        using RawConnection last = await _server.AcceptAsync();
        Assert.That(await last.TakePostAsync(), Does.EndWith("\"data\":4}"), "it was not sent behind the other");
        await Task.WhenAll(more).Soon();
    }

    [Test]
    public async Task No_more_than_64_messages_are_without_an_answer()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using RawConnection post = await _server.ProveAsync(peer);
        using var change = new CancellationTokenSource();
        List<Task> writes = [.. Enumerable.Range(1, 64).Select(i => peer.Write($"{i}"))];
        await ReadPostsAsync(post, [.. Enumerable.Range(1, 64)]);
        Task waiting = peer.Write("65", cancellationToken: change.Token);
        writes.Add(peer.Write("66"));
        await post.SendAsync(Ok[..^1]);
        await change.CancelAsync();
        await Assert.CatchAsync<OperationCanceledException>(() => waiting.Soon());
        await post.SendAsync(Ok[^1..]);
        await ReadPostsAsync(post, 66);
        await post.SendAsync(string.Concat(Enumerable.Repeat(Ok, 64)));
        await Task.WhenAll(writes).Soon();
    }

    [Test]
    public async Task Cancelling_one_of_several_under_way_does_not_disturb_the_others()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using RawConnection post = await _server.ProveAsync(peer);
        using var change = new CancellationTokenSource();
        Task[] writes = [peer.Write("1"), peer.Write("2", cancellationToken: change.Token), peer.Write("3")];
        await ReadPostsAsync(post, 1, 2, 3);
        await change.CancelAsync();
        await Assert.CatchAsync<OperationCanceledException>(() => writes[1].Soon());
        await post.SendAsync(Ok + Ok + NotFound);
        await writes[0].Soon();
        Assert.That(await OutcomeAsync(writes[2]), Is.EqualTo("404"), "the answer of the one that was cancelled is not taken for its");
    }

    [Test]
    public async Task A_redirect_holds_for_the_messages_after_it_too()
    {
        using var other = new RawServer();
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task[] writes = [peer.Write("1"), peer.Write("2"), peer.Write("3")];
        using RawConnection post = await _server.AcceptAsync();
        await ReadPostsAsync(post, 1);
        await post.SendAsync($"HTTP/1.1 307 Elsewhere\r\nLocation: {other.Url}/pit/{Id}\r\nContent-Length: 0\r\n\r\n");
        using RawConnection there = await other.AcceptAsync();
        Assert.That(await there.TakePostAsync(), Does.EndWith("\"data\":1}"));
        await ReadPostsAsync(there, 2, 3);
        await there.SendAsync(Ok + Ok);
        await Task.WhenAll(writes).Soon();
        Assert.That(_server.HasCaller, Is.False);
    }

    [Test]
    public async Task Bytes_behind_the_last_answer_are_not_taken_for_an_answer_to_the_next_message()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Task[] writes = [peer.Write("1"), peer.Write("2")];
        using RawConnection post = await _server.AcceptAsync();
        await ReadPostsAsync(post, 1);
        await post.SendAsync(Ok + NotFound);
        using RawConnection again = await _server.AcceptAsync();
        Assert.That(await again.TakePostAsync(), Does.EndWith("\"data\":2}"));
        await Task.WhenAll(writes).Soon();
    }

    [TestCase(502)]
    [TestCase(504)]
    public async Task A_gateway_that_got_no_answer_does_not_know_the_outcome(int status)
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using RawConnection post = await _server.ProveAsync(peer);
        Task write = peer.Write("1");
        await ReadPostsAsync(post, 1);
        await post.SendAsync($"HTTP/1.1 {status} Bad\r\nContent-Length: 0\r\n\r\n");
        MoshpitException failure = (await Assert.ThrowsAsync<MoshpitException>(() => write.Soon()))!;
        Assert.That((failure.Status, failure.OutcomeUnknown, failure.IsTransient), Is.EqualTo((status, true, true)));
    }

    internal static async Task<string> OutcomeAsync(Task write)
    {
        try
        {
            await write.Soon();
            return "ok";
        }
        catch (MoshpitException e)
        {
            return e.OutcomeUnknown ? "unknown" : $"{e.Status}";
        }
    }

    private MoshpitPeer Open() => new MoshpitClient(_server.Url).Open();

    [GeneratedRegex("HTTP/1.1 (.+\r\n)+\r\n")]
    private static partial Regex EndOfHead();
}
