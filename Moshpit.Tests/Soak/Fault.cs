using System.Net.Sockets;
using System.Text;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Soak;

/// <summary>
/// One kind of misbehaviour, again and again. What the server answers does not matter here; that the others don't notice does.
/// </summary>
internal sealed class Fault(int port, Random random, Func<Fault, Task> once)
{
    /// <summary>Times that it was done.</summary>
    public int Count { get; private set; }

    public static IEnumerable<Fault> All(int port, Random random) =>
        from once in new Func<Fault, Task>[]
        {
            ResetAsync, StallAsync, DribbleAsync, FloodAsync, SendGarbageAsync, OwnerDiesAsync, UploadAsync,
        }
        select new Fault(port, new Random(random.Next()), once);

    public async Task RunAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await once(this);
            }
            catch (SocketException)
            {
                // The server had enough of it, as it may.
            }

            Count++;
        }
    }

    private static async Task ResetAsync(Fault fault)
    {
        using RawPeer owner = await fault.OpenAsync("/");
        RawPeer[] guests = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => fault.OpenAsync("/" + owner.Id)));
        foreach (RawPeer guest in guests)
            guest.Stream.Reset();
    }

    /// <summary>A peer that does not read, until it is cut; it is published to by its own channel.</summary>
    private static async Task StallAsync(Fault fault)
    {
        using RawPeer owner = await fault.OpenAsync("/");
        using RawPeer stalled = await fault.OpenAsync("/" + owner.Id);
        Task<List<string>> reading = owner.ReadAllAsync();
        using (RawConnection publisher = RawConnection.Connect(fault.Port))
        {
            // On a machine that is loaded enough the owner too may read too slowly, and be cut with its channel.
            string post = owner.Post($"\"{new string('x', 8000)}\"");
            int status = 200;
            for (int n = 0; n < 200 && status == 200; n++)
            {
                publisher.Send(post);
                status = (await publisher.ReadResponseAsync()).Status;
            }

            if (status != 200)
                return;
        }

        owner.Stream.SendEnd();
        await reading;
    }

    private static async Task DribbleAsync(Fault fault)
    {
        using RawPeer owner = await fault.OpenAsync("/");
        using RawConnection connection = RawConnection.Connect(fault.Port);
        foreach (char c in owner.Post("\"slow\""))
        {
            connection.Send(c.ToString());
            await Task.Yield();
        }

        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        connection.Send(owner.Post("\"cut\"")[..fault.Next(1, 100)]);
    }

    /// <summary>Many POSTs without waiting for an answer, sometimes without ever reading one.</summary>
    private static async Task FloodAsync(Fault fault)
    {
        const int Posts = 300;
        using RawPeer owner = await fault.OpenAsync("/");
        using RawConnection connection = RawConnection.Connect(fault.Port);
        connection.Send(string.Concat(Enumerable.Repeat(owner.Post("\"flood\""), Posts)));
        if (fault.Next(0, 3) == 0)
            return;
        for (int n = 0; n < Posts; n++)
            Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(200));
        for (int n = 0; n < Posts; n++)
            Assert.That(await owner.ReadEventAsync(), Is.EqualTo("event: signal\ndata: \"flood\""));
    }

    private static async Task SendGarbageAsync(Fault fault)
    {
        using RawConnection connection = RawConnection.Connect(fault.Port);
        byte[] garbage = new byte[fault.Next(1, 4000)];
        fault.Fill(garbage);
        connection.Send(fault.Next(0, 2) == 0 ? garbage
            : [.. Encoding.ASCII.GetBytes("POST /abc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), .. garbage]);
        connection.SendEnd();
        await connection.ReadToEndOrResetAsync();
    }

    private static async Task OwnerDiesAsync(Fault fault)
    {
        RawPeer owner = await fault.OpenAsync("/");
        RawPeer[] guests = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => fault.OpenAsync("/" + owner.Id)));
        owner.Stream.Reset();
        foreach (RawPeer guest in guests)
        {
            Assert.That(await guest.Stream.ReadToEndAsync(), Is.Empty);
            guest.Dispose();
        }
    }

    /// <summary>A body that is far too large; why it is refused must still be there to read.</summary>
    private static async Task UploadAsync(Fault fault)
    {
        using RawPeer owner = await fault.OpenAsync("/");
        using RawConnection connection = RawConnection.Connect(fault.Port);
        connection.Send($"POST /{owner.Id} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n");
        connection.Send(new byte[500_000]);
        Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(413));
    }

    private int Port => port;

    private int Next(int least, int below) => random.Next(least, below);

    private void Fill(byte[] bytes) => random.NextBytes(bytes);

    private Task<RawPeer> OpenAsync(string target) => RawPeer.OpenAsync(RawConnection.Connect(port), target);
}
