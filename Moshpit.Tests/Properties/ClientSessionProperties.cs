using CsCheck;
using Moshpit.Tests.Support;

namespace Moshpit.Tests.Properties;

/// <summary>
/// Whatever happens to the connections of two real clients, each of them hears every message once and in order, as the same peer. A
/// schedule that fails is made smaller, and printed.
/// </summary>
[Parallelizable]
public sealed class ClientSessionProperties
{
    private const int Schedules = 150;

    /// <summary>A session may have ten streams within ten seconds.</summary>
    private const int LongestSchedule = 9;

    private static readonly Gen<ClientSessionStep> AnyStep = Gen.Select(
        Gen.Frequency(
            (8, ClientSessionStepKind.Write), (4, ClientSessionStepKind.WriteToOther), (2, ClientSessionStepKind.Settle),
            (8, ClientSessionStepKind.Cut), (2, ClientSessionStepKind.Reset), (2, ClientSessionStepKind.Silence),
            (1, ClientSessionStepKind.Reconnect), (1, ClientSessionStepKind.Restart)),
        Gen.Int[0, 1],
        Gen.Int[0, 100],
        (kind, client, number) => new ClientSessionStep(kind, client, number));

    [Test]
    public async Task Whatever_happens_to_its_connections_a_client_hears_and_says_each_message_once()
    {
        await using TestServer server = await TestServer.StartAsync();
        Dictionary<string, int> seen = [];
        await AnyStep.Array[1, LongestSchedule].SampleAsync(
            async steps =>
            {
                await using var run = new ClientSessionRun(server, seen);
                await run.RunAsync(steps);
            },
            iter: Schedules,
            threads: 16, // most of the time they wait to come back
            print: steps => string.Join(' ', steps));
        TestContext.Out.WriteLine(string.Join(", ", seen.Select(each => $"{each.Key}: {each.Value}")));
        foreach (string what in new[] { "lost", "resumed", "new", "repeated", "restarted" })
            Assert.That(seen.GetValueOrDefault(what), Is.GreaterThan(Schedules / 20), $"schedules hardly come by '{what}'");
    }
}
