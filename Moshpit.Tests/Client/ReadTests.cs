using System.Text.Json;

namespace Moshpit.Tests.Client;

/// <summary>The ways to read: one event at a time, enumerations one after the other, and what a peer's data may not do.</summary>
public class ReadTests
{
    private RawServer _server = null!;

    [SetUp]
    public void Listen() => _server = new RawServer();

    [TearDown]
    public void Close() => _server.Dispose();

    [Test]
    public async Task The_next_event_is_read_and_null_is_the_end()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        Assert.That((await ReadAsync(peer))!.Name, Is.EqualTo("connect"));
        await stream.SendAsync("data: 1\n\n");
        Assert.That((await ReadAsync(peer))!.Data, Is.EqualTo("1"));
        stream.Finish();
        Assert.That(await ReadAsync(peer), Is.Null);
        Assert.That(await ReadAsync(peer), Is.Null);
    }

    [Test]
    public async Task A_failure_of_the_stream_is_thrown_each_time()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        await stream.SendAsync("data: cut");
        stream.Finish();
        Assert.That((await ReadAsync(peer))!.Name, Is.EqualTo("connect"));
        await Assert.ThrowsAsync<MoshpitException>(() => ReadAsync(peer));
        await Assert.ThrowsAsync<MoshpitException>(() => ReadAsync(peer));
    }

    [Test]
    public async Task Cancelling_a_read_loses_nothing()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        await ReadAsync(peer);
        for (int i = 0; i < 50; i++)
        {
            using var stop = new CancellationTokenSource();
            Task<MoshpitEvent?> read = peer.ReadAsync(stop.Token).AsTask();
            Task cancel = Task.Run(stop.Cancel);
            await stream.SendAsync($"data: {i}\n\n");
            await cancel;
            MoshpitEvent? next;
            try
            {
                next = await read.Soon();
            }
            catch (OperationCanceledException)
            {
                next = await ReadAsync(peer);
            }

            Assert.That(next!.Data, Is.EqualTo($"{i}"));
        }
    }

    [Test]
    public async Task An_enumeration_that_was_cancelled_loses_nothing_either()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using (var stop = new CancellationTokenSource())
        {
            await using IAsyncEnumerator<MoshpitEvent> events = peer.GetAsyncEnumerator(stop.Token);
            await events.MoveNextAsync().AsTask().Soon();
            Task<bool> next = events.MoveNextAsync().AsTask();
            await stop.CancelAsync();
            await Assert.CatchAsync<OperationCanceledException>(() => next.Soon());
        }

        await stream.SendAsync("data: 1\n\n");
        stream.Finish();
        Assert.That((await peer.ToListAsync()).Single().Data, Is.EqualTo("1"));
    }

    [Test]
    public async Task Two_reads_at_once_are_an_error_of_the_second()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        await ReadAsync(peer);
        Task<MoshpitEvent?> first = ReadAsync(peer);
        await Assert.ThrowsAsync<InvalidOperationException>(() => ReadAsync(peer));
        await using (IAsyncEnumerator<MoshpitEvent> events = peer.GetAsyncEnumerator())
            await Assert.ThrowsAsync<InvalidOperationException>(() => events.MoveNextAsync().AsTask());
        await stream.SendAsync("data: 1\n\n");
        Assert.That((await first)!.Data, Is.EqualTo("1"));
        await stream.SendAsync("data: 2\n\n");
        Assert.That((await ReadAsync(peer))!.Data, Is.EqualTo("2"), "the errors are over");
    }

    [TestCase("""{"_cid":"c","a":1}""", """{"a":1}""")]
    [TestCase("""{"a":1,"_cid":"c","_cid":{"b":2}}""", """{"a":1}""")]
    [TestCase("""{"_\u0063id":"c","\u005fcid":1}""", "{}")]
    [TestCase("""{"\u005F\u0063\u0069\u0064":"c","b":"\\"}""", """{"b":"\\"}""")]
    [TestCase("""{"a":{"_cid":"c"},"b":[{"_cid":"c"}]}""", null)]
    [TestCase("""[{"_cid":"c"}]""", null)]
    [TestCase("\"_cid\"", null)]
    [TestCase("_cid is no JSON", null)]
    [TestCase("""{"_cid":"c"} and more""", null)]
    [TestCase("""{"_cid_":"c","_CID":"c","cid":"c"}""", null)]
    public async Task A_cid_that_came_from_a_peer_reaches_no_reader(string sent, string? read)
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        await stream.SendAsync($"event: signal\ndata: {sent}\n\nevent: other\ndata: {sent}\n\n");
        await ReadAsync(peer);
        Assert.That((await ReadAsync(peer))!.Data, Is.EqualTo(read ?? sent));
        Assert.That((await ReadAsync(peer))!.Data, Is.EqualTo(sent), "the server's own events are not touched");
    }

    [Test]
    public async Task A_program_that_writes_what_it_read_answers_to_the_addressee_that_it_chose()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        await stream.SendAsync("event: signal\ndata: {\"_cid\":\"hostile\",\"secret?\":1}\n\n");
        await ReadAsync(peer);
        Task echo = peer.Write((await ReadAsync(peer))!.Data, "friend");
        using RawConnection post = await _server.AcceptAsync();
        Assert.That(await post.TakePostAsync(), Does.EndWith(""","cid":"friend","data":{"secret?":1}}"""));
        await echo.Soon();
    }

    [Test]
    public void Data_without_the_letters_of_the_name_is_the_same_object_as_before()
    {
        string data = "{\"a\":" + new string(' ', 1000) + "1}";
        Assert.That(new MoshpitEvent("signal", data, "").Data, Is.SameAs(data));
    }

    [Test]
    public async Task Text_is_sent_as_a_json_string_and_objects_with_the_options_that_were_given()
    {
        await using MoshpitPeer peer = Open();
        using RawConnection stream = await _server.AcceptStreamAsync();
        using RawConnection post = await _server.ProveAsync(peer);
        Task[] writes =
        [
            peer.WriteText("say \"hé\"\n", "c"),
            peer.WriteAsJson(
                new { SomeName = 1 }, new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower }, "c"),
        ];
        Assert.That(await post.TakePostAsync(), Does.EndWith(""","cid":"c","data":"say \"hé\"\u000a"}"""));
        Assert.That(await post.TakePostAsync(), Does.EndWith(""","cid":"c","data":{"some_name":1}}"""));
        await Task.WhenAll(writes).Soon();
        Assert.That(() => { _ = peer.WriteText("\ud800"); }, Throws.ArgumentException);
        Assert.That(() => { _ = peer.WriteText(null!); }, Throws.ArgumentNullException);
    }

    private static Task<MoshpitEvent?> ReadAsync(MoshpitPeer peer) => peer.ReadAsync().AsTask().Soon();

    private MoshpitPeer Open() => new MoshpitClient(_server.Url).Open();
}
