using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Moshpit.Tests.Support;

/// <summary>A raw request of the vectors, and what may be answered to it.</summary>
internal sealed class HttpCase(JsonElement vector)
{
    private const string PlaceholderId = "0123456789abcdef0123456789abcdef";
    private const string PlaceholderToken = "fedcba9876543210fedcba9876543210";

    /// <summary>How long a case may wait in silence, where that is one of the good ends.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(0.8);

    /// <summary>How long nothing may follow a response before it counts as the last.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(0.15);

    private readonly bool _strict = vector.TryGetProperty("strict", out JsonElement strict) && strict.GetString() == "reject";
    private readonly string _expect = vector.GetProperty("expect").GetString()!;
    private readonly bool _isLive = vector.TryGetProperty("live", out _);
    private readonly JsonElement[] _sequence = vector.TryGetProperty("sequence", out JsonElement sequence)
        ? [.. sequence.EnumerateArray()]
        : [];

    public string Name => vector.GetProperty("name").GetString()!;

    /// <summary>Null when the server did one of the things that are right.</summary>
    public async Task<string?> FailureAsync(TestServer server)
    {
        string raw = Encoding.Latin1.GetString(vector.GetProperty("raw").GetBytesFromBase64());
        using RawPeer? live = _isLive ? await server.CreateAsync() : null;
        if (live is not null)
            raw = raw.Replace(PlaceholderId, live.Id).Replace(PlaceholderToken, live.Token);
        using RawConnection connection = server.Connect();
        (string received, bool closed) = await ExchangeAsync(connection.Socket, Encoding.Latin1.GetBytes(raw), raw.StartsWith("HEAD "));
        string? failure = Judge(received, closed, raw.StartsWith("HEAD "));
        string end = closed ? ", to the end" : "";
        return failure is null ? null : $"{Name}: {failure}; what came{end}: {received[..Math.Min(received.Length, 300)]}";
    }

    private string? Judge(string received, bool closed, bool isHead)
    {
        bool reject = _expect == "reject" || (_expect == "either" && _strict);
        int[] statuses = Statuses();
        foreach (JsonElement denied in List("deny"))
        {
            if (received.Contains(denied.GetString()!, StringComparison.OrdinalIgnoreCase))
                return $"it holds {denied}";
        }

        List<ResponseSketch> responses = ResponseSketch.ReadAll(received, closed, isHead);
        if (responses.Exists(response => response.Status is null))
            return "bytes that are no response";
        ResponseSketch[] final = [.. responses.Where(response => response.Status >= 200)];
        int most = vector.TryGetProperty("max_responses", out JsonElement max) ? max.GetInt32() : 1;
        if (final.Length > most)
            return $"{final.Length} responses; a smuggled request was answered";
        if (final.Length == 0)
            return _expect == "accept" ? "no response" : closed || Flag("may_wait") ? null : "neither a response nor the end";
        if (!statuses.Contains(final[0].Status!.Value))
            return $"{final[0].Status} instead of {string.Join('/', statuses)}";
        if (reject && final[0].Status < 400)
            return "accepted";
        if (!_isLive && _sequence.Length > 0 && !IsSequence(final, closed))
            return $"the answers {string.Join(", ", final.Select(response => response.Status))}";
        if (Close() is { } close && close != closed)
            return close ? "still open" : "closed";
        return null;
    }

    private bool IsSequence(ResponseSketch[] final, bool closed)
    {
        if (_expect == "either" && final.Length < _sequence.Length && closed && final[^1].Status >= 400)
            return true;
        return final.Length == _sequence.Length && final.Zip(_sequence).All(pair => pair.Second.ValueKind == JsonValueKind.Array
            ? pair.Second.EnumerateArray().Any(status => status.GetInt32() == pair.First.Status)
            : pair.Second.GetInt32() == pair.First.Status);
    }

    private int[] Statuses()
    {
        if (_isLive)
            return Numbers(vector.GetProperty("live").GetProperty("statuses"));
        int[] statuses = Numbers(vector.GetProperty("statuses"));
        return _expect == "either" && _strict ? [.. statuses.Where(status => status >= 400).Append(400)] : statuses;
    }

    /// <summary>Sends all and collects what comes, until it is certain that nothing more will.</summary>
    private async Task<(string Received, bool Closed)> ExchangeAsync(Socket socket, byte[] raw, bool isHead)
    {
        var received = new StringBuilder();
        byte[] buffer = new byte[16 * 1024];
        long start = Stopwatch.GetTimestamp();
        TimeSpan cap = Flag("may_wait") ? Silence : RawConnection.Patience;
        Task sending = SendAsync(socket, raw, Flag("eof"));
        while (Stopwatch.GetElapsedTime(start) is var elapsed && elapsed < cap)
        {
            bool complete = IsComplete(received, isHead) && Close() != true;
            using var patience = new CancellationTokenSource(complete ? Grace : cap - elapsed);
            try
            {
                int count = await socket.ReceiveAsync(buffer, patience.Token);
                if (count == 0)
                    return (received.ToString(), true);
                received.Append(Encoding.Latin1.GetString(buffer, 0, count));
            }
            catch (OperationCanceledException)
            {
                if (complete && sending.IsCompleted)
                    break;
            }
            catch (SocketException)
            {
                return (received.ToString(), true);
            }
        }

        return (received.ToString(), false);
    }

    private static async Task SendAsync(Socket socket, byte[] raw, bool end)
    {
        try
        {
            for (int sent = 0; sent < raw.Length;)
                sent += await socket.SendAsync(raw.AsMemory(sent));
            if (end)
                socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The server has closed; what it said before is what counts.
        }
    }

    private bool IsComplete(StringBuilder received, bool isHead)
    {
        int complete = ResponseSketch.ReadAll(received.ToString(), false, isHead)
            .Count(response => response.Complete && response.Status is null or >= 200);
        return complete >= Math.Max(1, _sequence.Length);
    }

    private static int[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(number => number.GetInt32())];

    private bool Flag(string name) => vector.TryGetProperty(name, out JsonElement flag) && flag.ValueKind == JsonValueKind.True;

    private JsonElement[] List(string name) => vector.TryGetProperty(name, out JsonElement list) ? [.. list.EnumerateArray()] : [];

    /// <summary>Whether the server must close, or must not; null where either is right.</summary>
    private bool? Close() => !vector.TryGetProperty("close", out JsonElement close) ? null : close.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };
}
