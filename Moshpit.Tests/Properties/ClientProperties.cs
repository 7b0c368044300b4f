using System.Buffers;
using System.Text;
using CsCheck;
using Moshpit.Server.Api;
using Moshpit.Server.Buffers;
using Moshpit.Server.Http;
using Moshpit.Server.Sse;
using Moshpit.Tests.Client;
using Moshpit.Tests.Fuzz;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>
/// What the server writes the client reads, and the other way round. How often it is tried, and how to try more: <see cref="Any"/>.
/// </summary>
[Parallelizable]
public sealed class ClientProperties
{
    [Test]
    public void Events_that_the_server_writes_are_those_that_the_client_reads_and_a_cut_is_told_from_an_end()
    {
        Gen.Select(Gen.Select(Gen.Int[0, 4], Gen.ULong, Any.Json).Array[1, 6], Any.Cuts, Gen.Bool).Sample((sent, cuts, ends) =>
        {
            var stream = new ArrayBufferWriter<byte>();
            TestResponses.Writer.WriteStreamHead(stream, new HttpRequest(), 200);
            string expected = string.Concat(sent.Select(e => Write(stream, e.Item1, new UInt128(e.Item2, ~e.Item2), e.Item3)));
            if (ends)
                stream.Write(ChunkFraming.LastChunk);
            (string read, bool ended) = Read(Any.Cut(stream.WrittenSpan.ToArray(), cuts));
            Any.RequireSame((read, ended), (expected, ends));
        });
    }

    [Test]
    public void Responses_that_the_server_writes_are_those_that_the_client_reads()
    {
        Rejection[] rejections =
            [ApiRejections.UnknownChannel, ApiRejections.InvalidToken, ApiRejections.MethodNotAllowed, new RequestLimits().BodyTooLarge];
        Gen.Select(Gen.Int[0, rejections.Length + 1], Gen.Bool, Gen.Bool).Array[1, 4].Select(Any.Cuts).Sample((sent, cuts) =>
        {
            var wire = new ArrayBufferWriter<byte>();
            foreach ((int kind, bool keepAlive, bool http10) in sent)
            {
                var request = new HttpRequest { KeepAlive = keepAlive, IsHttp10 = http10, Method = Server.Http.HttpMethod.Post };
                if (kind < rejections.Length)
                    TestResponses.Writer.WriteRejection(wire, request, rejections[kind], close: false);
                else if (kind == rejections.Length)
                    TestResponses.Writer.WriteOk(wire, request);
                else
                    TestResponses.Writer.WriteOptions(wire, request);
            }

            var reader = new HttpReader(new PieceStream(Any.Cut(wire.WrittenSpan.ToArray(), cuts)));
            foreach ((int kind, bool keepAlive, bool _) in sent)
            {
                HttpHead head = reader.ReadHeadAsync().GetAwaiter().GetResult();
                string body = "";
                for (ReadOnlyMemory<byte> bytes; !(bytes = reader.ReadBodyAsync().AsTask().Result).IsEmpty;)
                    body += Encoding.UTF8.GetString(bytes.Span);
                (int Status, string Body, bool Close) expected = kind < rejections.Length
                    ? (rejections[kind].Status, Encoding.UTF8.GetString(rejections[kind].Body), rejections[kind].Close)
                    : kind == rejections.Length ? (200, "OK", false) : (204, "", false);
                Any.RequireSame((head.Status, body, head.AllowsReuse), (expected.Status, expected.Body, keepAlive && !expected.Close));
            }
        });
    }

    [Test]
    public async Task Answers_to_pipelined_messages_reach_the_messages_that_they_belong_to()
    {
        using var server = new RawServer();
        await using MoshpitPeer peer = new MoshpitClient(server.Url).Open();
        using Client.RawConnection stream = await server.AcceptStreamAsync();
        using Client.RawConnection post = await server.ProveAsync(peer);
        Rejection[] rejections = [ApiRejections.UnknownChannel, ApiRejections.InvalidToken, ApiRejections.UnsupportedMediaType];
        await Gen.Select(Gen.Int[0, rejections.Length].Array[1, 8], Any.Cuts).SampleAsync(
            async (sent, cuts) =>
            {
                var answers = new ArrayBufferWriter<byte>();
                var request = new HttpRequest { KeepAlive = true, Method = Server.Http.HttpMethod.Post };
                foreach (int kind in sent.Append(rejections.Length))
                {
                    if (kind < rejections.Length)
                        TestResponses.Writer.WriteRejection(answers, request, rejections[kind], close: false);
                    else
                        TestResponses.Writer.WriteOk(answers, request);
                }

                // The last one is taken, so that a refused token is not the end of the connection.
                Task[] writes = [.. Enumerable.Range(0, sent.Length + 1).Select(i => peer.Write($"{i}"))];
                await RawServer.ReadPostsAsync(post, [.. Enumerable.Range(0, writes.Length)]);
                foreach (byte[] piece in Any.Cut(answers.WrittenSpan.ToArray(), cuts))
                    await post.SendAsync(piece);
                string[] outcomes = await Task.WhenAll(writes.Select(PipelineTests.OutcomeAsync));
                Any.RequireSame(
                    string.Join(' ', outcomes),
                        string.Join(' ', sent.Select(k => k < rejections.Length ? $"{rejections[k].Status}" : "ok").Append("ok")));
            },
            threads: 1);
    }

