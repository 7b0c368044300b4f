using System.Buffers.Binary;
using System.Net;

namespace Moshpit.Server.Limits;

/// <summary>
/// Keeps one client address from using up what is meant for all. Loopback and Unix sockets stand for many clients: they are not limited as
/// one. Nor are the connections of the proxies that the operator named. A named proxy's requests and streams count against the client that
/// the proxy names, or, if it names none, against the proxy.
/// </summary>
internal sealed class AddressLimits
{
    private readonly Dictionary<UInt128, AddressUsage> _usages = [];

    /// <summary>Requests that an address may make within a second.</summary>
    public required int RequestsPerSecond { get; init; }

    /// <summary>Channels that an address may create within a minute.</summary>
    public required int ChannelsPerMinute { get; init; }

    /// <summary>Streams that an address may hold open.</summary>
    public required int Streams { get; init; }

    /// <summary>Connections that an address may hold open, those of streams included.</summary>
    public required int Connections { get; init; }

    /// <summary>The proxies that are believed when they name a client.</summary>
    public required IReadOnlyList<IPNetwork> Proxies { get; init; }

    /// <summary>What connects to the Unix socket is such a proxy.</summary>
    public required bool UnixSocketIsProxy { get; init; }

    /// <summary>Addresses that are remembered now.</summary>
    public int Count
    {
        get
        {
            lock (_usages)
                return _usages.Count;
        }
    }

    /// <summary>Whether the client at <paramref name="address"/> (null: a Unix socket) speaks for others.</summary>
    public bool IsProxy(IPAddress? address)
    {
        if (address is null)
            return UnixSocketIsProxy;
        IPAddress unmapped = Unmap(address);
        foreach (IPNetwork proxy in Proxies)
        {
            if (proxy.Contains(unmapped))
                return true;
        }

        return false;
    }

    /// <summary>
    /// Counts a connection from <paramref name="address"/>, until <see cref="Release"/>. Null with true: it is not limited. False: it has
    /// too many.
    /// </summary>
    public bool TryHold(IPAddress? address, out AddressUsage? usage)
    {
        usage = null;
        if (address is null || IsLoopback(address) || IsProxy(address))
            return true;
        usage = Hold(KeyOf(address), Connections);
        return usage is not null;
    }

    /// <summary>
    /// Counts a request or stream of <paramref name="client"/>, for which a named proxy speaks, until <see cref="Release"/>.
    /// </summary>
    public AddressUsage HoldClient(IPAddress client) => Hold(KeyOf(client), int.MaxValue)!;

    /// <summary>
    /// As <see cref="HoldClient"/>, for all clients of the named <paramref name="proxy"/> (null: a Unix socket) that it does not name.
    /// </summary>
    public AddressUsage HoldProxy(IPAddress? proxy) => Hold(proxy is null ? AddressUsage.UnixSocket : WholeKeyOf(proxy), int.MaxValue)!;

    /// <summary>Whether <paramref name="address"/> is this machine's own.</summary>
    public static bool IsLoopback(IPAddress address) => IPAddress.IsLoopback(Unmap(address));

    /// <summary>Whether the two count as one client.</summary>
    public static bool AreOneClient(IPAddress one, IPAddress other) => KeyOf(one) == KeyOf(other);

    /// <summary>Ends a hold.</summary>
    public void Release(AddressUsage? usage)
    {
        if (usage is null)
            return;
        lock (_usages)
            usage.Holders--;
    }

    /// <summary>Forgets addresses without connections and streams whose buckets are full again.</summary>
    public void OnTick(long now)
    {
        lock (_usages)
        {
            foreach ((UInt128 key, AddressUsage usage) in _usages)
            {
                if (usage.Holders == 0 && usage.IsForgettable(now))
                    _usages.Remove(key);
            }
        }
    }

    private static IPAddress Unmap(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    /// <summary>An IPv4 address; of an IPv6 one its /64, since a client that has one address there has them all.</summary>
    private static UInt128 KeyOf(IPAddress address)
    {
        UInt128 whole = WholeKeyOf(address);
        return AddressUsage.IsIPv4(whole) ? whole : whole >> 64 << 64;
    }

    private static UInt128 WholeKeyOf(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.MapToIPv6().TryWriteBytes(bytes, out _);
        return BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }

    private AddressUsage? Hold(UInt128 key, int limit)
    {
        lock (_usages)
        {
            if (!_usages.TryGetValue(key, out AddressUsage? usage))
                _usages.Add(key, usage = new AddressUsage(this, key));
            if (usage.Holders >= limit)
                return null;
            usage.Holders++;
            return usage;
        }
    }
}
