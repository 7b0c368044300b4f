using System.Net;
using Moshpit.Server.Http;
using Moshpit.Server.Transport;

namespace Moshpit.Server.Api;

/// <summary>Who is let in, who is told that it is one too many, and who is not even told.</summary>
/// <param name="server">What all connections share.</param>
/// <param name="descriptors">Connections that the process's descriptors allow.</param>
internal sealed class Admission(ServerState server, int descriptors)
{
    /// <summary>Connections that are told at once. Saying no to some more than are allowed is polite; to any number of them it would be no limit.</summary>
    private const int MostRefused = 100;

    private readonly int _maxConnections = Math.Min(server.Options.MaxConnections, descriptors);
    private readonly int _mostRefused = Math.Min(MostRefused, Math.Max(1, descriptors / 16));
    private int _connections;
    private int _refused;

    /// <summary>Connections that were let in, whether they carry requests or, by now, a stream.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Called once, at the start: says so if the descriptors do not suffice for the limits that were asked for.</summary>
    public void WarnOfFewDescriptors()
    {
        MoshpitServerOptions options = server.Options;
        int share = DescriptorLimit.ShareOf(descriptors);
        if (descriptors < options.MaxConnections)
            ApiLog.FewDescriptors(server.Logger, descriptors, options.MaxConnections);
        else if (share < Math.Max(options.MaxConnectionsPerAddress, options.MaxStreamsPerAddress))
            ApiLog.SmallShare(server.Logger, share, options.MaxConnectionsPerAddress, options.MaxStreamsPerAddress);
    }

    /// <summary>
    /// Counts a connection from <paramref name="address"/> until <see cref="Leave"/>; <paramref name="refusal"/>, where it is not null, answers
    /// its first request, and it takes nobody's room. False: it is to be closed without a word.
    /// </summary>
    public bool TryEnter(IPAddress? address, out AddressUsage? usage, out Rejection? refusal)
    {
        bool isHeld = server.Addresses.TryHold(address, out usage);
        refusal = !isHeld ? Rejections.TooManyConnectionsFromAddress : TryCount() ? null : Rejections.TooManyConnections;
        if (refusal is null)
            return true;
        server.Warnings.OnRefused(refusal, (object?)usage ?? address);
        if (Interlocked.Increment(ref _refused) <= _mostRefused)
            return true;
        Leave(usage, refusal);
        return false;
    }

    /// <summary>The connection, or the stream that it became, has ended.</summary>
    public void Leave(AddressUsage? usage, Rejection? refusal)
    {
        server.Addresses.Release(usage);
        Interlocked.Decrement(ref refusal is null ? ref _connections : ref _refused);
    }

    private bool TryCount()
    {
        if (Interlocked.Increment(ref _connections) <= _maxConnections)
            return true;
        Interlocked.Decrement(ref _connections);
        return false;
    }
}
