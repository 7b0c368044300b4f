using System.Net;
using Moshpit.Server.Http;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>Who is let in, who is told that it is one too many, and who is not even told.</summary>
internal sealed class Admission(ServerState server)
{
    /// <summary>Connections that are told at once. Saying no to some more than are allowed is polite; to any number of them it would be no limit.</summary>
    private const int MostRefused = 100;

    private readonly int _maxConnections = Math.Min(server.Options.MaxConnections, DescriptorLimit.Connections());
    private readonly int _mostRefused = Math.Min(MostRefused, Math.Max(1, DescriptorLimit.Connections() / 16));
    private int _refused;

    /// <summary>Connections that are there only to be told.</summary>
    public int Refused => Volatile.Read(ref _refused);

    /// <summary>
    /// Counts a connection from <paramref name="address"/> until <see cref="Leave"/>; <paramref name="refusal"/>, where it is not null, answers
    /// its first request. False: it is to be closed without a word.
    /// </summary>
    public bool TryEnter(IPAddress? address, out AddressUsage? usage, out Rejection? refusal)
    {
        refusal = null;
        if (!server.Addresses.TryHold(address, out usage))
            refusal = Rejections.TooManyConnectionsFromAddress;
        else if (server.ConnectionCount >= _maxConnections)
            refusal = Rejections.TooManyConnections;
        if (refusal is null || Interlocked.Increment(ref _refused) <= _mostRefused)
            return true;
        Leave(usage, refusal);
        return false;
    }

    public void Leave(AddressUsage? usage, Rejection? refusal)
    {
        server.Addresses.Release(usage);
        if (refusal is not null)
            Interlocked.Decrement(ref _refused);
    }
}
