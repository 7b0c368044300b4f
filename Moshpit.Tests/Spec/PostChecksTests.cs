using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>POST with several things wrong at once: the protocol says which one is told.</summary>
public sealed class PostChecksTests
{
    private const string NoPeer = "00000000000000000000000000000000";
    private const string Text = "Content-Type: text/plain\r\n";
    private const string Form = "Content-Type: application/x-www-form-urlencoded\r\n";
    private static readonly string Huge = "{[" + new string(' ', 20_000);

    [TestCaseSource(nameof(Wrong))]
    public async Task The_first_thing_wrong_is_told(int status, string? target, string fields, string body, bool chunked)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        target ??= "/" + owner.Id;
        body = body.Replace("TOKEN", owner.Token);
        connection.Send(chunked ? PostText.Chunked(target, body, 1000, fields) : PostText.WithLength(target, body, fields));
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(status), response.Body);
        Assert.That(response.Body, Does.EndWith(".\n"));

        // Nothing of it was delivered.
        await owner.SendAsync(server, "\"next\"");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("\"next\""));
    }

    [Test]
    public async Task A_content_encoding_is_refused_as_a_type_that_is_not_understood()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength("/" + owner.Id, Huge, PostText.Json + "Content-Encoding: gzip\r\n"));
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That(response.Status, Is.EqualTo(415));
        Assert.That(response.Body, Does.Contain("Content-Encoding"));
    }

    [Test]
    public async Task A_refused_message_leaves_the_connection_in_step()
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        string good = PostText.Body(owner.Token, "1");
        connection.Send(PostText.WithLength("/nobody", good) + PostText.Chunked("/" + owner.Id, good, 7, Text) +
            PostText.WithLength("/" + owner.Id, "{[") + PostText.Chunked("/" + owner.Id, PostText.Body(NoPeer, "1"), 5) +
            PostText.WithLength("/" + owner.Id, good));
        foreach (int status in new[] { 404, 415, 400, 401, 200 })
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(status));
    }

    [TestCase(PostText.Json, "{\"data\":1}", "The field token is missing")]
    [TestCase(PostText.Json, "[]", "The field token is missing")]
    [TestCase(PostText.Json, "{\"token\":null,\"data\":1}", "The token belongs to no peer")]
    [TestCase(PostText.Json, "{\"token\":[\"TOKEN\"],\"data\":1}", "The token belongs to no peer")]
    [TestCase(PostText.Json, $"{{\"token\":\"{NoPeer}\",\"data\":1}}", "The token belongs to no peer")]
    [TestCase(Form, "data=1", "The field token is missing")]
    [TestCase(Form, "", "The field token is missing")]
    [TestCase(Form, "token=&data=1", "The token belongs to no peer")]
    [TestCase(Form, "token=x&data=1", "The token belongs to no peer")]
    [TestCase(Form, "{\"token\":\"TOKEN\",\"data\":1}", "looks like JSON")]
    [TestCase(Form, " \r\n\t[{\"token\":\"TOKEN\"}]", "looks like JSON")]
    [TestCase(Form, "{&token=x", "The token belongs to no peer")]
    public async Task What_is_wrong_with_the_token_is_told_in_a_sentence(string fields, string body, string sentence)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawConnection connection = server.Connect();
        connection.Send(PostText.WithLength("/" + owner.Id, body.Replace("TOKEN", owner.Token), fields));
        RawResponse response = await connection.ReadResponseAsync();
        Assert.That((response.Status, response["WWW-Authenticate"]), Is.EqualTo((401, "Moshpit")));
        Assert.That(response.Body, Does.Contain(sentence));
        Assert.That(response.Body.Contains("Content-Type: application/json"), Is.EqualTo(sentence == "looks like JSON"));
    }

    [TestCase(PostText.Json, "{{\"token\":\"{0}\",\"cid\":[\"{1}\"],\"data\":\"1\"}}")]
    [TestCase(Form, "token={0}&cid[]={1}&data=1")]
    public async Task An_array_of_one_cid_is_that_cid(string fields, string body)
    {
        await using TestServer server = await TestServer.StartAsync();
        using RawPeer owner = await server.CreateAsync();
        using RawPeer guest = await server.JoinAsync(owner.Id);
        await owner.ReadEventAsync();
        using RawConnection connection = server.Connect();
        body = string.Format(System.Globalization.CultureInfo.InvariantCulture, body, owner.Token, guest.Cid);
        connection.Send(PostText.WithLength("/" + owner.Id, body, fields));
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        await owner.SendAsync(server, "2");
        Assert.That(await owner.ReadSignalAsync(), Is.EqualTo("2"), "the first was not for all");
        Assert.That((await guest.ReadSignalAsync(), await guest.ReadSignalAsync()), Is.EqualTo(("\"1\"", "2")));
    }

    private static IEnumerable<TestCaseData> Wrong()
    {
        string noData = $"{{\"token\":\"TOKEN\",\"cid\":\"{NoPeer}\"}}";
        (int Status, string? Target, string Fields, string Body, string Name)[] cases =
        [
            (404, "/" + NoPeer, Text, Huge, "An_unknown_channel_before_type_size_and_syntax"),
            (404, "/", Text, Huge, "A_path_that_is_no_channel_before_type_size_and_syntax"),
            (404, "/a.b", "", Huge, "A_path_that_is_nothing_before_type_size_and_syntax"),
            (415, null, Text, Huge, "A_type_before_size_and_syntax"),
            (415, null, "", Huge, "A_missing_type_before_size_and_syntax"),
            (413, null, PostText.Json, Huge, "A_size_before_syntax"),
            (400, null, PostText.Json, $"{{\"token\":\"{NoPeer}\",\"cid\":\"{NoPeer}\"", "Syntax_before_token"),
            (400, null, PostText.Json, "1", "A_number_is_no_message"),
            (401, null, PostText.Json, $"{{\"token\":\"{NoPeer}\",\"cid\":\"{NoPeer}\"}}", "A_token_before_data_and_cid"),
            (401, null, PostText.Json, $"{{\"cid\":\"{NoPeer}\"}}", "A_missing_token_before_data_and_cid"),
            (401, null, PostText.Json, "{\"token\":[\"TOKEN\"],\"data\":1}", "A_token_that_is_no_string"),
            (401, null, PostText.Json, "[\"TOKEN\"]", "A_list_has_no_token"),
            (400, null, PostText.Json, noData, "Missing_data_before_cid"),
            (404, null, PostText.Json, PostText.Body("TOKEN", "1", NoPeer), "An_unknown_cid"),
            (404, null, PostText.Json, "{\"token\":\"TOKEN\",\"data\":1,\"cid\":7}", "A_cid_that_is_no_string"),
            (404, null, Form, "token=TOKEN&data=1&cid[]=", "An_empty_cid_in_an_array"),
            (404, null, PostText.Json, $"{{\"token\":\"TOKEN\",\"data\":1,\"cid\":[\"{NoPeer}\",\"{NoPeer}\"]}}", "Several_cids"),
        ];
        foreach ((int status, string? target, string fields, string body, string name) in cases)
        {
            yield return new TestCaseData(status, target, fields, body, false).SetName(name);
            yield return new TestCaseData(status, target, fields, body, true).SetName(name + "_in_chunks");
        }
    }
}