    [Test]
    public async Task What_the_client_writes_comes_back_as_it_was_meant()
    {
        await using TestServer server = await TestServer.StartAsync();
        await using MoshpitPeer peer = new MoshpitClient($"http://127.0.0.1:{server.Port}").Open();
        await using IAsyncEnumerator<MoshpitEvent> events = peer.GetAsyncEnumerator();
        string? cid = await events.MoveNextAsync() ? events.Current.Cid : null;
        await Gen.Select(Any.Json, Gen.Bool).Array[1, 8].SampleAsync(
            async written =>
            {
                // All at once: they arrive in the order of the calls.
                await Task.WhenAll(written.Select(w => peer.Write(w.Item1, w.Item2 ? cid : null)));
                foreach ((string json, bool _) in written)
                {
                    await events.MoveNextAsync().AsTask().WaitAsync(RawServer.Patience);
                    Any.RequireSame(events.Current.Name, "signal");
                    Any.RequireSame(EventData.Tokens(Any.Utf8(events.Current.Data)), EventData.Tokens(Any.Utf8(json)));
                }
            },
            threads: 1);
    }

    /// <summary>All events of a response that comes in <paramref name="pieces"/>, and whether it ended in good order.</summary>
    private static (string Events, bool Ended) Read(byte[][] pieces)
    {
        var reader = new HttpReader(new PieceStream(pieces));
        reader.ReadHeadAsync().GetAwaiter().GetResult();
        var read = new List<MoshpitEvent>();
        var parser = new SseParser(1 << 20);
        bool ended = false;
        try
        {
            for (ReadOnlyMemory<byte> bytes; !(bytes = reader.ReadBodyAsync().AsTask().GetAwaiter().GetResult()).IsEmpty;)
                parser.Push(bytes.Span, read);
            ended = true;
        }
        catch (MoshpitException)
        {
            // The last chunk is missing.
        }

        return (string.Concat(read.Select(Describe)), ended);
    }

    private static string Write(ArrayBufferWriter<byte> stream, int kind, UInt128 id, string json)
    {
        string hex = $"{id:x32}";
        string data = $"{{\"id\":\"{hex}\",\"cid\":\"{id + 1:x32}\"";
        switch (kind)
        {
            case 0:
                EventWriter.WriteConnect(stream, Ids.Channel(id), Ids.Peer(id + 1), Ids.Token(id + 2));
                return $"connect {data},\"token\":\"{id + 2:x32}\"}} {hex} {id + 1:x32} {id + 2:x32}\n";
            case 1:
                EventWriter.WriteJoin(stream, Ids.Channel(id), Ids.Peer(id + 1));
                return $"join {data}}} {hex} {id + 1:x32} \n";
            case 2:
                EventWriter.WriteLeave(stream, Ids.Channel(id), Ids.Peer(id + 1));
                return $"leave {data}}} {hex} {id + 1:x32} \n";
            case 3:
                stream.Write(EventWriter.Heartbeat);
                return "";
            default:
                string delivered = ParsedBody.Json($"{{\"data\":{json}}}").Data;
                SharedFrame frame = new FramePool().Rent(delivered.Length);
                EventWriter.BeginSignal(frame);
                frame.Append(Any.Utf8(delivered));
                EventWriter.EndSignal(frame);
                stream.Write(frame.Span);
                frame.Release();
                return $"signal {delivered}   \n";
        }
    }

    private static string Describe(MoshpitEvent e) => $"{e.Name} {e.Data} {e.Id} {e.Cid} {e.Token}\n";
}
