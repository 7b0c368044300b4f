using System.Text.Json;
using Moshpit.Tests.Fuzz;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>A peer in a schedule: what it was told in this round, and what it says.</summary>
internal sealed class PitPeer : IDisposable
{
    private readonly RawConnection _stream;
    private readonly RawConnection _posts;
    private readonly string _token;
    private readonly List<(string Request, Post Post)> _queue = [];
    private int _said;

    /// <param name="number">Its name in what is printed.</param>
    /// <param name="stream">From which its <c>connect</c> event was read.</param>
    /// <param name="connect">That event.</param>
    /// <param name="posts">Over which it will post.</param>
    public PitPeer(int number, RawConnection stream, string connect, RawConnection posts)
    {
        using JsonDocument json = JsonDocument.Parse(connect["event: connect\ndata: ".Length..]);
        Number = number;
        Id = json.RootElement.GetProperty("id").GetString()!;
        Cid = json.RootElement.GetProperty("cid").GetString()!;
        _token = json.RootElement.GetProperty("token").GetString()!;
        _stream = stream;
        _posts = posts;
    }

    public int Number { get; }

    public string Id { get; }

    public string Cid { get; }

    /// <summary>What it was told in this round.</summary>
    public List<Heard> Told { get; } = [];

    /// <summary>What it has posted in this round.</summary>
    public IEnumerable<Post> Posted => _queue.Select(item => item.Post);

    /// <summary>Leaves in this round.</summary>
    public StepKind? Leaving { get; set; }

    /// <summary>Prepares a message; null: to all.</summary>
    public void Say(PitPeer? addressee)
    {
        string text = $"{{\"from\":{Number},\"n\":{++_said}}}";
        _queue.Add((RequestOf(Id, text, addressee?.Cid), new Post(Number, _said, addressee)));
    }

    /// <summary>Posts all that was prepared at once, and reads the answers.</summary>
    public async Task PostAllAsync()
    {
        _posts.Send(string.Concat(_queue.Select(item => item.Request)));
        foreach ((string _, Post post) in _queue)
            post.Status = (await _posts.ReadResponseAsync()).Status;
    }

    /// <summary>Posts the last of what was prepared.</summary>
    public async Task PostLastAsync()
    {
        (string request, Post post) = _queue[^1];
        _posts.Send(request);
        post.Status = (await _posts.ReadResponseAsync()).Status;
    }

    public string ForgedPost(string id) => RequestOf(id, "1", null);

    public async Task LeaveAsync()
    {
        if (Leaving == StepKind.Reset)
        {
            _stream.Reset();
            return;
        }

        _stream.SendEnd();
        await HearToEndAsync();
    }

    /// <summary>Hears what comes until something like it has come.</summary>
    public async Task HearUntilAsync(Func<bool> enough)
    {
        while (!enough())
            Hear((await _stream.ReadUntilAsync("\n\n"))[..^2]);
    }

    public async Task HearToEndAsync()
    {
        foreach (string text in (await _stream.ReadToEndAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
            Hear(text);
    }

    public void BeginRound()
    {
        Told.Clear();
        _queue.Clear();
    }

    public void Dispose()
    {
        _stream.Dispose();
        _posts.Dispose();
    }

    private string RequestOf(string id, string data, string? cid)
    {
        string body = $"{{\"token\":\"{_token}\",\"cid\":{(cid is null ? "null" : $"\"{cid}\"")},\"data\":{data}}}";
        return $"POST /{id} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}";
    }

    private void Hear(string text)
    {
        string[] lines = text.Split('\n');
        if (lines is not [['e', 'v', 'e', 'n', 't', ':', ' ', .. string name], ['d', 'a', 't', 'a', ':', ' ', .. string data]])
            throw new FuzzException($"Peer {Number} was told what is no event: {text}");
        using JsonDocument json = JsonDocument.Parse(data);
        Told.Add(name == "signal"
            ? new Heard(name, json.RootElement.GetProperty("from").GetInt32(), json.RootElement.GetProperty("n").GetInt32(), "")
            : new Heard(name, 0, 0, json.RootElement.GetProperty("cid").GetString()!));
    }

    /// <summary>An event: a signal with its sender and its number, or the join or leave of a peer.</summary>
    internal sealed record Heard(string Name, int From, int N, string Cid)
    {
        public override string ToString() => Name == "signal" ? $"{N} of {From}" : $"{Name} of {Cid}";
    }

    /// <summary>A message, and what came of it.</summary>
    internal sealed record Post(int From, int N, PitPeer? Addressee)
    {
        public int Status { get; set; }

        public bool WasHeardAs(Heard heard) => heard.Name == "signal" && (heard.From, heard.N) == (From, N);
    }
}
