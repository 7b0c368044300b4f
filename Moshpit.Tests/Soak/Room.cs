using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// Well-behaved peers of one channel after another. In each, some guests publish, broadcast and direct mixed, others come and go, and every
/// stream is read to its end and checked.
/// </summary>
internal sealed class Room(int port, Random random)
{
    private const int Guests = 6;
    private const int Messages = 60;
    private const string Last = "\"last\"";

    /// <summary>Messages that were checked.</summary>
    public long Delivered { get; private set; }

    /// <summary>Channels that were opened, used, checked and closed.</summary>
    public int Rounds { get; private set; }

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await RunOnceAsync();
            Rounds++;
        }
    }

    private async Task RunOnceAsync()
    {
        using RawPeer owner = await OpenAsync("/");
        RawPeer[] guests = new RawPeer[Guests];
        for (int i = 0; i < Guests; i++)
            guests[i] = await OpenAsync("/" + owner.Id);
        Task<List<string>>[] reading = [.. guests.Select(ReadToTheLastAsync)];
        Task<List<string>> owning = ReadUntilAllLeftAsync(owner, Guests);

        int publishers = random.Next(1, 4);
        Task[] publishing = [.. Enumerable.Range(0, publishers).Select(i => PublishAsync(guests[i], guests[^1], i, random.Next(Messages)))];
        int visitors = random.Next(3);
        Task<int[]> visiting = Task.WhenAll(Enumerable.Range(0, visitors).Select(_ => VisitAsync(owner.Id)));
        await Task.WhenAll(publishing);
        await visiting;

        // A peer that leaves is owed nothing more, so none leaves before it has heard the last message.
        using (var publisher = new Publisher(RawConnection.Connect(port), owner))
            await publisher.SendAsync(Last);
        List<string>[] heard = await Task.WhenAll(reading);
        Check(heard, publishers);
        List<string> seen = await owning;
        Assert.That(seen.Where(text => text.StartsWith("event: join")), Is.Unique.And.Exactly(Guests + visitors).Items);
        Assert.That(seen.Where(text => text.StartsWith("event: leave")), Is.Unique.And.Exactly(Guests + visitors).Items);
        foreach (RawPeer guest in guests)
            guest.Dispose();
    }

    /// <summary>
    /// All agree on one order of broadcasts, each sender's messages are in the order of its calls, none is missing or there twice.
    /// </summary>
    private void Check(List<string>[] heard, int publishers)
    {
        List<string> log = Broadcasts(heard[0]);
        foreach (List<string> other in heard)
        {
            Assert.That(Broadcasts(other), Is.EqualTo(log));
            Delivered += other.Count;
        }

        for (int sender = 0; sender < publishers; sender++)
        {
            int[] numbers = [.. heard[^1].Select(Parse).Where(message => message.Sender == sender).Select(message => message.Number)];
            Assert.That(numbers, Is.EqualTo(Enumerable.Range(0, numbers.Length)));
            Assert.That(numbers, Has.Length.EqualTo(Messages));
        }
    }

    private async Task PublishAsync(RawPeer peer, RawPeer addressee, int sender, int seed)
    {
        var choices = new Random(seed);
        using var publisher = new Publisher(RawConnection.Connect(port), peer);
        for (int n = 0; n < Messages; n++)
        {
            bool direct = choices.Next(4) == 0;
            await publisher.SendAsync($"\"{(direct ? 'd' : 'b')},{sender},{n}\"", direct ? addressee.Cid : null);
        }
    }

    /// <summary>A visitor comes, hears its own connect first, and goes.</summary>
    private async Task<int> VisitAsync(string id)
    {
        using RawPeer visitor = await OpenAsync("/" + id);
        visitor.Stream.SendEnd();
        return (await visitor.ReadAllAsync()).Count;
    }

    private static async Task<List<string>> ReadToTheLastAsync(RawPeer guest)
    {
        List<string> heard = [];
        while (await guest.ReadSignalAsync() is var data && data != Last)
            heard.Add(data);
        guest.Stream.SendEnd();
        Assert.That(await guest.Stream.ReadToEndAsync(), Is.Empty);
        return heard;
    }

    private static async Task<List<string>> ReadUntilAllLeftAsync(RawPeer owner, int guests)
    {
        List<string> seen = [];
        int present = 0;
        int left = 0;

        // Visitors come and go too: all have left when the guests have, and no peer is there any more.
        while (left < guests || present > 0)
        {
            string text = await owner.ReadEventAsync();
            if (text.StartsWith("event: join"))
                present++;
            if (text.StartsWith("event: leave"))
                (present, left) = (present - 1, left + 1);
            Assert.That(present, Is.Not.Negative, "a peer left that had not joined");
            seen.Add(text);
        }

        return seen;
    }

    private static List<string> Broadcasts(List<string> heard) => [.. heard.Where(text => text.StartsWith("\"b,"))];

    private static (int Sender, int Number) Parse(string text)
    {
        string[] parts = text.Trim('"').Split(',');
        return (int.Parse(parts[1]), int.Parse(parts[2]));
    }

    private Task<RawPeer> OpenAsync(string target) => RawPeer.OpenAsync(RawConnection.Connect(port), target);
}
