using System.Text.RegularExpressions;
using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

/// <summary>Several messages on one connection before the first is answered.</summary>
public partial class PipelineTests : RawServerTests
{
    private const string NotFound = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n";
    private const string Last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";

    private const int SideBySide = 32; // peers in one process, which has a limited number of descriptors

    [Test]
    public async Task Messages_are_sent_without_waiting_for_answers_which_belong_to_them_in_order()
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        Task[] writes = await served.SendAsync(1, 2, 3);
        Task late = await served.SendAsync("4");
        await served.Post.SendAsync(Ok + NotFound);
        await writes[0].Soon();
        Assert.That((await writes[1].FailureAsync()).Status, Is.EqualTo(404));
        Assert.That(writes[2].IsCompleted, Is.False);
        await served.Post.SendAsync(Ok + Ok);
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
            await using ServedPeer served = await server.ProvePeerAsync();
            Task[] writes = await served.SendAsync(1, 2, 3);
            await served.Post.SendAsync(answers[..length]);
            served.Post.Finish();
            for (int i = 0; i < 3; i++)
            {
                string expected = length < heads[i] ? "unknown" : i == 1 ? "404" : "ok";
                Assert.That(await OutcomeAsync(writes[i]), Is.EqualTo(expected), $"message {i + 1}, cut at {length}");
            }

            Task next = served.Write("4");
            using RawConnection again = await server.AcceptAsync();
            await again.TakePostAsync(4, $"no message is sent again, cut at {length}");
            await next.Soon();
        }
    }

    [TestCase(1)]
    [TestCase(3)]
    [TestCase(40)]
    public async Task Answers_may_come_in_any_pieces(int size)
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        Task[] writes = await served.SendAsync(1, 2, 3);
        foreach (char[] piece in (Ok + NotFound + Ok).Chunk(size))
            await served.Post.SendAsync(new string(piece));
        Assert.That(await Task.WhenAll(writes.Select(OutcomeAsync)).Soon(), Is.EqualTo(["ok", "404", "ok"]));
    }

    [Test]
    public async Task The_first_message_of_a_connection_goes_alone()
    {
        // If the second one had been sent behind it, it would have an unknown outcome now.
        await using MoshpitPeer peer = Open();
        Task[] writes = [peer.Write("1"), peer.Write("2"), peer.Write("3")];
        using RawConnection stream = await Server.AcceptStreamAsync();
        for (int i = 1; i <= 3; i++)
        {
            using RawConnection post = await Server.AcceptAsync();
            await ReadPostsAsync(post, i);
            await post.SendAsync("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK");
            await post.WaitForEndAsync();
        }

        await Task.WhenAll(writes).Soon();
    }

    [Test]
    public async Task What_stands_behind_an_answer_that_closes_was_not_processed_and_goes_on_in_order()
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        Task[] writes = await served.SendAsync(1, 2, 3);
        await served.Post.SendAsync(Last);
        using RawConnection again = await Server.AcceptAsync();
        await again.TakePostAsync(2);
        await again.TakePostAsync(3);
        await Task.WhenAll(writes).Soon();
        await served.Post.WaitForEndAsync();
    }

    [Test]
    public async Task After_a_loss_that_left_several_unknown_messages_go_one_at_a_time()
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        Task[] writes = await served.SendAsync(1, 2);
        served.Post.Dispose();
        foreach (Task write in writes)
            Assert.That(await OutcomeAsync(write), Is.EqualTo("unknown"));
        using RawConnection again = await Server.ProveAsync(served.Peer);
        Task[] more = [served.Write("3"), served.Write("4")];
        await ReadPostsAsync(again, 3);
        await again.SendAsync("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK");
        using RawConnection last = await Server.AcceptAsync();
        await last.TakePostAsync(4, "it was not sent behind the other");
        await Task.WhenAll(more).Soon();
    }

    [Test]
    public async Task No_more_than_64_messages_are_without_an_answer()
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        using var change = new CancellationTokenSource();
        List<Task> writes = [.. Enumerable.Range(1, 64).Select(i => served.Write($"{i}"))];
        await ReadPostsAsync(served.Post, [.. Enumerable.Range(1, 64)]);
        Task waiting = served.Write("65", cancellationToken: change.Token);
        writes.Add(served.Write("66"));
        await served.Post.SendAsync(Ok[..^1]);
        await change.CancelAsync();
        await waiting.CancellationAsync();
        await served.Post.SendAsync(Ok[^1..]);
        await ReadPostsAsync(served.Post, 66);
        await served.Post.SendAsync(string.Concat(Enumerable.Repeat(Ok, 64)));
        await Task.WhenAll(writes).Soon();
    }

    [Test]
    public async Task Bytes_behind_the_last_answer_are_not_taken_for_an_answer_to_the_next_message()
    {
        await using ServedPeer served = await Server.OpenPeerAsync();
        Task[] writes = [served.Write("1"), served.Write("2")];
        using RawConnection post = await Server.AcceptAsync();
        await ReadPostsAsync(post, 1);
        await post.SendAsync(Ok + NotFound);
        using RawConnection again = await Server.AcceptAsync();
        await again.TakePostAsync(2);
        await Task.WhenAll(writes).Soon();
    }

    [TestCase(502)]
    [TestCase(504)]
    public async Task A_gateway_that_got_no_answer_does_not_know_the_outcome(int status)
    {
        await using ServedPeer served = await Server.ProvePeerAsync();
        Task write = await served.SendAsync("1");
        await served.Post.SendAsync($"HTTP/1.1 {status} Bad\r\nContent-Length: 0\r\n\r\n");
        MoshpitException failure = await write.FailureAsync();
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

    [GeneratedRegex("HTTP/1.1 (.+\r\n)+\r\n")]
    private static partial Regex EndOfHead();
}
