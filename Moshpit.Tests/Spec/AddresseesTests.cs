using System.Text.Json;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>Messages that some of a channel's peers get: several that an array names, or all but the sender (PROTOCOL.md, 3.6).</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
[Parallelizable]
public sealed class AddresseesTests
{
    private const string Receipts = "Accept: application/json\r\n";
    private const string NoPeer = "ffffffffffffffffffffffffffffffff";

    private readonly string _owns = SessionPeer.NewSecret();
    private readonly string _joins = SessionPeer.NewSecret();
    private TestServer _server = null!;

    [SetUp]
    public async Task StartAsync() => _server = await TestServer.StartAsync();

    [TearDown]
    public async Task StopAsync() => await _server.DisposeAsync();

    [Test]
    public async Task A_message_without_echo_goes_to_all_but_its_sender()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        using RawPeer plain = await _server.JoinAsync(owner.Id);
        await owner.ReadAsync("join");
        await owner.ReadAsync("join");
        string receipt = (await guest.PostAsync(_server, "\"data\":1,\"echo\":false", Receipts)).Body;
        await owner.SendAsync(_server, "\"data\":2,\"echo\":true");
        using RawConnection connection = _server.Connect();
        connection.Send(PostText.WithLength(
            "/" + owner.Id, $"token={plain.Token}&data=3&echo=0", "Content-Type: application/x-www-form-urlencoded\r\n" + Receipts));
        Assert.That((await connection.ReadResponseAsync()).Body, Does.EndWith("\"to\":2}"));
        await owner.SendAsync(_server, "\"data\":4");
        Assert.That(await ReadAsync(owner, 4), Is.EqualTo(new[] { "1", "2", "\"3\"", "4" }));
        Assert.That(await ReadAsync(guest, 3), Is.EqualTo(new[] { "2", "\"3\"", "4" }));
        Assert.That(receipt, Does.EndWith("\"to\":2}"));
        foreach (int heard in new[] { 1, 2, 4 })
            Assert.That(await plain.ReadSignalAsync(), Does.StartWith($"{heard}\n"));
    }

    [Test]
    public async Task A_sender_that_comes_back_does_not_hear_what_it_wanted_no_echo_of()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        await owner.ReadAsync("join");
        guest.Stream.Reset();
        await owner.ReadAsync("away");
        Assert.That((await guest.PostAsync(_server, "\"data\":1,\"echo\":false", Receipts)).Body, Does.EndWith("\"to\":1}"));
        Assert.That((await owner.PostAsync(_server, "\"data\":2,\"echo\":false", Receipts)).Body, Does.EndWith("\"to\":1,\"away\":1}"));
        await guest.SendAsync(_server, "\"data\":3");
        using SessionPeer again = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        Assert.That(await ReadAsync(again, 2), Is.EqualTo(new[] { "2", "3" }));
        Assert.That(await ReadAsync(owner, 2), Is.EqualTo(new[] { "1", "3" }));
    }

    [Test]
    public async Task A_message_to_several_peers_goes_to_each_of_them_once()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        using SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        SessionPeer away = await SessionPeer.OpenAsync(_server, "/" + owner.Id, SessionPeer.NewSecret());
        using RawPeer plain = await _server.JoinAsync(owner.Id);
        for (int join = 0; join < 3; join++)
            await owner.ReadAsync("join");
        away.Stream.Reset();
        await owner.ReadAsync("away");
        RawResponse response = await owner.PostAsync(
            _server,
            $"\"data\":1,\"cid\":[\"{guest.Cid}\",\"{NoPeer}\",\"{away.Cid}\",\"{guest.Cid}\",\"no \\\"peer\",\"{plain.Cid}\"]", Receipts);
        JsonElement receipt = JsonDocument.Parse(response.Body).RootElement;
        Dictionary<string, string?> states =
            receipt.GetProperty("to").EnumerateObject().ToDictionary(to => to.Name, to => to.Value.GetString());
        Assert.That(states, Is.EqualTo(new Dictionary<string, string?>
        {
            [guest.Cid] = "sent", [NoPeer] = "gone", [away.Cid] = "away", ["no \"peer"] = "gone", [plain.Cid] = "sent",
        }));
        await owner.SendAsync(_server, "\"data\":2");
        SessionEvent one = await guest.ReadAsync("signal");
        Assert.That((one.Data.GetInt64(), one.Id, one.From), Is.EqualTo((1L, receipt.GetProperty("event").GetString(), owner.Cid)));
        Assert.That(await ReadAsync(guest, 1), Is.EqualTo(new[] { "2" }));
        Assert.That(await ReadAsync(owner, 1), Is.EqualTo(new[] { "2" }));
        Assert.That((await plain.ReadSignalAsync())[..2] + (await plain.ReadSignalAsync())[..2], Is.EqualTo("1\n2\n"));
    }

    [Test]
    public async Task What_was_for_several_is_kept_for_those_of_them_that_are_away()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        string[] secrets = [SessionPeer.NewSecret(), SessionPeer.NewSecret(), SessionPeer.NewSecret()];
        SessionPeer[] guests = new SessionPeer[3];
        for (int n = 0; n < 3; n++)
        {
            guests[n] = await SessionPeer.OpenAsync(_server, "/" + owner.Id, secrets[n]);
            await owner.ReadAsync("join");
        }

        foreach (SessionPeer guest in guests)
        {
            guest.Stream.Reset();
            await owner.ReadAsync("away");
        }

        await owner.SendAsync(_server, $"\"data\":1,\"cid\":[\"{guests[0].Cid}\",\"{guests[1].Cid}\"]");
        await owner.SendAsync(_server, $"\"data\":2,\"cid\":\"{guests[1].Cid}\"");
        await owner.SendAsync(_server, "\"data\":3");
        string[][] heard = [["1", "3"], ["1", "2", "3"], ["3"]];
        for (int n = 0; n < 3; n++)
        {
            using SessionPeer again = await SessionPeer.OpenAsync(_server, "/" + owner.Id, secrets[n]);
            Assert.That(await ReadAsync(again, heard[n].Length), Is.EqualTo(heard[n]));
            await owner.SendAsync(_server, $"\"data\":9,\"cid\":[\"{again.Cid}\"]");
            Assert.That(await ReadAsync(again, 1), Is.EqualTo(new[] { "9" }), "and nothing else");
        }
    }

    [Test]
    public async Task An_array_of_one_cid_has_a_receipt_for_each_too()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        await owner.ReadAsync("join");
        string fields = $"\"data\":1,\"cid\":[\"{guest.Cid}\"]";
        Assert.That((await owner.PostAsync(_server, fields, Receipts)).Body, Does.EndWith($"\"to\":{{\"{guest.Cid}\":\"sent\"}}}}"));
        guest.Stream.Reset();
        await owner.ReadAsync("away");
        Assert.That((await owner.PostAsync(_server, fields, Receipts)).Body, Does.EndWith($"\"to\":{{\"{guest.Cid}\":\"away\"}}}}"));
    }

    [Test]
    public async Task Several_cids_of_which_none_is_here_or_that_are_too_many_are_refused_and_their_number_is_not_taken()
    {
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        RawResponse none = await owner.PostAsync(_server, $"\"data\":1,\"seq\":1,\"cid\":[\"{NoPeer}\",\"x\"]");
        Assert.That(
            (none.Status, none.Body), Is.EqualTo((404, "The cid is of no peer in this channel; leave it out to reach all peers.\n")));
        string many = string.Join(',', Enumerable.Repeat($"\"{owner.Cid}\"", 101));
        RawResponse tooMany = await owner.PostAsync(_server, $"\"data\":1,\"seq\":1,\"cid\":[{many}]");
        Assert.That((tooMany.Status, tooMany.Body), Is.EqualTo((400,
            "The cid names more than 100 peers; send the message to them in several parts.\n")));
        RawResponse echo = await owner.PostAsync(_server, "\"data\":1,\"seq\":1,\"echo\":\"no\"");
        Assert.That((echo.Status, echo.Body), Is.EqualTo((400,
            "The field echo is malformed; it must be false for a message that you do not want back, or true.\n")));
        await owner.SendAsync(_server, $"\"data\":2,\"seq\":1,\"cid\":[\"{owner.Cid}\",\"{NoPeer}\"]");
        await owner.SendAsync(_server, $"\"data\":3,\"seq\":1,\"cid\":[\"{owner.Cid}\",\"{NoPeer}\"]");
        await owner.SendAsync(_server, "\"data\":4");
        Assert.That(await ReadAsync(owner, 2), Is.EqualTo(new[] { "2", "4" }), "a repetition is not delivered again");
    }

    /// <summary>
    /// Many kinds of messages in one go: what each peer is given in a send lies between what is not for it, and direct messages come
    /// between.
    /// </summary>
    [TestCase(1)]
    [TestCase(2)]
    public async Task Each_peer_hears_what_is_for_it_in_the_order_of_the_sender(int seed)
    {
        const int Messages = 400;
        var random = new Random(seed);
        using SessionPeer owner = await SessionPeer.OpenAsync(_server, "/", _owns);
        SessionPeer guest = await SessionPeer.OpenAsync(_server, "/" + owner.Id, _joins);
        using RawPeer plain = await _server.JoinAsync(owner.Id);
        using RawConnection old = _server.Connect();
        old.Send($"GET /{owner.Id} HTTP/1.0\r\n\r\n");
        await old.ReadHeadAsync();
        string connect = await old.ReadUntilAsync("\n\n");
        string oldCid = connect.Split("\"cid\":\"")[1][..32];
        string[] cids = [owner.Cid, guest.Cid, plain.Cid, oldCid];
        List<string>[] due = [[], [], [], []];
        using RawConnection connection = _server.Connect();
        var posts = new System.Text.StringBuilder();
        for (int n = 1; n <= Messages; n++)
        {
            int[] to = random.Next(4) switch
            {
                0 => [.. Enumerable.Range(0, 4).Where(_ => random.Next(2) == 0)],
                1 => [random.Next(4)],
                2 => [1, 2, 3],
                _ => [0, 1, 2, 3],
            };
            string fields = to switch
            {
                [1, 2, 3] => ",\"echo\":false",
                [0, 1, 2, 3] or [] => "",
                [int one] => $",\"cid\":\"{cids[one]}\"",
                _ => $",\"cid\":[{string.Join(',', to.Select(peer => $"\"{cids[peer]}\""))}]",
            };
            foreach (int peer in to is [] ? [0, 1, 2, 3] : to)
                due[peer].Add($"{n}");
            posts.Append(PostText.WithLength("/" + owner.Id, $"{{\"token\":\"{owner.Token}\",\"data\":{n}{fields}}}"));
        }

        connection.Send(posts.ToString());
        for (int n = 0; n < Messages; n++)
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        await owner.SendAsync(_server, "\"data\":0");
        Array.ForEach(due, heard => heard.Add("0"));
        Assert.That(await ReadAsync(owner, due[0].Count), Is.EqualTo(due[0]));
        Assert.That(await ReadAsync(guest, due[1].Count), Is.EqualTo(due[1]));
        Assert.That(await HearAsync(plain.ReadEventAsync, due[2].Count), Is.EqualTo(due[2]));
        Assert.That(await HearAsync(() => old.ReadUntilAsync("\n\n"), due[3].Count), Is.EqualTo(due[3]));
    }

    /// <summary>The data of the next signals; news of the channel is passed over. Ids rise.</summary>
    private static async Task<List<string>> ReadAsync(SessionPeer peer, int signals)
    {
        List<string> data = [];
        long last = peer.Connect.Sequence;
        while (data.Count < signals)
        {
            SessionEvent next = await peer.ReadAsync();
            if (next.Name != "connect")
                Assert.That(next.Sequence, Is.GreaterThan(last), $"{next}");
            last = next.Sequence;
            if (next.Name == "signal")
                data.Add(next.Data.GetRawText());
        }

        return data;
    }

    private static async Task<List<string>> HearAsync(Func<Task<string>> readAsync, int signals)
    {
        List<string> data = [];
        while (data.Count < signals)
        {
            string[] lines = (await readAsync()).Split('\n');
            if (lines[0] == "event: signal")
                data.Add(lines[1]["data: ".Length..]);
        }

        return data;
    }
}
