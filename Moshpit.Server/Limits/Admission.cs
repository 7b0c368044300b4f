using System.Net;

namespace Moshpit.Server.Limits;

/// <summary>Decides which connections are let in, which are told that they are one too many, and which are closed without a word.</summary>
/// <param name="addresses">What one address may have.</param>
/// <param name="maxConnections">Connections that may be there at once.</param>
/// <param name="descriptors">Connections that the process's descriptors allow.</param>
internal sealed class Admission(AddressLimits addresses, int maxConnections, int descriptors)
{
    /// <summary>
    /// Connections that are told at once. Saying no to some more than are allowed is polite; to any number of them it would be no limit.
    /// </summary>
    private const int MostRefused = 100;

    private readonly int _maxConnections = Math.Min(maxConnections, descriptors);
    private readonly int _mostRefused = Math.Min(MostRefused, Math.Max(1, descriptors / 16));
    private int _connections;
    private int _refused;

    /// <summary>Connections that were let in, whether they carry requests or, by now, a stream.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>
    /// Counts a connection from <paramref name="address"/> until <see cref="Leave"/>. If <paramref name="excess"/> is not none, its first
    /// request is refused, and it takes no room of others. False: it is to be closed without a word.
    /// </summary>
    public bool TryEnter(IPAddress? address, out AddressUsage? usage, out Excess excess)
    {
        bool isHeld = addresses.TryHold(address, out usage);
        excess = !isHeld ? Excess.ConnectionsFromAddress : TryCount() ? Excess.None : Excess.Connections;
        if (excess == Excess.None || Interlocked.Increment(ref _refused) <= _mostRefused)
            return true;
        Leave(usage, excess);
        return false;
    }

    /// <summary>The connection, or the stream that it became, has ended.</summary>
    public void Leave(AddressUsage? usage, Excess excess)
    {
        addresses.Release(usage);
        Interlocked.Decrement(ref excess == Excess.None ? ref _connections : ref _refused);
    }

    private bool TryCount()
    {
        if (Interlocked.Increment(ref _connections) <= _maxConnections)
            return true;
        Interlocked.Decrement(ref _connections);
        return false;
    }
}

/// <summary>What a connection is one too many of.</summary>
internal enum Excess : byte
{
    None,
    Connections,
    ConnectionsFromAddress,
}
