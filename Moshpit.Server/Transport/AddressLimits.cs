using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace Moshpit.Server.Transport;

/// <summary>
/// Keeps one client address from using up what is meant for all. Loopback, Unix sockets and the proxies that the operator named stand for
/// many clients: they are not limited as one. For a named proxy's requests, the client is who the proxy says it is.
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

    /// <summary>Whose X-Forwarded-For is believed.</summary>
    public required IReadOnlyList<IPNetwork> Proxies { get; init; }

    /// <summary>A Unix socket's X-Forwarded-For is believed.</summary>
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

    /// <summary>Counts a connection from <paramref name="address"/>, until <see cref="Release"/>. Null with true: it is not limited. False: it has too many.</summary>
    public bool TryHold(IPAddress? address, out AddressUsage? usage)
    {
        usage = null;
        if (address is null || IPAddress.IsLoopback(Unmap(address)) || IsProxy(address))
            return true;
        usage = Hold(address, Connections);
        return usage is not null;
    }

    /// <summary>
    /// Whom a named proxy's <paramref name="forwardedFor"/> speaks for, held until <see cref="Release"/>: the last address in it that is not
    /// itself a named proxy. Who stands before that was said by somebody who need not be believed. Null: it names nobody who
    /// is limited.
    /// </summary>
    public AddressUsage? HoldForwarded(ReadOnlySpan<byte> forwardedFor)
    {
        while (!forwardedFor.IsEmpty)
        {
            int comma = forwardedFor.LastIndexOf((byte)',');
            string text = Encoding.ASCII.GetString(forwardedFor[(comma + 1)..]).Trim();
            forwardedFor = forwardedFor[..Math.Max(comma, 0)];

            // RFC 9110 section 5.6.1: "A recipient MUST parse and ignore a reasonable number of empty list elements".
            if (text.Length == 0)
                continue;
            if (!IPEndPoint.TryParse(text, out IPEndPoint? client))
                return null;
            if (!IsProxy(client.Address))
                return IPAddress.IsLoopback(Unmap(client.Address)) ? null : Hold(client.Address, int.MaxValue);
        }

        return null;
    }

    /// <summary>Ends a hold.</summary>
    public void Release(AddressUsage? usage)
    {
        if (usage is null)
            return;
        lock (_usages)
            usage.Holders--;
    }

    /// <summary>Forgets who is gone and has had time to be forgiven.</summary>
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

    /// <summary>An IPv4 address; of an IPv6 one its /64, since who has one address there has them all.</summary>
    private static UInt128 KeyOf(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.MapToIPv6().TryWriteBytes(bytes, out _);
        UInt128 whole = BinaryPrimitives.ReadUInt128BigEndian(bytes);
        return address.MapToIPv6().IsIPv4MappedToIPv6 ? whole : whole >> 64 << 64;
    }

    private AddressUsage? Hold(IPAddress address, int limit)
    {
        UInt128 key = KeyOf(address);
        lock (_usages)
        {
            if (!_usages.TryGetValue(key, out AddressUsage? usage))
                _usages.Add(key, usage = new AddressUsage(this));
            if (usage.Holders >= limit)
                return null;
            usage.Holders++;
            return usage;
        }
    }
}
