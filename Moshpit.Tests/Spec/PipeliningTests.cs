using System.Runtime.CompilerServices;
using Microsoft.Extensions.Time.Testing;
using Moshpit.Server;
using Moshpit.Server.Api;
using Moshpit.Server.Transport;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Spec;

/// <summary>
/// A client that sends many requests and does not read the answers: what it costs, and that no other client waits for it.
/// </summary>
[Parallelizable]
public sealed class PipeliningTests
{
    /// <summary>Short, and with an answer that is many times as long.</summary>
    private const string Refused = "PUT / HTTP/1.1\r\nHost:a\r\n\r\n";

    private readonly FakeTimeProvider _clock = new();

    [Test]
    public async Task Answers_that_are_not_read_are_not_piled_up()
    {
        await using TestServer server = await StartAsync();
        using RawConnection connection = server.ConnectNarrow();

        // A full buffer is followed by a larger one, so that ever more requests are read at once.
        foreach (int length in new[] { 2048, 8192 })
        {
            int requests = length / Refused.Length + 1;
            connection.Send(string.Concat(Enumerable.Repeat(Refused, requests)));
            for (int n = 0; n < requests; n++)
                Assert.That((await connection.ReadResponseAsync()).Status, Is.EqualTo(405));
        }

        connection.Send(string.Concat(Enumerable.Repeat(Refused, 32 * 1024 / Refused.Length)));
        HttpConnection serving = server.Server.Parts.Http.Connections.Snapshot()[0]!;
        await Eventually.AsyncTrue(() => IsSending(serving));
        Assert.That(ConnectionOf(serving).Output.WrittenCount, Is.InRange(1, 20 * 1024));
    }

    [Test]
    public async Task A_message_does_not_wait_for_its_sender_to_read_the_answers()
    {
        // Received at once, and answered with more than the kernel keeps for it, but less than is sent in between.
        const int Requests = 35;
        await using TestServer server = await StartAsync(options => options.SendBuffer = 1);
        using RawPeer owner = await server.CreateAsync();
        await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 0);
        foreach (string last in new[] { "Connection: close\r\n", "Content-Length: x\r\n" })
        {
            using RawConnection connection = server.ConnectNarrow();
            await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 1);
            HttpConnection serving = server.Server.Parts.Http.Connections.Snapshot().ToArray().Single(each => each is not null)!;
            string requests = string.Concat(Enumerable.Repeat(Refused, Requests));
            connection.Send(requests + owner.Post($"\"{last.Length}\"") + $"PUT / HTTP/1.1\r\nHost: a\r\n{last}\r\n");
            Assert.That(await owner.ReadSignalAsync(), Is.EqualTo($"\"{last.Length}\""));
            await Eventually.AsyncTrue(() => IsSending(serving), () => "Its answers fit; this test says nothing.");
            connection.Reset();
            await Eventually.AsyncTrue(() => server.Server.Parts.Http.Connections.Count == 0);
        }
    }

    /// <summary>It has more to send than its client takes.</summary>
    internal static bool IsSending(HttpConnection connection) =>
        Volatile.Read(ref SendDeadlineOf(ConnectionOf(connection))) != long.MaxValue;

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_connection")]
    private static extern ref RequestConnection ConnectionOf(HttpConnection connection);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_sendDeadline")]
    private static extern ref long SendDeadlineOf(RequestConnection connection);

    private Task<TestServer> StartAsync(Action<MoshpitServerOptions>? configure = null) => TestServer.StartAsync(options =>
    {
        options.TimeProvider = _clock;
        configure?.Invoke(options);
    });
}
