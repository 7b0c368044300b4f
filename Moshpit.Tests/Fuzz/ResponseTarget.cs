using System.Text;

namespace Moshpit.Tests.Fuzz;

/// <summary>
/// The client's reader of responses, one after the other on a connection as they answer pipelined messages: alike however they are cut, and
/// nothing but the one documented exception for bad ones.
/// </summary>
internal sealed class ResponseTarget : FuzzTarget
{
    private const int MaxResponses = 20;

    public override string Name => "response";

    // The values of a repeated field are put together one by one: quadratic, but within the 32 KiB that a head may have.
    public override int AllocationFactor => 16 * 1024;

    public override string[] Dictionary =>
    [
        "HTTP/1.1 200 OK\r\n", "HTTP/1.0 201 Created\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304\r\n", "HTTP/1.1 404 Not Found\r\n", "HTTP/1.1 307 \r\n", "HTTP/2 ", "\r\n", "\r",
        "\n", "\r\n\r\n",
        "Content-Type: text/event-stream; charset=utf-8\r\n", "Content-Type: text/plain\r\n", "Content-Encoding: gzip\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 5, 5\r\n", "Content-Length: 999999999999999999\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
        "Location: /\r\n", "Retry-After: 5\r\n", "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "Keep-Alive: timeout=5, max=1\r\n",
        "5\r\nhello\r\n", "0\r\n\r\n", "0\r\n", "5;a=b\r\n", "fffffffffffffff\r\n", "10000000000000000\r\n", " folded\r\n", "\t", ":", ",",
        ";", "\0", "\u00e9",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", "-1", "+5",
    ];

    public override string Check(byte[] input)
    {
        (string whole, string shape) = Read([input]);
        RequireSame(Read(Feed.Cut(input)).Trace, whole, "arriving in pieces");
        return shape;
    }

    public override void Probe(byte[] input)
    {
        var reader = new HttpReader(new PieceStream([input]));
        try
        {
            for (int count = 0; count < MaxResponses; count++)
            {
                Complete(reader.ReadHeadAsync());
                while (!Complete(reader.ReadBodyAsync().AsTask()).IsEmpty)
                {
                }
            }
        }
        catch (MoshpitException)
        {
            // It is the documented one.
        }
    }

    private static (string Trace, string Shape) Read(byte[][] pieces)
    {
        var reader = new HttpReader(new PieceStream(pieces));
        var trace = new StringBuilder();
        var shape = new StringBuilder();
        try
        {
            for (int count = 0; count < MaxResponses; count++)
            {
                HttpHead head = Complete(reader.ReadHeadAsync());
                Require(head.Status is >= 200 and <= 999, "A status is no final one.");
                string known = $" {head.MinorVersion} {head.Status / 100} {head.IsRedirect} {head.IsEventStream} {head.AllowsReuse}" +
                    $" {head.SaysClose} {head.RetryAfter} {head.KeepAliveTimeout}";
                if (count % 2 == 1)
                {
                    // As the answer to a message is read.
                    trace.Append(head.Status).Append(known).Append(Complete(reader.ReadReplyAsync(head, () => false)))
                        .Append(reader.IsBodyRead);
                    if (!reader.IsBodyRead)
                        break;
                    continue;
                }

                trace.Append(head.Status).Append(known).Append(head["Location"]).Append(head["Content-Type"]).Append(" body ");
                ReadOnlyMemory<byte> bytes;
                long length = 0;
                for (; !(bytes = Complete(reader.ReadBodyAsync().AsTask())).IsEmpty; length += bytes.Length)
                    trace.Append(Encoding.Latin1.GetString(bytes.Span));
                shape.Append(known).Append(Magnitude(length)).Append('\n');
            }
        }
        catch (MoshpitException e)
        {
            trace.Append(e.Message);
            shape.Append(e.Message.AsSpan(0, Math.Min(50, e.Message.Length)));
        }

        return (trace.ToString(), shape.ToString());
    }

    /// <summary>Nothing here ever waits.</summary>
    private static T Complete<T>(Task<T> task)
    {
        Require(task.IsCompleted, "Something waits for bytes that are there.");
        return task.GetAwaiter().GetResult();
    }
}
