using System.Text;
using NUnit.Framework.Constraints;
using static Moshpit.Tests.Client.RawServer;

namespace Moshpit.Tests.Client;

/// <summary>
/// A stream that was cut is a failure, and one that ended in good order is not. The events before the end come out of both.
/// </summary>
public class StreamEndTests
{
    private const string Signal = "event: signal\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n";
    private const string Rest = Signal + ": heartbeat\r\n\r\nretry: 5\r\n\r\n: cut";

    [Test]
    public async Task A_chunked_stream_is_complete_with_its_last_chunk_and_cut_at_every_byte_before_it()
    {
        const string head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        string stream = head + Chunk(ConnectEvent) + Chunk(Signal) + "0\r\n\r\n";
        for (int length = 0; length <= stream.Length; length++)
        {
            (List<MoshpitEvent> events, Exception? failure) = await ReadAsync(stream[..length]);
            Assert.That(failure is MoshpitException, Is.EqualTo(length < stream.Length), $"{length} of {stream.Length} bytes");
            int expected = length < (head + Chunk(ConnectEvent)).Length - 2 ? 0 : length < stream.Length - 8 ? 1 : 2;
            Assert.That(events, Has.Count.EqualTo(expected), $"{length} bytes");
        }
    }

    [Test]
    public async Task A_stream_that_ends_with_its_connection_is_cut_where_something_of_an_event_stands_before_the_end()
    {
        int retry = Rest.IndexOf("retry", StringComparison.Ordinal);
        int retryEnd = Rest.IndexOf("\r\n\r\n: cut", StringComparison.Ordinal) + 1;

        // Where the end is one: behind connect, behind each empty line, and in comments and what is no event.
        for (int length = 0; length <= Rest.Length; length++)
        {
            (List<MoshpitEvent> events, Exception? failure) = await ReadAsync(StreamHead + ConnectEvent + Rest[..length]);
            bool isInside = length > 0 && length < Signal.Length - 1;
            bool isInRetry = length > retry && length < retryEnd;
            Constraint message = isInside || isInRetry ? Does.Contain("in the middle of an event") : Is.Null;
            Assert.That(failure?.Message, message, $"{length} bytes: {Rest[..length]}");
            Assert.That(events, Has.Count.EqualTo(length < Signal.Length - 1 ? 1 : 2), $"{length} bytes");
        }
    }

    [TestCase(StreamHead)]
    [TestCase(StreamHead + ":\n\nevent: signal\ndata: 1\n\n")]
    [TestCase("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [TestCase("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n")]
    public async Task A_stream_that_ends_before_connect_is_a_failure_that_may_pass(string response)
    {
        Exception? failure = (await ReadAsync(response)).Failure;
        Assert.That(failure, Is.TypeOf<MoshpitException>().With.Message.Contains("before its connect event"));
        Assert.That(((MoshpitException)failure!).IsTransient, Is.True);
    }

    [Test]
    public async Task Leaving_is_no_failure_wherever_the_stream_stands()
    {
        using var server = new RawServer();
        await using MoshpitPeer peer = new MoshpitClient(server.Url).Open();
        using RawConnection stream = await server.AcceptStreamAsync();
        await stream.SendAsync("event: sig");
        await peer.Connected.Soon();
        await peer.DisposeAsync().AsTask().Soon();
        Assert.That((await peer.DrainAsync()).Failure, Is.Null);
    }

    private static string Chunk(string text) => $"{text.Length:x}\r\n{text}\r\n";

    private static async Task<(List<MoshpitEvent> Events, Exception? Failure)> ReadAsync(string response)
    {
        using var server = new RawServer();
        await using MoshpitPeer peer = new MoshpitClient(server.Url).Open();
        using RawConnection stream = await server.AcceptAsync();
        await stream.ReadRequestAsync();
        await stream.SendAsync(Encoding.ASCII.GetBytes(response));
        stream.Finish();
        return await peer.DrainAsync();
    }
}
