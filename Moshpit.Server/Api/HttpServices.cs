using Microsoft.Extensions.Logging;
using Microsoft.Extensions.ObjectPool;
using Moshpit.Server.Buffers;
using Moshpit.Server.Http;
using Moshpit.Server.Limits;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>What all connections of a server that carry requests use.</summary>
internal sealed class HttpServices
{
    public required MoshpitServerOptions Options { get; init; }

    public required RequestLimits Limits { get; init; }

    public required ServerClock Clock { get; init; }

    public required Shutdown Shutdown { get; init; }

    public required Admission Admission { get; init; }

    public required AddressLimits Addresses { get; init; }

    public required Router Router { get; init; }

    public required ResponseWriter Responses { get; init; }

    public required Reconnects Reconnects { get; init; }

    public required OperatorWarnings Warnings { get; init; }

    public required ILogger Logger { get; init; }

    public required ObjectPool<Exchange> Exchanges { get; init; }

    public required ObjectPool<TransportBuffers> Buffers { get; init; }

    public required ObjectPool<Receiver> Receivers { get; init; }

    /// <summary>The connections now.</summary>
    public SlotTable<HttpConnection> Connections { get; } = new();

    /// <summary>Connections that may still have requests; of others at most the last answer is still to be read.</summary>
    public ActivityCount Requests { get; } = new();

    /// <summary>Connections and streams of which anything is left.</summary>
    public required ActivityCount Sockets { get; init; }
}
