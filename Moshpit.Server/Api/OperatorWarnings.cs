using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging;
using Moshpit.Server.Buffers;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;

namespace Moshpit.Server.Api;

/// <summary>
/// Tells the operator, in warnings, what the server refuses and which peers it cuts. Of each kind there is one warning in
/// <see cref="Interval"/> at most, with the number of cases since the last one: a flood of refusals must not become a flood of logs. What
/// is counted here is a refusal or an end, never a message that is delivered.
/// </summary>
internal sealed class OperatorWarnings(ILogger logger)
{
    /// <summary>Milliseconds between two warnings of one kind.</summary>
    public const long Interval = 10_000;

    /// <summary>By the name of the refusal; there are no more than the server has refusals.</summary>
    private readonly ConcurrentDictionary<string, Tally> _refusals = new();
    private readonly Tally[] _cuts = [.. Enum.GetValues<DisconnectReason>().Select(_ => new Tally())];
    private readonly Tally _memory = new();
    private int _toldOfRemoteProxy;
    private int _toldOfLocalProxy;

    /// <summary>Called once: says so if the descriptors do not suffice for the limits that were asked for.</summary>
    public void OnStart(MoshpitServerOptions options, int descriptors)
    {
        int share = DescriptorLimit.ShareOf(descriptors);
        if (descriptors < options.MaxConnections)
            ApiLog.FewDescriptors(logger, descriptors, options.MaxConnections);
        else if (share < Math.Max(options.MaxConnectionsPerAddress, options.MaxStreamsPerAddress))
            ApiLog.SmallShare(logger, share, options.MaxConnectionsPerAddress, options.MaxStreamsPerAddress);
    }

    /// <summary>A request or a connection was refused. Counts those that the server or an address has too many of.</summary>
    /// <param name="rejection">The answer, even if the client was closed without one.</param>
    /// <param name="client">Its address; null over loopback or a Unix socket.</param>
    public void OnRefused(Rejection rejection, object? client)
    {
        if (rejection.IsTemporary && rejection != ApiRejections.ShuttingDown)
            _refusals.GetOrAdd(rejection.Name, static (_, status) => new Tally { Status = status }, rejection.Status).Add(client);
    }

    /// <summary>A stream has ended. Counts those that the server cut because of what their peers did, or did not do.</summary>
    public void OnStreamEnded(DisconnectReason reason, object? client)
    {
        if (reason is DisconnectReason.BacklogFull or DisconnectReason.Stalled or DisconnectReason.TooMuchInput)
            _cuts[(int)reason].Add(client);
    }

    /// <summary>
    /// A request came through a proxy that is not named, from <paramref name="client"/>. Says so once for remote ones, once for others.
    /// </summary>
    public void OnUnnamedProxy(object? client)
    {
        ref int told = ref client is null ? ref _toldOfLocalProxy : ref _toldOfRemoteProxy;
        if (Volatile.Read(ref told) != 0 || Interlocked.Exchange(ref told, 1) != 0)
            return;
        if (client is null)
            ApiLog.UnnamedLocalProxy(logger);
        else
            ApiLog.UnnamedProxy(logger, client);
    }

    /// <summary>Called when time has passed, with the memory that messages take and may take.</summary>
    public void OnTick(long now, long messageBytes, long messageLimit)
    {
        if (messageBytes > messageLimit)
        {
            _memory.Add(null);
            if (_memory.TryTake(now, out _, out _))
                ApiLog.MessagesTakeMuchMemory(logger, messageBytes, messageLimit);
        }

        Report(now);
    }

    /// <summary>Warns of whatever was counted and not reported yet; called when the server has stopped.</summary>
    public void Flush() => Report(long.MaxValue);

    /// <summary>What <paramref name="client"/> is called in logs.</summary>
    public static object NameOf(object? client) => client switch
    {
        null => "loopback or a Unix socket",
        IPAddress { IsIPv4MappedToIPv6: true } address => address.MapToIPv4(),
        _ => client,
    };

    private void Report(long now)
    {
        foreach ((string name, Tally tally) in _refusals)
        {
            if (tally.TryTake(now, out long count, out object? client))
                ApiLog.ManyRefused(logger, count, tally.Status, name, NameOf(client));
        }

        for (int reason = 0; reason < _cuts.Length; reason++)
        {
            if (_cuts[reason].TryTake(now, out long count, out object? client))
                ApiLog.StreamsCut(logger, count, (DisconnectReason)reason, NameOf(client));
        }
    }

    /// <summary>Cases of one kind.</summary>
    private sealed class Tally
    {
        private long _count;
        private object? _client;
        private long _nextAt;

        public int Status { get; init; }

        public void Add(object? client)
        {
            Volatile.Write(ref _client, client);
            Interlocked.Increment(ref _count);
        }

        /// <summary>True: there were <paramref name="count"/> cases, and it is time for a warning. They are not counted again.</summary>
        public bool TryTake(long now, out long count, out object? client)
        {
            count = 0;
            client = null;
            if (Volatile.Read(ref _count) == 0 || now < _nextAt)
                return false;
            _nextAt = now + Math.Min(Interval, long.MaxValue - now);
            client = Volatile.Read(ref _client);
            count = Interlocked.Exchange(ref _count, 0);
            return true;
        }
    }
}
